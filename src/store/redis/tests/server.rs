//! Starts and ends `redis-server`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

/// A server takes no longer to start.
const START: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// A server of its own, on a socket in a directory of its own; it keeps nothing, and ends with this value.
pub(in crate::store) struct RedisServer {
    directory: TempDir,
    options: Vec<String>,
    child: Child,
}

/// False, with a word, where there is no `redis-server`. In CI that would hide that nothing was tested.
pub(in crate::store) fn is_here() -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    let must_be = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(found || !must_be, "no redis-server here: install Debian's package redis-server");
    if !found {
        eprintln!("skipped: no redis-server here");
    }
    found
}

impl RedisServer {
    /// A sentinel, with its configuration.
    pub(in crate::store) fn sentinel(configuration: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        std::fs::write(directory.path().join("sentinel.conf"), configuration).expect("a file");
        Self::over(directory, &["sentinel.conf", "--sentinel"])
    }

    /// A new one, with more options.
    pub(in crate::store) fn start(options: &[&str]) -> Self {
        Self::over(TempDir::new().expect("a temporary directory"), options)
    }

    fn over(directory: TempDir, options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let child = run(&directory, &options);
        let server = Self { directory, options, child };
        server.wait();
        server
    }

    pub(in crate::store) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Ends it at once.
    pub(in crate::store) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Another one in its place, which knows nothing.
    pub(in crate::store) fn restart(&mut self) {
        self.kill();
        // What a killed server has left would look like one that starts.
        let _ = std::fs::remove_file(self.socket());
        self.child = run(&self.directory, &self.options);
        self.wait();
    }

    /// Sends a signal, such as STOP.
    pub(in crate::store) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill is there");
        assert!(sent.success());
    }

    /// Says a command, and returns what the server says.
    pub(in crate::store) fn say(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("it listens");
        stream.set_read_timeout(Some(START)).expect("a timeout");
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("it reads");
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).expect("it answers");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    fn wait(&self) {
        let began = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            assert!(began.elapsed() < START, "redis-server does not start");
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(directory: &TempDir, options: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.current_dir(directory.path());
    // The file of a sentinel comes first, and says its port; options would count for more.
    if !options.iter().any(|option| option == "--sentinel") {
        command.args(["--port", "0", "--save", "", "--appendonly", "no"]);
    }
    command.args(options).args(["--unixsocket", "redis.sock"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server starts")
}

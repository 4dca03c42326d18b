//! `gatepost init`: a configuration to begin with, and what the mail server behind it needs.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};

use super::{DEFAULT_CONFIG, Failed};
use crate::backend::settings::{Address, MemberSettings, TlsMode};
use crate::config;

const POSTFIX: &str = include_str!("init/postfix.txt");
const EXCHANGE: &str = include_str!("init/exchange.txt");
const TEMPLATE: &str = include_str!("init/gatepost.toml");

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A domain whose mail is taken; may be given several times.
    #[arg(long = "domain", value_name = "DOMAIN", required = true)]
    pub domains: Vec<String>,
    /// The mail server behind Gatepost.
    #[arg(long, value_name = "HOST:PORT")]
    pub backend: String,
    /// What it is.
    #[arg(long = "for", value_name = "SERVER", value_enum)]
    pub server: Server,
    /// Where the configuration is written; `-` is standard output.
    #[arg(long, short, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// The name of this machine as others find it in DNS. Default: mx, and the first domain.
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// A DNS resolver of your own, for the lists; may be given several times. Default: those of the system.
    #[arg(long = "resolver", value_name = "ADDRESS[:PORT]")]
    pub resolvers: Vec<String>,
    /// A certificate, for STARTTLS.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// Write over a configuration that is there.
    #[arg(long)]
    pub force: bool,
}

/// Mail servers that we know the settings of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Server {
    /// Postfix: hears who the client is by XCLIENT.
    Postfix,
    /// Microsoft Exchange: sees Gatepost's address only, in a connector of its own.
    Exchange,
}

/// Writes the configuration, and prints the other side of it.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let text = configuration(arguments)?;
    let loaded = config::parse_text(&text).map_err(|problems| Failed(problems.render(super::wants_colour())))?;
    let member = loaded.config.backend.members.first().expect("the template has one");
    let server_side = server_side(arguments, &addresses_towards(member), member);
    if arguments.config.as_os_str() == "-" {
        // The other side as comments, so that both can be kept in one file.
        let comments: String =
            server_side.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect();
        return Ok(write!(out, "{text}\n{comments}")?);
    }
    write_new(&arguments.config, &text, arguments.force)?;
    let path = arguments.config.display();
    let named = if arguments.config == Path::new(DEFAULT_CONFIG) { String::new() } else { format!(" --config {path}") };
    Ok(write!(
        out,
        "{path} is written.\n\n{server_side}\nTo see whether all is well before mail comes:\n\n    \
         gatepost check-config{named}\n    gatepost doctor{named}\n"
    )?)
}

/// The configuration as text; whether it makes sense is not looked at yet.
fn configuration(arguments: &Arguments) -> Result<String, Failed> {
    let first = arguments.domains.first().ok_or_else(|| Failed("no domain is named".to_owned()))?;
    let hostname = arguments.hostname.clone().unwrap_or_else(|| format!("mx.{first}"));
    let tls = match (&arguments.certificate, &arguments.key) {
        (Some(certificate), Some(key)) => {
            format!("tls = {{ certificate = {}, key = {} }}", quoted_path(certificate)?, quoted_path(key)?)
        }
        _ => {
            "# tls = { certificate = \"/etc/gatepost/fullchain.pem\", key = \"/etc/gatepost/privkey.pem\" }".to_owned()
        }
    };
    let identity = match arguments.server {
        Server::Postfix => "xclient",
        Server::Exchange => "none",
    };
    let is_here = arguments.backend.rsplit_once(':').is_some_and(|(host, _)| {
        let host = host.trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    let listed = |values: &[String]| -> Result<String, Failed> {
        Ok(values.iter().map(|value| quoted(value)).collect::<Result<Vec<_>, _>>()?.join(", "))
    };
    let resolvers = match &*arguments.resolvers {
        [] => "# servers = [\"127.0.0.1\"]".to_owned(),
        given => format!("servers = [{}]", listed(given)?),
    };
    Ok(TEMPLATE
        .replace("@HOSTNAME@", &quoted(&hostname)?)
        .replace("@DOMAINS@", &listed(&arguments.domains)?)
        .replace("@RESOLVERS@", &resolvers)
        .replace("@TLS@", &tls)
        .replace("@IDENTITY@", &quoted(identity)?)
        .replace("@BACKEND@", &quoted(&arguments.backend)?)
        .replace("@BACKEND_TLS@", &quoted(if is_here { "off" } else { "opportunistic" })?))
}

/// A JSON string is a TOML string, too.
fn quoted(text: &str) -> Result<String, Failed> {
    Ok(serde_json::to_string(text)?)
}

/// Relative paths in a configuration are relative to it, those of a command line are not.
fn quoted_path(path: &Path) -> Result<String, Failed> {
    let path = std::path::absolute(path)?;
    quoted(path.to_str().ok_or_else(|| Failed(format!("{}: not UTF-8", path.display())))?)
}

fn server_side(arguments: &Arguments, here: &[IpAddr], member: &MemberSettings) -> String {
    let template = match arguments.server {
        Server::Postfix => POSTFIX,
        Server::Exchange => EXCHANGE,
    };
    let listen = match (&member.address, member.tls) {
        // On one machine Postfix needs to be heard there only.
        (Address::Socket(address), TlsMode::Off) => address.to_string(),
        (Address::Socket(address), _) => address.port().to_string(),
        (Address::Host(_, port), _) => port.to_string(),
        (Address::Unix(path), _) => path.display().to_string(),
    };
    let port = match &member.address {
        Address::Socket(address) => address.port().to_string(),
        Address::Host(_, port) => port.to_string(),
        Address::Unix(path) => path.display().to_string(),
    };
    let domain = arguments.domains.first().map_or("", String::as_str);
    let mut here: Vec<String> = here.iter().map(|address| in_list(*address, arguments.server)).collect();
    if here.is_empty() {
        here.push("THE-ADDRESS-OF-GATEPOST".to_owned());
    }
    let in_quotes: Vec<String> = here.iter().map(|address| format!("\"{address}\"")).collect();
    template
        .replace("@LISTEN@", &listen)
        .replace("@PORT@", &port)
        .replace("@GATEPOST@", &here.join(","))
        .replace("@QUOTED@", &in_quotes.join(","))
        .replace("@DOMAIN@", domain)
}

/// The addresses that the backend will see us come from, one for each of its own; nothing is sent to find out.
fn addresses_towards(member: &MemberSettings) -> Vec<IpAddr> {
    let targets: Vec<SocketAddr> = match &member.address {
        Address::Socket(address) => vec![*address],
        Address::Host(host, port) => {
            (host.as_str(), *port).to_socket_addrs().map(Iterator::collect).unwrap_or_default()
        }
        Address::Unix(_) => Vec::new(),
    };
    let mut found = Vec::new();
    for target in targets {
        let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let own = UdpSocket::bind(any).and_then(|socket| socket.connect(target).and_then(|()| socket.local_addr()));
        found.extend(own.ok().map(|address| address.ip()).filter(|address| !found.contains(address)));
    }
    found
}

/// As the server reads it in a list: what has a colon is the name of a table to Postfix, without brackets.
fn in_list(address: IpAddr, server: Server) -> String {
    match (address, server) {
        (IpAddr::V6(address), Server::Postfix) => format!("[{address}]"),
        _ => address.to_string(),
    }
}

fn write_new(path: &Path, text: &str, force: bool) -> Result<(), Failed> {
    let failed = |why: std::io::Error| match why.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failed(format!("{} is there already: --force writes over it", path.display()))
        }
        _ => Failed(format!("{}: {why}", path.display())),
    };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    let options =
        if force { options.write(true).create(true).truncate(true) } else { options.write(true).create_new(true) };
    let mut file = options.open(path).map_err(failed)?;
    let_the_service_read(&file, path);
    file.write_all(text.as_bytes()).map_err(failed)
}

/// Of a directory: what is made in it gets its group.
#[cfg(unix)]
const SET_GROUP: u32 = 0o2000;

/// Gives the file to the group that its directory was given to, which may then read it whatever the umask is: that is how
/// packages let the service read what is root's. Where that cannot be done the file stays as it is.
#[cfg(unix)]
fn let_the_service_read(file: &File, path: &Path) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(directory), Ok(written)) = (directory.metadata(), file.metadata()) else { return };
    // A directory of our own group was given to nobody, unless what is made in it gets its group by itself. Nor may the
    // group of a device or of a pipe be changed.
    let was_given = directory.gid() != written.gid() || directory.mode() & SET_GROUP != 0;
    if written.is_file() && was_given && fchown(file, None, Some(directory.gid())).is_ok() {
        let _ = file.set_permissions(PermissionsExt::from_mode(0o640));
    }
}

#[cfg(not(unix))]
fn let_the_service_read(_file: &File, _path: &Path) {}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn init(words: &str) -> Result<String, Failed> {
        let line = Line::try_parse_from(words.split_whitespace()).unwrap_or_else(|why| panic!("{words}: {why}"));
        let mut out = Vec::new();
        run(&line.arguments, &mut out)?;
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn what_it_writes_loads_without_a_warning() {
        let place = tempfile::tempdir().expect("a directory");
        for (server, identity) in [("postfix", "xclient"), ("exchange", "none")] {
            let file = place.path().join(server).join("gatepost.toml");
            let path = file.display();
            let words =
                format!("init --domain example.org --domain example.net --backend 127.0.0.1:2525 --for {server}");
            let said = init(&format!("{words} --config {path}")).unwrap_or_else(|Failed(why)| panic!("{why}"));
            assert!(said.contains(&format!("gatepost doctor --config {path}")), "{said}");
            let loaded = config::load(&file).unwrap_or_else(|problems| panic!("{problems}"));
            // A machine that never had a Gatepost has no place for the store yet.
            let place = ["store.path", "records.directory"];
            assert!(loaded.warnings.iter().all(|warning| place.contains(&&*warning.key)), "{}", loaded.warnings);
            // So that `log` and `explain` have something to tell from the first mail on.
            let records = loaded.config.records.directory.as_deref();
            assert_eq!(records, Some(Path::new("/var/lib/gatepost/records")));
            assert_eq!(&*loaded.config.session.hostname, "mx.example.org");
            assert!(
                ["example.org", "example.net"].iter().all(|name| loaded.config.session.relay.domains.contains(name))
            );
            assert_eq!(config::why::word(&loaded.raw.backend.identity), identity);
            let why = init(&format!("{words} --config {path}")).expect_err("it is there").0;
            assert!(why.contains("--force"), "{why}");
            assert!(init(&format!("{words} --config {path} --force")).is_ok());
        }
    }

    #[test]
    fn the_servers_side_names_addresses_and_ports() {
        let postfix = init("init --domain example.org --backend 127.0.0.1:2525 --for postfix --config -");
        let postfix = postfix.unwrap_or_else(|Failed(why)| panic!("{why}"));
        for expected in ["127.0.0.1:2525 inet", "smtpd_authorized_xclient_hosts=127.0.0.1", "reject_unauth_destination"]
        {
            assert!(postfix.contains(expected), "{expected}: {postfix}");
        }
        assert!(config::parse_text(&postfix).is_ok(), "both sides are one file");
        let six = init("init --domain example.org --backend [::1]:2525 --for postfix --config -");
        let six = six.unwrap_or_else(|Failed(why)| panic!("{why}"));
        assert!(six.contains("smtpd_authorized_xclient_hosts=[::1]"), "{six}");
        let exchange = init("init --domain example.org --backend 127.0.0.1:25 --for exchange --config -");
        let exchange = exchange.unwrap_or_else(|Failed(why)| panic!("{why}"));
        for expected in ["-RemoteIPRanges 127.0.0.1", "Add=\"127.0.0.1\"", "X-Spam-Flag", "-Bindings 0.0.0.0:25"] {
            assert!(exchange.contains(expected), "{expected}: {exchange}");
        }
        for text in [&postfix, &exchange] {
            let left = text.split('@').filter(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase()));
            assert_eq!(left.collect::<Vec<_>>(), Vec::<&str>::new(), "left to fill in");
        }
    }

    #[test]
    fn resolvers_are_asked_in_their_order() {
        let words = "init --domain example.org --backend 127.0.0.1:2525 --for postfix --config -";
        let text = init(&format!("{words} --resolver 127.0.0.1 --resolver [::1]:5353"));
        let text = text.unwrap_or_else(|Failed(why)| panic!("{why}"));
        let loaded = config::parse_text(&text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.raw.dns.servers, ["127.0.0.1", "[::1]:5353"]);
        assert!(init(&format!("{words} --resolver here")).is_err(), "no address");
    }

    #[test]
    fn whom_the_directory_was_given_to_can_read_the_file_and_nobody_else_is_let_in() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("gatepost.toml");
        let written = |before: u32| {
            std::fs::write(&file, "").expect("a file");
            std::fs::set_permissions(&file, PermissionsExt::from_mode(before)).expect("ours");
            write_new(&file, "x", true).unwrap_or_else(|Failed(why)| panic!("{why}"));
            let metadata = std::fs::metadata(&file).expect("written");
            (metadata.gid(), metadata.mode() & 0o777)
        };
        let own = std::fs::metadata(place.path()).expect("a directory").gid();
        assert_eq!(written(0o600), (own, 0o600), "our own group is not let in");
        // Only root can give it to a group that it is not in.
        if chown(place.path(), None, Some(54_321)).is_ok() {
            assert_eq!(written(0o600), (54_321, 0o640));
            assert_eq!(written(0o640), (54_321, 0o640));
        }
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o2750)).expect("ours");
        assert_eq!(written(0o600).1, 0o640, "what is made there gets the group by itself");
    }

    #[test]
    fn nothing_is_written_that_would_not_load() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("gatepost.toml");
        for words in ["--domain example.org --backend nowhere", "--domain no_domain! --backend 127.0.0.1:2525"] {
            let why = init(&format!("init {words} --for postfix --config {}", file.display())).expect_err(words).0;
            assert!(!why.is_empty() && !file.exists(), "{words}: {why}");
        }
    }
}

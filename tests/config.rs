//! The configuration: what is shipped loads, what is documented is true, and whatever is wrong is said.

#[path = "config/broken.rs"]
mod broken;
#[path = "config/rules.rs"]
mod rules;
#[path = "config/shipped.rs"]
mod shipped;
#[path = "config/typos.rs"]
mod typos;

use std::path::{Path, PathBuf};

use gatepost::config::{self, Loaded, Problems};

/// The least that loads; `{more}` is appended.
fn minimal(more: &str) -> String {
    format!(
        r#"hostname = "mx.example.org"
[[listen]]
address = "127.0.0.1:2525"
[relay]
domains = ["example.org"]
[backend]
identity = "none"
[[backend.member]]
address = "127.0.0.1:2526"
{more}"#
    )
}

/// A configuration in a directory of its own, with other files beside it.
struct Site(tempfile::TempDir);

impl Site {
    fn new(config: &str) -> Self {
        let site = Self(tempfile::tempdir().expect("a temporary directory"));
        site.write("gatepost.toml", config);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
        std::fs::write(path, text).expect("a file");
    }

    fn load(&self) -> Result<Loaded, Problems> {
        config::load(&self.path("gatepost.toml"))
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The problems as one line each, without the directory.
fn lines(problems: &Problems) -> Vec<String> {
    let short = |problem: &config::Problem| {
        let directory = Path::new(problem.path()).parent().map(|dir| format!("{}/", dir.display())).unwrap_or_default();
        problem.to_string().strip_prefix(directory.as_str()).map_or(problem.to_string(), str::to_owned)
    };
    problems.iter().map(short).collect()
}

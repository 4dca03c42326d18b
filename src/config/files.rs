//! The files that a configuration names: each is read once, whole.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

/// A configuration or rule file larger than this is a mistake.
const LARGEST: u64 = 64 << 20;

/// Reads files beside the configuration, or none at all.
pub(super) struct Files {
    base: Option<PathBuf>,
    paths: Vec<PathBuf>,
    /// Read instead of the directory of rules.
    copy: Option<PathBuf>,
    /// The directory of rules, if another was read instead.
    rules: Option<PathBuf>,
    /// What rules name that lies outside of their directory.
    outside: Vec<PathBuf>,
    /// Of everything that was read, in order.
    digest: Xxh3,
}

/// Within a copy of the rules, what lies outside of their directory, each by its whole path.
const ELSEWHERE: &str = ".elsewhere";

impl Files {
    /// Relative paths start at the directory of `config`.
    pub(super) fn beside(config: &Path) -> Self {
        let base = config.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self { base: Some(base.to_owned()), ..Self::none() }
    }

    /// The same, with the rules of another directory.
    pub(super) fn with_rules_of(self, copy: &Path) -> Self {
        Self { copy: Some(copy.to_owned()), ..self }
    }

    /// Where the directory of rules that is written in the configuration leads.
    pub(super) fn resolve_rules(&mut self, written: &str) -> PathBuf {
        let directory = self.resolve(written);
        match &self.copy {
            Some(copy) => {
                self.rules = Some(directory);
                copy.clone()
            }
            None => directory,
        }
    }

    /// Where a path leads that is written in a file of rules, whose directory (or a copy of it) is `directory`.
    pub(super) fn of_rules(&self, directory: &Path, written: &str) -> PathBuf {
        let Some((copy, rules)) = self.copy.as_ref().zip(self.rules.as_ref()) else { return directory.join(written) };
        let (meant, rules) = (whole(&rules.join(written)), whole(rules));
        if let Ok(within) = meant.strip_prefix(&rules) {
            return copy.join(within);
        }
        let copied = copy.join(place_elsewhere(&meant));
        // Copies of former versions have nothing of it.
        if copied.parent().is_some_and(Path::is_dir) { copied } else { meant }
    }

    /// Notes a file that rules have named, so that it is copied with them.
    pub(super) fn is_named_by_rules(&mut self, directory: &Path, path: &Path) {
        let path = whole(path);
        if self.copy.is_none() && !path.starts_with(whole(directory)) {
            self.outside.push(path);
        }
    }

    /// Those that lie outside of the directory of rules.
    pub(super) fn take_outside(&mut self) -> Vec<PathBuf> {
        let mut outside = std::mem::take(&mut self.outside);
        outside.sort();
        outside.dedup();
        outside
    }

    /// No file exists, and none is missed.
    pub(super) fn none() -> Self {
        let (paths, outside) = (Vec::new(), Vec::new());
        Self { base: None, paths, copy: None, rules: None, outside, digest: Xxh3::new() }
    }

    /// True if files are read at all.
    pub(super) fn are_read(&self) -> bool {
        self.base.is_some()
    }

    /// Where a path written in the configuration leads.
    pub(super) fn resolve(&self, written: &str) -> PathBuf {
        self.base.as_deref().unwrap_or(Path::new("")).join(written)
    }

    /// The text of a file; the error says why there is none.
    pub(super) fn read(&mut self, path: &Path) -> Result<String, String> {
        let octets = self.read_octets(path)?;
        String::from_utf8(octets).map_err(|_| format!("cannot read {}: it is no UTF-8", path.display()))
    }

    /// The octets of a file; the error says why there are none.
    pub(super) fn read_octets(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        let cannot = |why: String| format!("cannot read {}: {why}", path.display());
        self.paths.push(path.to_owned());
        let file = std::fs::File::open(path).map_err(|why| cannot(why.to_string()))?;
        let mut text = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut text).map_err(|why| cannot(why.to_string()))?;
        if text.len() as u64 > LARGEST {
            return Err(cannot("it is larger than 64 MiB".to_owned()));
        }
        self.digest.update(&(text.len() as u64).to_le_bytes());
        self.digest.update(&text);
        Ok(text)
    }

    /// Remembers a file that is not there and need not be: it may come.
    pub(super) fn miss(&mut self, path: &Path) {
        self.paths.push(path.to_owned());
    }

    /// Names the contents of everything that was read: sixteen hexadecimal digits.
    pub(super) fn digest(&self) -> String {
        format!("{:016x}", self.digest.digest())
    }

    /// Every file that was read or looked for.
    pub(super) fn into_paths(self) -> Vec<PathBuf> {
        let (Some(copy), Some(rules)) = (self.copy, self.rules) else { return self.paths };
        // The files themselves are watched, not their copies: they will be mended.
        let meant = self.paths.into_iter().map(|path| match path.strip_prefix(&copy) {
            Ok(rest) if rest.as_os_str().is_empty() => rules.clone(),
            Ok(rest) if rest.starts_with(ELSEWHERE) => {
                Path::new("/").join(rest.strip_prefix(ELSEWHERE).unwrap_or(rest))
            }
            Ok(rest) => rules.join(rest),
            Err(_elsewhere) => path,
        });
        let mut paths: Vec<PathBuf> = meant.collect();
        let there = std::fs::read_dir(&rules).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        paths.extend(there);
        paths.sort();
        paths.dedup();
        paths
    }
}

/// Where a file lies within a copy of the rules that lies outside of their directory.
pub(super) fn place_elsewhere(path: &Path) -> PathBuf {
    let inner = path.components().filter(|part| matches!(part, Component::Normal(_)));
    Path::new(ELSEWHERE).join(inner.collect::<PathBuf>())
}

/// The path from the root, without `.` and `..`.
fn whole(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            part => whole.push(part),
        }
    }
    whole
}

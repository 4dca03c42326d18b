//! A Maildir: a message is a file that appears in `new` whole, or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of messages.
#[derive(Debug)]
pub(super) struct Maildir {
    root: PathBuf,
    next: AtomicU32,
}

impl Maildir {
    /// Makes `root` and what belongs in it.
    pub(super) fn create(root: PathBuf) -> io::Result<Self> {
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(root.join(part))?;
        }
        Ok(Self { root, next: AtomicU32::new(1) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    /// Writes `message` and returns the file's name.
    pub(super) async fn store(&self, message: &[u8]) -> io::Result<String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Unique within this directory, which is one process's own.
        let name = format!("{number:03}.{}.demo", std::process::id());
        let unfinished = self.root.join("tmp").join(&name);
        tokio::fs::write(&unfinished, message).await?;
        tokio::fs::rename(&unfinished, self.root.join("new").join(&name)).await?;
        Ok(name)
    }

    /// Names of the messages, oldest first.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(self.root.join("new"))?;
        let mut names = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.root.join("new").join(name))
    }
}

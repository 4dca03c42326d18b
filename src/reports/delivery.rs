//! The ways out: the backend, as any other mail, or a folder.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tempfile::NamedTempFile;

use super::{Delivered, Delivery, Parcel};
use crate::backend::submit::submit;
use crate::backend::{BackendError, Pool};
use crate::smtp::{ForwardPath, ReversePath};

/// Hands reports to the mail server behind us.
pub struct ToBackend {
    /// The pool in force; a reload exchanges it.
    pub pool: Box<dyn Fn() -> Arc<Pool> + Send + Sync>,
    /// What we greet with.
    pub hostname: Arc<str>,
}

/// Writes each report to a file of its own, which appears there whole or not at all.
pub struct ToFolder(PathBuf);

/// What files are called that are being written.
const UNFINISHED: &str = ".report-";
/// Nobody writes one file for so long: whoever did was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

impl ToFolder {
    /// Writes into `directory`, from which it takes away what earlier ones left half written; blocks for a moment.
    pub fn new(directory: PathBuf) -> Self {
        // A directory that is away for now is no reason not to begin.
        let _ = tidy(&directory, SystemTime::now());
        Self(directory)
    }
}

impl Delivery for ToBackend {
    fn deliver(&self, parcel: Parcel) -> BoxFuture<'_, Delivered> {
        Box::pin(async move {
            let from = ReversePath::Mailbox(parcel.from);
            let to = ForwardPath::Mailbox(parcel.to);
            match submit(&(self.pool)(), &self.hostname, &from, &to, &parcel.message).await {
                Ok(reply) if reply.is_positive() => Delivered::Taken,
                Ok(reply) if reply.class() == 5 => Delivered::Refused(reply.to_log()),
                Ok(reply) => Delivered::Later(reply.to_log()),
                Err(why @ BackendError::CannotCarry { permanent: true, .. }) => Delivered::Refused(why.to_string()),
                Err(why) => Delivered::Later(why.to_string()),
            }
        })
    }
}

impl Delivery for ToFolder {
    fn deliver(&self, parcel: Parcel) -> BoxFuture<'_, Delivered> {
        let directory = self.0.clone();
        Box::pin(async move {
            let written =
                tokio::task::spawn_blocking(move || write(&directory, &parcel.file_name, &parcel.message)).await;
            match written {
                Ok(Ok(())) => Delivered::Taken,
                Ok(Err(why)) => Delivered::Later(why.to_string()),
                Err(_mistake) => Delivered::Later("writing ended by a mistake in this program".to_owned()),
            }
        })
    }
}

/// Beside its final place first, so that nobody ever finds half of it; a report that is there already is
/// the same one.
fn write(directory: &Path, name: &str, octets: &[u8]) -> io::Result<()> {
    let mut file = NamedTempFile::with_prefix_in(UNFINISHED, directory)?;
    file.write_all(octets)?;
    file.as_file().sync_all()?;
    file.persist(directory.join(name)).map_err(|failed| failed.error)?;
    // Or a crash could take the name away again, after the store has forgotten the report.
    #[cfg(unix)]
    std::fs::File::open(directory)?.sync_all()?;
    Ok(())
}

fn tidy(directory: &Path, now: SystemTime) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let is_unfinished = entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes());
        let is_old =
            || Ok::<_, io::Error>(now.duration_since(entry.metadata()?.modified()?).is_ok_and(|age| age > ABANDONED));
        if is_unfinished && is_old()? {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::destination::mailbox;

    fn parcel(message: &[u8]) -> Parcel {
        Parcel {
            from: mailbox("dmarc@receiver.example").expect("an address"),
            to: mailbox("rua@author.example").expect("an address"),
            file_name: "a!b!1!2!3.1.eml".to_owned(),
            message: message.to_vec(),
        }
    }

    #[tokio::test]
    async fn a_report_appears_in_the_folder_whole_and_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let folder = ToFolder::new(directory.path().to_path_buf());
        for message in [b"first".as_slice(), b"again"] {
            assert_eq!(folder.deliver(parcel(message)).await, Delivered::Taken);
        }
        let names: Vec<_> = std::fs::read_dir(directory.path()).expect("a directory").collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert_eq!(std::fs::read(directory.path().join("a!b!1!2!3.1.eml")).expect("a file"), b"again");
    }

    #[test]
    fn what_a_kill_left_half_written_is_taken_away() {
        let directory = tempfile::tempdir().expect("a directory");
        let names = [".report-abc", "a!b!1!2!3.1.eml", "other"];
        names.iter().for_each(|name| std::fs::write(directory.path().join(name), b"").expect("writable"));
        let left = || {
            let entries = std::fs::read_dir(directory.path()).expect("a directory");
            entries.map(|entry| entry.expect("readable").file_name()).collect::<Vec<_>>().len()
        };
        tidy(directory.path(), SystemTime::now()).expect("readable");
        assert_eq!(left(), 3, "it may be being written at this moment");
        tidy(directory.path(), SystemTime::now() + 2 * ABANDONED).expect("readable");
        assert!(left() == 2 && !directory.path().join(".report-abc").exists());
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_tried_again() {
        let folder = ToFolder::new(PathBuf::from("/nowhere/at/all"));
        assert!(matches!(folder.deliver(parcel(b"")).await, Delivered::Later(_)));
    }
}

//! The ways out: the backend, as any other mail, or a folder.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
pub struct ToFolder(
    /// The directory.
    pub PathBuf,
);

impl Delivery for ToBackend {
    fn deliver(&self, parcel: Parcel) -> BoxFuture<'_, Delivered> {
        Box::pin(async move {
            let from = ReversePath::Mailbox(parcel.from);
            let to = ForwardPath::Mailbox(parcel.to);
            match submit(&(self.pool)(), &self.hostname, &from, &to, &parcel.message).await {
                Ok(reply) if reply.is_positive() => Delivered::Taken,
                Ok(reply) if reply.class() == 5 => Delivered::Refused(reply.to_log()),
                Ok(reply) => Delivered::Later(reply.to_log()),
                Err(why @ BackendError::CannotCarry { permanent: true }) => Delivered::Refused(why.to_string()),
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
    let mut file = NamedTempFile::with_prefix_in(".report-", directory)?;
    file.write_all(octets)?;
    file.as_file().sync_all()?;
    file.persist(directory.join(name)).map_err(|failed| failed.error)?;
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
        let folder = ToFolder(directory.path().to_path_buf());
        for message in [b"first".as_slice(), b"again"] {
            assert_eq!(folder.deliver(parcel(message)).await, Delivered::Taken);
        }
        let names: Vec<_> = std::fs::read_dir(directory.path()).expect("a directory").collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert_eq!(std::fs::read(directory.path().join("a!b!1!2!3.1.eml")).expect("a file"), b"again");
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_tried_again() {
        let folder = ToFolder(PathBuf::from("/nowhere/at/all"));
        assert!(matches!(folder.deliver(parcel(b"")).await, Delivered::Later(_)));
    }
}

//! The log: events of `tracing` as lines of text or JSON on standard error.

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Names what is logged, in place of the configured level.
pub const VARIABLE: &str = "GATEPOST_LOG";

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter makes no sense.
    #[error("`{0}` is no log filter: write a level such as info, or gatepost=debug,warn")]
    Filter(String),
    /// There is a log already.
    #[error(transparent)]
    Started(#[from] TryInitError),
}

/// Changes what a running log holds.
#[derive(Clone, Debug)]
pub struct Handle {
    /// `None` if the environment has the last word.
    filter: Option<FilterHandle>,
}

/// Starts logging to standard error, for the whole process. [`VARIABLE`] wins over `level`, which is a
/// level (of our own events; other crates then log warnings) or a filter such as `gatepost=debug,warn`.
///
/// # Errors
/// If the filter makes no sense, or logging was started before.
pub fn start(format: Format, level: &str) -> Result<Handle, LogError> {
    let variable = std::env::var(VARIABLE).ok().filter(|value| !value.trim().is_empty());
    let (subscriber, filter) = subscriber(format, variable.as_deref().unwrap_or(level), std::io::stderr)?;
    subscriber.try_init()?;
    Ok(Handle { filter: variable.is_none().then_some(filter) })
}

impl Handle {
    /// A handle to no log.
    pub fn detached() -> Self {
        Self { filter: None }
    }

    /// Logs from another level on. A level that makes no sense changes nothing: whoever reads the
    /// configuration has refused it already.
    pub fn set_level(&self, level: &str) {
        if let (Some(handle), Ok(filter)) = (&self.filter, filter(level)) {
            // It fails only where the log has ended already.
            let _ = handle.reload(filter);
        }
    }
}

type FilterHandle = reload::Handle<EnvFilter, Registry>;

fn subscriber<W>(
    format: Format,
    level: &str,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync, FilterHandle), LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(level)?);
    // Colour belongs to a terminal; a log goes to a journal.
    let layer = fmt::layer().with_ansi(false).with_writer(writer);
    let layer = match format {
        Format::Text => layer.boxed(),
        Format::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
    };
    Ok((Registry::default().with(layer.with_filter(filter)), handle))
}

fn filter(text: &str) -> Result<EnvFilter, LogError> {
    let text = text.trim();
    let refused = || LogError::Filter(text.to_owned());
    let directives = match text.to_ascii_lowercase().as_str() {
        "info" | "debug" | "trace" => format!("warn,gatepost={text}"),
        "off" | "error" | "warn" => text.to_owned(),
        // The library takes a lone word for the name of a crate, and logs nothing of it.
        word if word.bytes().all(|byte| byte.is_ascii_alphanumeric()) => return Err(refused()),
        _ => text.to_owned(),
    };
    EnvFilter::try_new(&directives).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let (subscriber, _handle) = subscriber(format, filter, move || writer.clone()).expect(filter);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(listener = "edge\r\n220 forged", "listening");
            tracing::debug!("detail");
            tracing::info!(target: "hickory_net", "chatter");
            tracing::warn!(target: "hickory_net", "trouble");
        });
        let bytes = lines.0.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_level_is_about_our_own_events() {
        for (filter, count) in
            [("info", 2), ("debug", 3), ("error", 0), ("gatepost=info,hickory_net=info", 3), ("trace", 3)]
        {
            assert_eq!(logged(Format::Text, filter).lines().count(), count, "{filter}");
        }
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_at_the_top() {
        let text = logged(Format::Json, "info");
        let first: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
        assert_eq!((&first["message"], &first["level"]), (&"listening".into(), &"INFO".into()));
        assert_eq!(first["listener"], "edge\r\n220 forged");
    }

    #[test]
    fn no_value_begins_a_line_of_its_own() {
        for format in [Format::Text, Format::Json] {
            assert!(!logged(format, "info").lines().any(|line| line.starts_with("220")), "{format:?}");
        }
    }

    #[test]
    fn the_level_can_be_changed_while_it_runs() {
        let lines = Lines::default();
        let writer = lines.clone();
        let (subscriber, filter) = subscriber(Format::Text, "info", move || writer.clone()).expect("a level");
        let handle = Handle { filter: Some(filter) };
        tracing::subscriber::with_default(subscriber, || {
            for (level, text) in [("error", "first"), ("debug", "second"), ("nonsense", "third")] {
                handle.set_level(level);
                tracing::debug!("{text}");
            }
        });
        let text = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
        assert!(!text.contains("first") && text.contains("second") && text.contains("third"), "{text}");
    }

    #[test]
    fn nonsense_is_refused() {
        for filter in ["", "loud", "gatepost=loud"] {
            assert!(subscriber(Format::Text, filter, io::sink).is_err(), "{filter}");
        }
    }
}

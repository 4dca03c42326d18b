//! Dialogues: sessions played over pipes in paused time, against backends that do as a script says.
//!
//! [`world`] puts the proxy together, [`backend`] and [`client`] are its two sides, [`script`] reads a
//! dialogue, plays it and compares the whole transcript.

pub(crate) mod backend;
pub(crate) mod client;
pub(crate) mod script;
pub(crate) mod stream;
pub(crate) mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happened, in order, as lines of a transcript.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn push(&self, line: impl Into<String>) {
        self.lines().push(line.into());
    }

    /// What happened since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines())
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Octets as one printable line.
pub(crate) fn printable(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => octets.escape_ascii().to_string(),
    }
}

/// `\r`, `\n`, `\t`, `\\` and `\xHH` to octets.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'\\' {
            out.push(first);
            continue;
        }
        let (&kind, tail) = rest.split_first().expect("something behind the backslash");
        rest = tail;
        match kind {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'\\' => out.push(b'\\'),
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).expect("two digits");
                out.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
                rest = &rest[2..];
            }
            other => panic!("\\{} in `{text}`", char::from(other)),
        }
    }
    out
}

//! An immutable received message: its octets, and where its header section ends.
//!
//! One place decides the border between header section and body, for every reader of the message.

pub mod address;
pub mod attachments;
mod charset;
pub(crate) mod encoding;
pub mod fields;
mod fold;
pub mod header;
mod html;
pub mod language;
pub mod links;
pub mod model;
mod parameters;
mod parts;
pub mod received;
pub mod spelling;
pub mod text;
mod uuencode;
mod words;

use std::net::IpAddr;

pub use fold::fold;
pub use links::Links;
pub use model::Model;
pub use text::Text;

/// A message as it will be forwarded, the fields that we prepend aside.
#[derive(Debug)]
pub struct Message {
    /// Octets of the header section and the body, or only the first part of them if the message was
    /// spooled to a file (`len` then is larger than this).
    octets: Vec<u8>,
    len: u64,
    body: usize,
}

impl Message {
    /// Takes over the octets of a message. `len` is its whole length, `octets` at least its header section
    /// unless that alone is larger than what memory allows.
    pub fn new(octets: Vec<u8>, len: u64) -> Self {
        let body = header::body_offset(&octets);
        Self { octets, len, body }
    }

    /// The header section with the empty line that ends it, if there is one.
    pub fn header_section(&self) -> &[u8] {
        self.octets.get(..self.body).unwrap_or(&self.octets)
    }

    /// The body, as far as it is in memory.
    pub fn body(&self) -> &[u8] {
        self.octets.get(self.body..).unwrap_or_default()
    }

    /// All octets in memory.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The whole length in octets.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if the message has no octets.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The header fields, in order.
    pub fn fields(&self) -> header::Fields<'_> {
        header::Fields::new(self.header_section())
    }
}

/// The value of a field, or a part of one, as text: unfolded, its encoded words (RFC 2047) decoded, trimmed.
pub fn decoded(value: &[u8]) -> String {
    words::decoded(value).text
}

/// A client as trace fields name it: `name (confirmed [addr])`.
#[derive(Clone, Debug)]
pub struct ClientLabel {
    /// HELO name.
    pub helo: String,
    /// Confirmed name, if any.
    pub name: Option<String>,
    /// Address.
    pub addr: IpAddr,
}

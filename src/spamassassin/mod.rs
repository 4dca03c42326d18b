//! SpamAssassin's rules as they are: files of rules read, translated and run against a message.
//!
//! Nothing in such a file is executed. Expressions are translated for [`crate::pattern`]; tests that are code
//! (`eval:`) run where this crate has code of its own for them, and are listed as unsupported elsewhere.
//! Rules that ask DNS are not run: SPF, DKIM, DMARC and lists are checks of their own.

mod dates;
mod evals;
mod html;
mod interval;
mod mail;
mod markup;
mod message;
mod meta;
mod perl;
mod reader;
mod received;
mod relays;
mod replace;
mod request;
mod rule;
mod run;
mod set;
#[cfg(test)]
mod tests;
mod text;
mod uris;

pub use message::Envelope;
pub use reader::{Open, Problem};
pub use rule::Kind;
pub use run::Hit;
pub use set::{Report, RuleSet, Unsupported};

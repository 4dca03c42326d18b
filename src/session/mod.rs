//! One client connection: the dialogue, from greeting to close.
//!
//! [`machine`] says what a command means in the state that the dialogue is in, [`offer`] what a client is offered (no I/O,
//! no waiting);
//! [`driver`] awaits the client, `commands` and `receive` enact what it says; [`transaction`] and [`message`] carry one transaction from MAIL to
//! the verdict; [`relay`] speaks with the backend; `login` passes AUTH on to it, `ask` VRFY, EXPN and ETRN; [`refusal`] has all wording of replies.
//!
//! Promises: every command has exactly one reply, in order; a 250 for a message is the backend's own, or
//! repeats what it has said of the same message before.
//!
//! Failure: a client that leaves, stalls or breaks the protocol ends its own session only; a backend
//! that fails is a 4xx; a failure of ours is a 4xx.

mod ask;
mod authentication;
mod commands;
pub mod driver;
mod greet;
pub mod handover;
mod hops;
pub mod incoming;
pub mod known;
mod login;
pub mod machine;
mod manners;
pub mod message;
pub mod metrics;
pub mod offer;
mod origins;
mod partial;
mod receive;
pub mod recipients;
pub mod recording;
pub mod refusal;
pub mod relay;
pub mod settings;
pub mod shared;
pub mod splits;
pub mod spool;
mod together;
mod told;
pub mod transaction;
pub mod wire;

pub use driver::{refuse, serve};
pub use incoming::Incoming;
pub use metrics::Metrics;
pub use partial::Partial;
pub use recipients::RecipientMatcher;
pub use settings::Settings;
pub use shared::Shared;

//! Gatepost: an anti-spam filtering SMTP proxy.
//!
//! It stands before an existing mail server, runs every SMTP session through a pipeline of
//! checks, and then rejects, defers or forwards. It never owns a message: the `250` after the
//! final dot is always the backend's.
//!
//! A message passes through these modules, top to bottom:
//!
//! 1. [`net`] accepts the connection, [`session`] holds the dialogue (its words are [`smtp`]'s);
//! 2. each new fact ([`facts`]) goes to [`pipeline`], which starts the [`checks`] that waited for it;
//! 3. their findings fill a [`scoring::Scorecard`], which [`policy`] reads;
//! 4. the [`verdict`] comes back to [`session`]: refuse, or relay through [`backend`].
//!
//! Four verbs, four places: a check observes, the scorecard weighs, the policy decides, the
//! session enacts. `docs/architecture.md` draws the house; `tests/layers.rs` keeps its arrows
//! pointing downwards.

pub mod backend;
pub mod checks;
pub mod classifier;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dns;
pub mod facts;
pub mod fit;
pub mod message;
pub mod net;
pub mod pattern;
pub mod pipeline;
pub mod policy;
pub mod records;
pub mod reports;
pub mod scoring;
pub mod server;
pub mod session;
pub mod similarity;
pub mod smtp;
pub mod spamassassin;
pub mod store;
pub mod telemetry;
pub mod units;
pub mod verdict;

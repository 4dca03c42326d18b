//! The real mail server behind us, seen as an SMTP server.

pub mod settings;

pub use settings::Settings;

//! One client connection: the dialogue, from greeting to close.

pub mod incoming;
pub mod settings;

pub use incoming::Incoming;
pub use settings::Settings;

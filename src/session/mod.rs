//! One client connection: the dialogue, from greeting to close.

pub mod settings;

pub use settings::Settings;

//! One client connection: the dialogue, from greeting to close.

pub mod recipients;
pub mod settings;

pub use recipients::RecipientMatcher;
pub use settings::Settings;

//! The files in `rules/`: what judges, as it is written.

mod authentication;
mod bulk;
mod classifier;
mod content;
mod greylist;
mod lists;
mod policy;
mod rates;
mod reputation;
mod spamassassin;
mod traps;
mod trust;
mod weights;

pub use authentication::*;
pub use bulk::*;
pub use classifier::*;
pub use content::*;
pub use greylist::*;
pub use lists::*;
pub use policy::*;
pub use rates::*;
pub use reputation::*;
pub use spamassassin::*;
pub use traps::*;
pub use trust::*;
pub use weights::*;

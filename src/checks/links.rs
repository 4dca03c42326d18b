//! The links of a message, for all lists that ask about them.

use super::model::model;
use crate::facts::MessageFacts;
use crate::message::Links;

/// What the message points to.
pub async fn links(facts: &MessageFacts) -> &Links {
    &model(facts).await.found
}

//! Messages that say the same, as operations of the domain: campaigns, and what is known of who sends them.
//!
//! A home keeps counts and no verdict; what follows from them is `checks::bulk`'s business. It keeps no
//! text either: digests made with a secret of the home, and names of domains.

pub(super) mod cards;
pub(super) mod clusters;
mod distinct;
pub(super) mod local;

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::StoreError;
use crate::similarity::Digest;

/// Names a campaign for as long as it is remembered; an older campaign has a smaller number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CampaignId(pub u64);

/// By what a message is found to belong to a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of what a reader sees, under [`Campaigns::campaign_key`].
    pub digest: Digest,
    /// Of each attachment, exactly, under the same key; bounded by who makes it.
    pub attachments: Vec<u64>,
}

/// One message, as its campaign counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignSighting {
    /// By what it is found.
    pub fingerprint: Fingerprint,
    /// The client's network (v4 /24, v6 /64), as a number of any kind: only how many there are is kept.
    pub network: u64,
    /// The domain of the reverse-path, or of the author for the null reverse-path.
    pub sender_domain: Option<Arc<str>>,
    /// The registered domain that authenticates the message, by SPF or DKIM.
    pub authenticated: Option<Arc<str>>,
    /// That domain is the author's.
    pub is_aligned: bool,
    /// It has List-Id.
    pub has_list_id: bool,
    /// It offers to unsubscribe with one click (RFC 8058).
    pub has_unsubscribe: bool,
    /// Recipients that the backend accepted.
    pub known_recipients: u32,
    /// Recipients that do not exist.
    pub unknown_recipients: u32,
    /// Recipients that are traps.
    pub traps: u32,
    /// It was deferred and will come again: everything counts but its volume and its recipients.
    pub is_deferred: bool,
}

/// What an operator, or a trap, said of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Unwanted.
    Spam,
    /// Wanted.
    Ham,
}

/// What is known of a campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct Campaign {
    /// Its name.
    pub id: CampaignId,
    /// How alike the message that was asked for is, in percent; 100 where none was.
    pub similarity: f32,
    /// Found by an attachment alone.
    pub by_attachment: bool,
    /// The first message and the last one.
    pub first: SystemTime,
    /// See `first`.
    pub last: SystemTime,
    /// Messages that were counted.
    pub volume: u64,
    /// Of these, how many authenticated, how many as their author, with List-Id, with one-click unsubscribe.
    pub authenticated: u64,
    /// See `authenticated`.
    pub aligned: u64,
    /// See `authenticated`.
    pub with_list_id: u64,
    /// See `authenticated`.
    pub with_unsubscribe: u64,
    /// Recipients that exist, that do not, and that are traps.
    pub known_recipients: u64,
    /// See `known_recipients`.
    pub unknown_recipients: u64,
    /// See `known_recipients`.
    pub traps: u64,
    /// About how many different client networks, sender domains, authenticated domains.
    pub networks: u64,
    /// See `networks`.
    pub sender_domains: u64,
    /// See `networks`.
    pub authenticated_domains: u64,
    /// Some of its sender domains, for operators; bounded.
    pub examples: Vec<Arc<str>>,
    /// How often it was learned as spam and as ham.
    pub spam: u32,
    /// See `spam`.
    pub ham: u32,
}

/// Campaigns of the last hours or days.
///
/// Each operation is atomic, and at most one round trip.
pub trait Campaigns: Send + Sync + 'static {
    /// What digests of messages are made with. It never changes while a home is open.
    fn campaign_key(&self) -> u64;

    /// The campaign that a message belongs to, as it was before the message.
    fn campaign_look<'a>(
        &'a self,
        fingerprint: &'a Fingerprint,
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Option<Campaign>, StoreError>>;

    /// Counts a message in its campaign, which it begins if there is none.
    fn campaign_note(&self, sighting: CampaignSighting, at: SystemTime) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Remembers what was said of a message; returns its campaign, which begins if there is none. A fingerprint
    /// that has nothing to be found by is an error.
    fn campaign_learn(
        &self,
        fingerprint: Fingerprint,
        learned: Learned,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<CampaignId, StoreError>>;

    /// The largest, by volume; at most so many.
    fn campaign_top(&self, most: usize, at: SystemTime) -> BoxFuture<'_, Result<Vec<Campaign>, StoreError>>;

    /// One of them, by its name.
    fn campaign_show(&self, id: CampaignId, at: SystemTime) -> BoxFuture<'_, Result<Option<Campaign>, StoreError>>;
}

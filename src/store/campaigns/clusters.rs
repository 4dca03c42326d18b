//! Which messages belong together: digests of the window by likeness, attachments exactly.
//!
//! Promises: a search takes some ten microseconds whatever is remembered. Of clusters that are about equally
//! alike the oldest wins, so that homes which hear of each other's messages ([`Clusters::adopt`]) come to the
//! same names. Memory is bounded: [`crate::similarity::BYTES_PER_ENTRY`] for each digest, and for every fourth
//! of them one attachment of about 90 octets.
//!
//! Failure: none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lru::LruCache;

use super::{CampaignId, Fingerprint};
use crate::clock::seconds;
use crate::similarity::{Evidence, Found, Gone, Index, Kept, Limits, Match, Recorded};

/// Matches that are less alike than the best by no more percent are as good.
const ABOUT: f32 = 10.0;
/// Random bits of a name, below the milliseconds.
const RANDOM_BITS: u32 = 16;
/// The precision of the window is one in so many.
const STEPS: u32 = 144;
/// Digests for each attachment that is remembered.
const DIGESTS_PER_ATTACHMENT: usize = 4;

/// Digests and attachments of the window.
pub(in crate::store) struct Clusters {
    index: Index,
    /// The one not seen for longest goes first.
    attachments: LruCache<u64, Attached>,
    most_attachments: usize,
    window: u64,
    /// The youngest name that was given.
    youngest: u64,
    gone: Gone,
}

/// Whose an attachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Attached {
    pub(in crate::store) cluster: CampaignId,
    /// When it was last seen, in seconds since 1970.
    pub(in crate::store) seen: u64,
}

/// Where a message belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::store) struct Member {
    pub(in crate::store) id: CampaignId,
    /// In percent.
    pub(in crate::store) similarity: f32,
    pub(in crate::store) by_attachment: bool,
}

/// What has changed, for who writes it down or tells others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Change {
    /// A place of the index has this entry now, whatever it had before.
    Digest(usize, Kept),
    /// A place of the index is no more.
    NoDigest(usize),
    /// An attachment is of this cluster now.
    Attachment(u64, Attached),
    /// Nothing is known of an attachment any more.
    NoAttachment(u64),
}

/// How much there is, and how much had to go since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct ClusterCount {
    pub(in crate::store) digests: usize,
    pub(in crate::store) attachments: usize,
    /// Digests and attachments.
    pub(in crate::store) gone: Gone,
}

impl Clusters {
    /// Empty; with room for so many digests.
    pub(in crate::store) fn new(digests: usize, window: Duration) -> Self {
        let step = (window / STEPS).max(Duration::from_secs(1));
        Self {
            index: Index::new(Limits { entries: digests, window, step }),
            attachments: LruCache::unbounded(),
            most_attachments: (digests / DIGESTS_PER_ATTACHMENT).max(1),
            window: window.as_secs(),
            youngest: 0,
            gone: Gone::default(),
        }
    }

    /// The cluster that a message belongs to, if there is one.
    pub(in crate::store) fn find(&self, fingerprint: &Fingerprint, at: SystemTime) -> Option<Member> {
        self.member(fingerprint, &self.index.search(&fingerprint.digest, since(at)), at)
    }

    /// Puts a message where it belongs, into a new cluster if there is none; tells `changed` what that changes.
    /// `None` if there is nothing to find it by.
    pub(in crate::store) fn join(
        &mut self,
        fingerprint: &Fingerprint,
        at: SystemTime,
        changed: &mut Vec<Change>,
    ) -> Option<Member> {
        if fingerprint.is_empty() {
            return None;
        }
        let found = self.index.search(&fingerprint.digest, since(at));
        let member = self.member(fingerprint, &found, at);
        let member = member.unwrap_or_else(|| Member { id: self.name(at), similarity: 100.0, by_attachment: false });
        self.file(fingerprint, member, &found, at, changed);
        Some(member)
    }

    /// Puts a message where somebody else has put it.
    #[allow(dead_code, reason = "only a home that shares its campaigns with others hears of theirs")]
    pub(in crate::store) fn adopt(
        &mut self,
        fingerprint: &Fingerprint,
        id: CampaignId,
        at: SystemTime,
        changed: &mut Vec<Change>,
    ) {
        let found = self.index.search(&fingerprint.digest, since(at));
        self.file(fingerprint, Member { id, similarity: 100.0, by_attachment: false }, &found, at, changed);
    }

    /// Keeps places free for what will be restored, so that nothing else takes them.
    pub(in crate::store) fn reserve(&mut self, places: usize) {
        self.index.reserve(places);
    }

    /// Takes back what was written down before. False if there is no room for it, so that it can be forgotten;
    /// what has happened meanwhile is not undone.
    pub(in crate::store) fn restore(&mut self, change: &Change) -> bool {
        match change {
            Change::Digest(place, kept) => {
                self.youngest = self.youngest.max(kept.cluster);
                self.index.restore(*place, kept) || self.index.kept(*place).is_some()
            }
            Change::Attachment(hash, attached) => {
                if self.attachments.len() >= self.most_attachments && !self.attachments.contains(hash) {
                    return false;
                }
                self.attachments.get_or_insert(*hash, || *attached);
                true
            }
            Change::NoDigest(_) | Change::NoAttachment(_) => true,
        }
    }

    pub(in crate::store) fn count(&self) -> ClusterCount {
        let Gone { expired, displaced } = self.index.gone();
        let gone = Gone { expired: self.gone.expired + expired, displaced: self.gone.displaced + displaced };
        ClusterCount { digests: self.index.len(), attachments: self.attachments.len(), gone }
    }

    fn member(&self, fingerprint: &Fingerprint, found: &Found, at: SystemTime) -> Option<Member> {
        let best = found.matches().next().map_or(0.0, |best| best.similarity);
        let as_good = found.matches().take_while(|found| found.similarity >= best - ABOUT);
        let by_text = as_good.min_by_key(|found| found.cluster).map(|Match { cluster, similarity }| Member {
            id: CampaignId(cluster),
            similarity,
            by_attachment: false,
        });
        let now = seconds(at);
        let is_alive = |attached: &&Attached| attached.seen.saturating_add(self.window) >= now;
        let known = fingerprint.attachments.iter().filter_map(|hash| self.attachments.peek(hash).filter(is_alive));
        let by_attachment = known.map(|attached| attached.cluster).min().map(|id| Member {
            id,
            similarity: 100.0,
            by_attachment: true,
        });
        // A few words around an attachment say less than the attachment.
        match fingerprint.digest.evidence() {
            Evidence::None | Evidence::Weak => by_attachment.or(by_text),
            Evidence::Fair | Evidence::Strong => by_text.or(by_attachment),
        }
    }

    fn file(
        &mut self,
        fingerprint: &Fingerprint,
        member: Member,
        found: &Found,
        at: SystemTime,
        changed: &mut Vec<Change>,
    ) {
        // Whoever writes something else around a known attachment need not say the same as others who do.
        if !member.by_attachment {
            let (recorded, place) = self.index.record_found(&fingerprint.digest, member.id.0, found, since(at));
            if let (Recorded::Added | Recorded::Refreshed, Some(place)) = (recorded, place) {
                changed.extend(self.index.kept(place).map(|kept| Change::Digest(place, kept)));
            }
        }
        let (now, step) = (seconds(at), self.window / u64::from(STEPS));
        for hash in &fingerprint.attachments {
            let known = self.attachments.get(hash).copied();
            let known = known.filter(|attached| attached.seen.saturating_add(self.window) >= now);
            let attached =
                Attached { cluster: known.map_or(member.id, |known| known.cluster.min(member.id)), seen: now };
            // Not with each copy: to the precision of the window is enough.
            if known.is_none_or(|known| known.seen.saturating_add(step) < now) {
                self.attachments.put(*hash, attached);
                changed.push(Change::Attachment(*hash, attached));
            }
        }
        while self.attachments.len() > self.most_attachments
            && let Some((hash, old)) = self.attachments.pop_lru()
        {
            match old.seen.saturating_add(self.window) < now {
                true => self.gone.expired += 1,
                false => self.gone.displaced += 1,
            }
            changed.push(Change::NoAttachment(hash));
        }
    }

    /// A name for a new cluster: older ones have smaller names, and two homes hardly ever give the same.
    fn name(&mut self, at: SystemTime) -> CampaignId {
        let milliseconds = u64::try_from(since(at).as_millis()).unwrap_or(0) & (u64::MAX >> RANDOM_BITS);
        let name = milliseconds << RANDOM_BITS | u64::from(rand::random::<u16>());
        self.youngest = if self.youngest >> RANDOM_BITS == milliseconds { self.youngest + 1 } else { name };
        CampaignId(self.youngest)
    }
}

fn since(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! Campaigns in Redis.
//!
//! Which campaign a message belongs to each proxy finds in its own memory; what a proxy files there, the others hear
//! through a log in Redis, which each follows from the beginning of the window ([`follow`]). The cards of
//! campaigns are in Redis alone, each in a slot of its own. Two proxies that meet the same new text at the same
//! moment begin two campaigns; once they have heard of each other the older one wins, and the other fades.
//!
//! To look is one round trip; to note is one, to two slots at once; only a list for operators takes two.

mod follow;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::RedisStore;
use super::failure::Failure;
use super::link::Link;
use super::script::{Call, scripts};
use crate::clock::seconds;
use crate::store::campaigns::clusters::{Change, Clusters, Member};
use crate::store::metrics::Operation;
use crate::store::record::time;
use crate::store::{Campaign, CampaignId, CampaignSighting, Campaigns, Fingerprint, Learned, Settings, StoreError};

scripts! {
    CARD = "campaign_card.lua";
    LOG = "campaign_log.lua";
}

/// Sender domains that are named.
const EXAMPLES: usize = 8;
/// Octets of the longest name of a domain.
const LONGEST_DOMAIN: usize = 253;
/// What goes is an hour late, because clocks differ.
const LATE: Duration = Duration::from_secs(3600);
/// A list may take so much longer than other operations.
const PATIENCE: u32 = 10;
/// Campaigns that are told later, at most.
const UNSAID: usize = 100_000;
/// Campaigns that a list shows at most.
const LISTED: usize = 1000;

/// What one proxy needs for that.
pub(super) struct Bulk {
    clusters: Arc<RwLock<Clusters>>,
    /// Tells what we have filed ourselves.
    own: u64,
    window: Duration,
    /// Campaigns of which the others have not heard, because Redis was gone.
    unsaid: Mutex<HashSet<CampaignId>>,
}

/// What is added to a card.
#[derive(Default)]
struct Addition {
    network: Vec<u8>,
    sender_domain: String,
    authenticated: String,
    counts: Vec<(&'static str, u32)>,
}

// === impl Bulk ===

impl Bulk {
    /// Knows nothing yet, and begins to hear of others.
    pub(super) fn new(settings: &Settings, link: &Link, now: SystemTime) -> Self {
        let clusters = Arc::new(RwLock::new(Clusters::new(settings.digests, settings.campaign_window)));
        let (own, window) = (rand::random(), settings.campaign_window);
        let from = now.checked_sub(window).unwrap_or(SystemTime::UNIX_EPOCH);
        link.spawn(follow::follow(link.weak(), Arc::downgrade(&clusters), own, from));
        Self { clusters, own, window, unsaid: Mutex::default() }
    }

    fn find(&self, fingerprint: &Fingerprint, at: SystemTime) -> Option<Member> {
        self.clusters.read().unwrap_or_else(PoisonError::into_inner).find(fingerprint, at)
    }

    /// The campaign of a message, and whether there is something that others must hear.
    fn join(&self, fingerprint: &Fingerprint, at: SystemTime) -> Option<(CampaignId, bool)> {
        let mut changed = Vec::new();
        let member =
            self.clusters.write().unwrap_or_else(PoisonError::into_inner).join(fingerprint, at, &mut changed)?;
        let is_news = changed.iter().any(|change| matches!(change, Change::Digest(..) | Change::Attachment(..)));
        // The text beside an attachment is not the campaign's: nobody else must take it for that.
        Some((member.id, !member.by_attachment && (self.unsaid().remove(&member.id) || is_news)))
    }

    /// The others must hear of it another time.
    fn keep_in_mind(&self, id: CampaignId) {
        let mut unsaid = self.unsaid();
        if unsaid.len() < UNSAID {
            unsaid.insert(id);
        }
    }

    fn unsaid(&self) -> MutexGuard<'_, HashSet<CampaignId>> {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Addition ===

impl From<&CampaignSighting> for Addition {
    fn from(sighting: &CampaignSighting) -> Self {
        let name = |domain: &Option<Arc<str>>| {
            domain.as_deref().filter(|domain| domain.len() <= LONGEST_DOMAIN).unwrap_or_default().to_owned()
        };
        let is_authenticated = sighting.authenticated.is_some();
        let mut counts = vec![("traps", sighting.traps)];
        if !sighting.is_deferred {
            counts.extend([
                ("volume", 1),
                ("authenticated", is_authenticated.into()),
                ("aligned", (is_authenticated && sighting.is_aligned).into()),
                ("list_id", sighting.has_list_id.into()),
                ("unsubscribe", sighting.has_unsubscribe.into()),
                ("known", sighting.known_recipients),
                ("unknown", sighting.unknown_recipients),
            ]);
        }
        counts.retain(|(_, count)| *count > 0);
        Self {
            network: sighting.network.to_le_bytes().into(),
            sender_domain: name(&sighting.sender_domain),
            authenticated: name(&sighting.authenticated),
            counts,
        }
    }
}

impl RedisStore {
    fn card(&self, id: CampaignId, at: SystemTime) -> Call {
        let base = format!("{}{{c{:x}}}", self.link.prefix(), id.0);
        CARD.at(base).arg(seconds(at)).arg((self.bulk.window + LATE).as_secs())
    }

    async fn cards(&self, ids: &[CampaignId], at: SystemTime, patience: u32) -> Result<Vec<Campaign>, Failure> {
        let calls: Vec<Call> = ids.iter().map(|id| self.card(*id, at)).collect();
        let answers: Vec<Vec<String>> = self.link.ask_within(&calls, self.deadline * patience).await?;
        let alive = |campaign: &Campaign| campaign.last + self.bulk.window >= at;
        Ok(ids.iter().zip(&answers).filter_map(|(id, answer)| campaign(*id, answer)).filter(alive).collect())
    }

    /// Adds to the card, and tells the others what they must hear.
    async fn add(
        &self,
        (id, is_news): (CampaignId, bool),
        fingerprint: &Fingerprint,
        addition: Addition,
        at: SystemTime,
    ) -> Result<(), Failure> {
        let count = |name| addition.counts.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count);
        let volume = count("volume");
        let is_learned = ["traps", "spam", "ham"].into_iter().any(|name| count(name) > 0);
        let mut card = self.card(id, at).arg(1).arg(addition.network).arg(addition.sender_domain);
        card = card.arg(addition.authenticated).arg(EXAMPLES);
        for (name, count) in addition.counts {
            card.push(name);
            card.push(count);
        }
        let mut log = LOG.at(follow::base(self.link.prefix())).arg(format!("{:016x}", id.0)).arg(seconds(at));
        log = log.arg(volume).arg(u8::from(is_learned)).arg(self.bulk.window.as_secs());
        log = log.arg(self.settings.campaigns.max(1)).arg(self.settings.digests.max(1));
        if is_news {
            let attachments: Vec<u8> = fingerprint.attachments.iter().flat_map(|hash| hash.to_le_bytes()).collect();
            log = log.arg(self.bulk.own).arg(&fingerprint.digest.octets()[..]).arg(attachments);
        }
        let answers = self.link.ask::<Vec<String>>(&[card, log]).await;
        let answers = answers.inspect_err(|_| self.bulk.keep_in_mind(id))?;
        let gone = answers.into_iter().flatten().filter_map(|id| u64::from_str_radix(&id, 16).ok());
        self.forget_cards(gone.map(CampaignId).collect());
        Ok(())
    }

    /// Nobody waits for that: what is not forgotten now expires by itself.
    fn forget_cards(&self, gone: Vec<CampaignId>) {
        if gone.is_empty() {
            return;
        }
        let link = self.link.weak();
        self.link.spawn(async move {
            if let Some(link) = link.upgrade() {
                let keys = gone.iter().map(|id| format!("{}{{c{:x}}}", link.prefix(), id.0));
                let keys = keys.map(|base| ["card", "n", "s", "a"].map(|name| format!("{base}{name}")));
                link.forget(keys.collect()).await;
            }
        });
    }

    async fn top(&self, most: usize, at: SystemTime) -> Result<Vec<Campaign>, Failure> {
        let most = most.min(LISTED);
        let mut largest = redis::cmd("ZREVRANGE");
        largest.arg(format!("{}top", follow::base(self.link.prefix()))).arg(0).arg(most.saturating_sub(1));
        let ids: Vec<String> = if most == 0 { Vec::new() } else { self.link.query(&largest).await? };
        let ids = ids.iter().filter_map(|id| u64::from_str_radix(id, 16).ok()).map(CampaignId);
        self.cards(&ids.collect::<Vec<_>>(), at, PATIENCE).await
    }
}

impl Campaigns for RedisStore {
    fn campaign_key(&self) -> u64 {
        self.link.shared().campaign_key
    }

    fn campaign_look<'a>(
        &'a self,
        fingerprint: &'a Fingerprint,
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Option<Campaign>, StoreError>> {
        Box::pin(async move {
            let look = async {
                let Some(member) = self.bulk.find(fingerprint, at) else { return Ok(None) };
                let Member { id, similarity, by_attachment } = member;
                let found = self.cards(&[id], at, 1).await?.pop();
                Ok(found.map(|campaign| Campaign { similarity, by_attachment, ..campaign }))
            };
            match self.try_shared(Operation::CampaignLook, look).await {
                Some(None) if self.has_local() => self.local.campaign_look(fingerprint, at).await,
                Some(found) => Ok(found),
                None => self.local.campaign_look(fingerprint, at).await,
            }
        })
    }

    fn campaign_note(&self, sighting: CampaignSighting, at: SystemTime) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let Some(joined) = self.bulk.join(&sighting.fingerprint, at) else { return Ok(()) };
            let added = self.add(joined, &sighting.fingerprint, Addition::from(&sighting), at);
            match self.try_shared(Operation::CampaignNote, added).await {
                Some(()) => Ok(()),
                None => self.local.campaign_note(sighting, at).await,
            }
        })
    }

    fn campaign_learn(
        &self,
        fingerprint: Fingerprint,
        learned: Learned,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<CampaignId, StoreError>> {
        Box::pin(async move {
            let Some(joined) = self.bulk.join(&fingerprint, at) else {
                return Err(StoreError::Unavailable("there is nothing in the message to find it by".to_owned()));
            };
            let name = if learned == Learned::Spam { "spam" } else { "ham" };
            let addition = Addition { counts: vec![(name, 1)], ..Addition::default() };
            let added = self.add(joined, &fingerprint, addition, at);
            match self.try_shared(Operation::CampaignLearn, added).await {
                Some(()) => Ok(joined.0),
                None => self.local.campaign_learn(fingerprint, learned, at).await,
            }
        })
    }

    fn campaign_top(&self, most: usize, at: SystemTime) -> BoxFuture<'_, Result<Vec<Campaign>, StoreError>> {
        Box::pin(async move {
            let mut largest = self.try_shared(Operation::CampaignTop, self.top(most, at)).await.unwrap_or_default();
            if self.has_local() {
                largest.extend(self.local.campaign_top(most, at).await?);
            }
            largest.sort_by(|a, b| b.volume.cmp(&a.volume).then(a.id.cmp(&b.id)));
            largest.truncate(most);
            Ok(largest)
        })
    }

    fn campaign_show(&self, id: CampaignId, at: SystemTime) -> BoxFuture<'_, Result<Option<Campaign>, StoreError>> {
        Box::pin(async move {
            let shown = async { Ok(self.cards(&[id], at, 1).await?.pop()) };
            match self.try_shared(Operation::CampaignShow, shown).await {
                Some(Some(campaign)) => Ok(Some(campaign)),
                _ => self.local.campaign_show(id, at).await,
            }
        })
    }
}

fn campaign(id: CampaignId, answer: &[String]) -> Option<Campaign> {
    let ([networks, sender_domains, authenticated_domains], fields) = answer.split_first_chunk()?;
    let mut counts: HashMap<&str, u64> = HashMap::new();
    let mut examples = Vec::new();
    for pair in fields.chunks_exact(2) {
        let [name, value] = pair else { continue };
        match name.strip_prefix("x:") {
            Some(domain) => examples.push(domain.into()),
            None => drop(counts.insert(name, value.parse().ok()?)),
        }
    }
    examples.sort();
    let count = |name| counts.get(name).copied().unwrap_or(0);
    Some(Campaign {
        id,
        similarity: 100.0,
        by_attachment: false,
        first: time(count("first")),
        last: time(count("last")),
        volume: count("volume"),
        authenticated: count("authenticated"),
        aligned: count("aligned"),
        with_list_id: count("list_id"),
        with_unsubscribe: count("unsubscribe"),
        known_recipients: count("known"),
        unknown_recipients: count("unknown"),
        traps: count("traps"),
        networks: networks.parse().ok()?,
        sender_domains: sender_domains.parse().ok()?,
        authenticated_domains: authenticated_domains.parse().ok()?,
        examples,
        spam: u32::try_from(count("spam")).unwrap_or(u32::MAX),
        ham: u32::try_from(count("ham")).unwrap_or(u32::MAX),
    })
}

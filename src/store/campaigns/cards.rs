//! The cards of all campaigns of a home: what is counted of each, within a bound.
//!
//! Promises: nothing waits for anything but a short lock, which the owner has. Cards are bounded and kept on
//! three shelves, so that whoever sends many different texts gives up his own: those of one network, those
//! of several, and those that were learned from. The first kind always has a quarter of the room, and displaces
//! none of the others; the last gives last, unless it takes half. Within each shelf the one goes first that was
//! not seen for longest. What was not seen for the window is forgotten, a little with each note.
//!
//! Memory, its place in the tables included: about 400 octets for a card of one message, at most 1600 for any.
//!
//! Failure: none.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::distinct::Distinct;
use super::{Campaign, CampaignId, CampaignSighting, Learned};
use crate::clock::doubt::Doubt;
use crate::clock::seconds;
use crate::store::record::time;

/// Sender domains that are named.
const EXAMPLES: usize = 8;
/// Octets of the longest name of a domain.
const LONGEST_DOMAIN: usize = 253;
/// Cards of each shelf that one step of forgetting takes away.
const SWEPT_AT_ONCE: usize = 16;

/// What is counted of one campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Card {
    first: u32,
    last: u32,
    volume: u32,
    authenticated: u32,
    aligned: u32,
    with_list_id: u32,
    with_unsubscribe: u32,
    known_recipients: u32,
    unknown_recipients: u32,
    traps: u32,
    spam: u32,
    ham: u32,
    networks: Distinct,
    sender_domains: Distinct,
    authenticated_domains: Distinct,
    examples: Vec<Arc<str>>,
}

/// Cards of all campaigns.
pub(in crate::store) struct Cards {
    bound: usize,
    window: u64,
    /// What names are hashed with.
    key: u64,
    cards: HashMap<CampaignId, Card>,
    /// By [`Card::shelf`]: the one not seen for longest first.
    shelves: [BTreeSet<(u32, CampaignId)>; 3],
    expired: u64,
    displaced: u64,
    doubt: Doubt,
}

/// How many there are, and how many had to go since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct CardCount {
    pub(in crate::store) cards: usize,
    pub(in crate::store) expired: u64,
    pub(in crate::store) displaced: u64,
}

// === impl Card ===

impl Card {
    fn shelf(&self) -> usize {
        let is_learned = self.traps > 0 || self.spam > 0 || self.ham > 0;
        if is_learned { 2 } else { usize::from(self.networks.count() > 1) }
    }

    fn note(&mut self, sighting: &CampaignSighting, key: u64) {
        let mut is_new = false;
        self.networks.add(hash_of(&sighting.network.to_le_bytes(), key));
        if let Some(domain) = &sighting.sender_domain {
            let before = self.sender_domains.count();
            self.sender_domains.add(hash_of(domain.as_bytes(), key));
            is_new = self.sender_domains.count() > before;
        }
        if let Some(domain) = &sighting.authenticated {
            self.authenticated_domains.add(hash_of(domain.as_bytes(), key));
        }
        if let Some(domain) = sighting.sender_domain.as_ref().filter(|_| is_new && self.examples.len() < EXAMPLES)
            && domain.len() <= LONGEST_DOMAIN
            && !self.examples.contains(domain)
        {
            self.examples.reserve_exact(1);
            self.examples.push(domain.clone());
        }
        self.traps = self.traps.saturating_add(sighting.traps);
        if sighting.is_deferred {
            return;
        }
        let add = |count: &mut u32, more: u32| *count = count.saturating_add(more);
        add(&mut self.volume, 1);
        add(&mut self.authenticated, sighting.authenticated.is_some().into());
        add(&mut self.aligned, (sighting.authenticated.is_some() && sighting.is_aligned).into());
        add(&mut self.with_list_id, sighting.has_list_id.into());
        add(&mut self.with_unsubscribe, sighting.has_unsubscribe.into());
        add(&mut self.known_recipients, sighting.known_recipients);
        add(&mut self.unknown_recipients, sighting.unknown_recipients);
    }

    /// As others see it; found by itself.
    pub(in crate::store) fn campaign(&self, id: CampaignId) -> Campaign {
        Campaign {
            id,
            similarity: 100.0,
            by_attachment: false,
            first: time(self.first.into()),
            last: time(self.last.into()),
            volume: self.volume.into(),
            authenticated: self.authenticated.into(),
            aligned: self.aligned.into(),
            with_list_id: self.with_list_id.into(),
            with_unsubscribe: self.with_unsubscribe.into(),
            known_recipients: self.known_recipients.into(),
            unknown_recipients: self.unknown_recipients.into(),
            traps: self.traps.into(),
            networks: self.networks.count(),
            sender_domains: self.sender_domains.count(),
            authenticated_domains: self.authenticated_domains.count(),
            examples: self.examples.clone(),
            spam: self.spam,
            ham: self.ham,
        }
    }

    fn numbers(&mut self) -> [&mut u32; 12] {
        [
            &mut self.first,
            &mut self.last,
            &mut self.volume,
            &mut self.authenticated,
            &mut self.aligned,
            &mut self.with_list_id,
            &mut self.with_unsubscribe,
            &mut self.known_recipients,
            &mut self.unknown_recipients,
            &mut self.traps,
            &mut self.spam,
            &mut self.ham,
        ]
    }

    /// As it is written down: numbers, sets, then names behind their lengths.
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(128);
        let mut copy = Self { examples: Vec::new(), ..self.clone() };
        copy.numbers().into_iter().for_each(|number| octets.extend(number.to_le_bytes()));
        [&self.networks, &self.sender_domains, &self.authenticated_domains]
            .into_iter()
            .for_each(|set| set.encode(&mut octets));
        for example in &self.examples {
            octets.push(example.len() as u8);
            octets.extend(example.as_bytes());
        }
        octets
    }

    /// What was written down; `None` if it is not to be read.
    pub(in crate::store) fn decode(octets: &[u8]) -> Option<Self> {
        let (mut card, mut rest) = (Self::default(), octets);
        for number in card.numbers() {
            let (octets, behind) = rest.split_first_chunk()?;
            (*number, rest) = (u32::from_le_bytes(*octets), behind);
        }
        (card.networks, rest) = Distinct::decode(rest)?;
        (card.sender_domains, rest) = Distinct::decode(rest)?;
        (card.authenticated_domains, rest) = Distinct::decode(rest)?;
        while let Some((length, behind)) = rest.split_first() {
            let (name, behind) = behind.split_at_checked((*length).into())?;
            card.examples.push(str::from_utf8(name).ok()?.into());
            rest = behind;
        }
        card.examples.truncate(EXAMPLES);
        Some(card)
    }
}

// === impl Cards ===

impl Cards {
    /// With `known`, which a file has told. Names are hashed with `key`.
    pub(in crate::store) fn new(
        bound: usize,
        window: Duration,
        key: u64,
        known: impl IntoIterator<Item = (CampaignId, Card)>,
        now: SystemTime,
    ) -> Self {
        let mut cards = Self {
            bound: bound.max(4),
            window: window.as_secs(),
            key,
            cards: HashMap::new(),
            shelves: Default::default(),
            expired: 0,
            displaced: 0,
            doubt: Doubt::new(seconds(now)),
        };
        for (id, card) in known {
            cards.put(id, card);
        }
        cards
    }

    /// A card, if it has not been forgotten.
    pub(in crate::store) fn get(&self, id: CampaignId, at: SystemTime) -> Option<&Card> {
        self.cards.get(&id).filter(|card| self.is_alive(card, seconds(at)))
    }

    /// Counts a message; returns the campaigns that have gone.
    pub(in crate::store) fn note(
        &mut self,
        id: CampaignId,
        sighting: &CampaignSighting,
        at: SystemTime,
    ) -> Vec<CampaignId> {
        let key = self.key;
        self.change(id, at, |card| card.note(sighting, key))
    }

    /// Remembers what was said of a message; returns the campaigns that have gone.
    pub(in crate::store) fn learn(&mut self, id: CampaignId, learned: Learned, at: SystemTime) -> Vec<CampaignId> {
        self.change(id, at, |card| {
            let count = match learned {
                Learned::Spam => &mut card.spam,
                Learned::Ham => &mut card.ham,
            };
            *count = count.saturating_add(1);
        })
    }

    /// The largest by volume, the older of two that are equal.
    pub(in crate::store) fn top(&self, most: usize, at: SystemTime) -> Vec<Campaign> {
        let now = seconds(at);
        let mut largest = BinaryHeap::new();
        for (id, card) in self.cards.iter().filter(|(_, card)| self.is_alive(card, now)) {
            largest.push(Reverse((card.volume, Reverse(*id))));
            if largest.len() > most {
                largest.pop();
            }
        }
        let largest = largest.into_sorted_vec().into_iter();
        largest.filter_map(|Reverse((_, Reverse(id)))| Some(self.cards.get(&id)?.campaign(id))).collect()
    }

    /// Takes away what is more than the bound; returns what it was.
    pub(in crate::store) fn make_room(&mut self) -> Vec<CampaignId> {
        let mut gone = Vec::new();
        while self.cards.len() > self.bound {
            let [narrow, broad, learned] = &self.shelves;
            let shelf = match () {
                () if narrow.len() > self.bound / 4 => narrow,
                () if learned.len() > self.bound / 2 || broad.is_empty() => learned,
                () => broad,
            };
            let Some((_, id)) = shelf.first().copied() else { break };
            self.take(id);
            self.displaced += 1;
            gone.push(id);
        }
        gone
    }

    pub(in crate::store) fn count(&self) -> CardCount {
        CardCount { cards: self.cards.len(), expired: self.expired, displaced: self.displaced }
    }

    fn change(&mut self, id: CampaignId, at: SystemTime, act: impl FnOnce(&mut Card)) -> Vec<CampaignId> {
        let now = seconds(at);
        self.doubt.mind(now);
        let short = u32::try_from(now).unwrap_or(u32::MAX);
        let alive = self.take(id).filter(|card| self.is_alive(card, now));
        let mut card = alive.unwrap_or_else(|| Card { first: short, ..Card::default() });
        card.last = card.last.max(short);
        act(&mut card);
        self.put(id, card);
        let mut gone = self.sweep(now);
        gone.extend(self.make_room());
        gone
    }

    /// Takes away some of those that are old.
    fn sweep(&mut self, now: u64) -> Vec<CampaignId> {
        if self.doubt.is_doubted(now) {
            return Vec::new();
        }
        let is_old = |last: &u32| u64::from(*last).saturating_add(self.window) < now;
        let old = |shelf: &BTreeSet<(u32, CampaignId)>| {
            let old = shelf.iter().take(SWEPT_AT_ONCE).take_while(|(last, _)| is_old(last));
            old.map(|(_, id)| *id).collect::<Vec<_>>()
        };
        let gone = self.shelves.each_ref().map(old).concat();
        for id in &gone {
            self.take(*id);
            self.expired += 1;
        }
        gone
    }

    fn is_alive(&self, card: &Card, now: u64) -> bool {
        u64::from(card.last).saturating_add(self.window) >= now || self.doubt.is_doubted(now)
    }

    fn put(&mut self, id: CampaignId, card: Card) {
        self.take(id);
        self.shelves[card.shelf()].insert((card.last, id));
        self.cards.insert(id, card);
    }

    fn take(&mut self, id: CampaignId) -> Option<Card> {
        let card = self.cards.remove(&id)?;
        self.shelves[card.shelf()].remove(&(card.last, id));
        Some(card)
    }
}

fn hash_of(octets: &[u8], key: u64) -> u32 {
    xxh3_64_with_seed(octets, key) as u32
}

#[cfg(test)]
mod tests;

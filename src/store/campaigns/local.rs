//! Campaigns in memory: the truth of the homes of one process, of which a file is a copy.
//!
//! Look-ups run side by side; a note has the clusters alone for as long as it searches and files.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::SystemTime;

use super::cards::{Card, CardCount, Cards};
use super::clusters::{self, ClusterCount, Clusters};
use super::{Campaign, CampaignId, CampaignSighting, Fingerprint, Learned};
use crate::store::{Settings, StoreError};

/// The campaigns of one home.
pub(in crate::store) struct LocalCampaigns {
    key: u64,
    clusters: RwLock<Clusters>,
    cards: Mutex<Cards>,
}

/// What has changed, for who writes it down.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Change {
    Cluster(clusters::Change),
    Card(CampaignId, Box<Card>),
    NoCard(CampaignId),
}

/// Who writes changes down, in the order of the calls; never waits.
pub(in crate::store) type Keeper<'k> = &'k dyn Fn(Vec<Change>) -> Result<(), StoreError>;

/// How much there is.
pub(in crate::store) type Counts = (ClusterCount, CardCount);

impl LocalCampaigns {
    /// With `known` cards, which a file has told.
    pub(in crate::store) fn new(
        key: u64,
        settings: &Settings,
        known: impl IntoIterator<Item = (CampaignId, Card)>,
        now: SystemTime,
    ) -> Self {
        Self {
            key,
            clusters: RwLock::new(Clusters::new(settings.digests, settings.campaign_window)),
            cards: Mutex::new(Cards::new(settings.campaigns, settings.campaign_window, key, known, now)),
        }
    }

    pub(in crate::store) fn key(&self) -> u64 {
        self.key
    }

    pub(in crate::store) fn look(&self, fingerprint: &Fingerprint, at: SystemTime) -> Option<Campaign> {
        let clusters = self.clusters.read().unwrap_or_else(PoisonError::into_inner);
        let member = clusters.find(fingerprint, at)?;
        drop(clusters);
        let campaign = self.cards().get(member.id, at)?.campaign(member.id);
        Some(Campaign { similarity: member.similarity, by_attachment: member.by_attachment, ..campaign })
    }

    pub(in crate::store) fn note(
        &self,
        sighting: &CampaignSighting,
        at: SystemTime,
        keeper: Option<Keeper<'_>>,
    ) -> Result<(), StoreError> {
        let (id, kept) = self.join(&sighting.fingerprint, at, keeper);
        let Some(id) = id else { return kept };
        // What the file cannot take counts in memory all the same.
        let mut cards = self.cards();
        let gone = cards.note(id, sighting, at);
        keep(&cards, id, gone, at, keeper).and(kept)
    }

    /// The campaign, new if need be.
    pub(in crate::store) fn learn(
        &self,
        fingerprint: &Fingerprint,
        learned: Learned,
        at: SystemTime,
        keeper: Option<Keeper<'_>>,
    ) -> Result<CampaignId, StoreError> {
        let nothing = || StoreError::Unavailable("there is nothing in the message to find it by".to_owned());
        let (id, kept) = self.join(fingerprint, at, keeper);
        let id = id.ok_or_else(nothing)?;
        let mut cards = self.cards();
        let gone = cards.learn(id, learned, at);
        keep(&cards, id, gone, at, keeper).and(kept)?;
        Ok(id)
    }

    pub(in crate::store) fn top(&self, most: usize, at: SystemTime) -> Vec<Campaign> {
        self.cards().top(most, at)
    }

    pub(in crate::store) fn show(&self, id: CampaignId, at: SystemTime) -> Option<Campaign> {
        Some(self.cards().get(id, at)?.campaign(id))
    }

    pub(in crate::store) fn counts(&self) -> Counts {
        let clusters = self.clusters.read().unwrap_or_else(PoisonError::into_inner).count();
        (clusters, self.cards().count())
    }

    /// The clusters, to restore them; for as long as a few take.
    pub(in crate::store) fn clusters(&self) -> RwLockWriteGuard<'_, Clusters> {
        self.clusters.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cards, for as long as one thing takes.
    pub(in crate::store) fn cards(&self) -> MutexGuard<'_, Cards> {
        self.cards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(
        &self,
        fingerprint: &Fingerprint,
        at: SystemTime,
        keeper: Option<Keeper<'_>>,
    ) -> (Option<CampaignId>, Result<(), StoreError>) {
        let mut changed = Vec::new();
        let mut clusters = self.clusters();
        let member = clusters.join(fingerprint, at, &mut changed);
        // Under the lock, so that the file hears of changes in their order; the same holds for cards.
        let kept = match keeper.filter(|_| !changed.is_empty()) {
            Some(keeper) => keeper(changed.into_iter().map(Change::Cluster).collect()),
            None => Ok(()),
        };
        (member.map(|member| member.id), kept)
    }
}

fn keep(
    cards: &Cards,
    id: CampaignId,
    gone: Vec<CampaignId>,
    at: SystemTime,
    keeper: Option<Keeper<'_>>,
) -> Result<(), StoreError> {
    let Some(keeper) = keeper else { return Ok(()) };
    let card = cards.get(id, at).map(|card| Change::Card(id, Box::new(card.clone())));
    keeper(gone.into_iter().map(Change::NoCard).chain(card).collect())
}

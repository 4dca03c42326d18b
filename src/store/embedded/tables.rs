//! The tables of the file. Their names carry a version: a program that writes other forms uses other tables.

use std::sync::Arc;
use std::time::Duration;

use redb::{
    Error, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, Table, TableDefinition, TableHandle,
    WriteTransaction,
};

use super::super::CampaignId;
use super::super::blocks::BlockChange;
use super::super::campaigns::cards::Card;
use super::super::campaigns::clusters::{Attached, Change as ClusterChange};
use super::super::campaigns::local::Change as CampaignChange;
use super::super::classifier::LessonId;
use super::super::classifier::table::{Change as TaughtChange, NOTED, Noted};
use super::super::deliveries::{self, DeliveryKey};
use super::super::earned::{EARNED, Earned, EarnedChange};
use super::super::greylist::{SECRET, Secret, TripletKey};
use super::super::ledger::{Medium, NamedHop, Readable};
use super::super::record::{Hop, Report, RowKey};
use super::super::triplets::{self, Change, Entry};
use super::upkeep;
use crate::classifier::Cell;
use crate::similarity::{Digest, Kept, LENGTH};

/// A row's key: report, network of the source, the row itself.
type Key = (u64, u128, &'static [u8]);
type Octets = &'static [u8];
type TripletName = &'static [u8; triplets::KEY];
type TripletEntry = &'static [u8; triplets::ENTRY];
type EarnedEntry = &'static [u8; EARNED];
type DigestEntry = (&'static [u8; LENGTH], u64, u64);

/// What memory holds of a file from the start, and what that is keyed with.
pub(super) struct Known {
    pub(super) greylist_secret: [u8; SECRET],
    pub(super) triplets: Vec<(TripletKey, Entry)>,
    pub(super) campaign_key: u64,
    pub(super) cards: Vec<(CampaignId, Card)>,
    /// Places of digests, which are loaded later.
    pub(super) places: usize,
    pub(super) reputations: Vec<(Arc<str>, Earned)>,
    pub(super) taught: Vec<TaughtChange>,
    pub(super) delivered: Vec<(DeliveryKey, u64)>,
    pub(super) blocks: Vec<(String, Vec<u8>)>,
}

/// Some clusters as they are on file, and the place and the attachment with which the next ones begin.
pub(super) type SomeClusters = (Vec<ClusterChange>, Option<(u32, u64)>);

const HOPS: TableDefinition<'_, &str, Octets> = TableDefinition::new("hops.v1");
const REPORTS: TableDefinition<'_, u64, Octets> = TableDefinition::new("dmarc_reports.v2");
const ROWS: TableDefinition<'_, Key, u64> = TableDefinition::new("dmarc_rows.v2");
const TRIPLETS: TableDefinition<'_, TripletName, TripletEntry> = TableDefinition::new("greylist.v1");
const REPUTATIONS: TableDefinition<'_, &str, EarnedEntry> = TableDefinition::new("reputation.v1");
const SECRETS: TableDefinition<'_, &str, &[u8; SECRET]> = TableDefinition::new(SECRETS_NAME);
/// What entries are keyed with has a table of its own.
pub(super) const SECRETS_NAME: &str = "secrets.v1";
/// A digest, its cluster, and when it was last seen in seconds since 1970; by its place.
const DIGESTS: TableDefinition<'_, u32, (&[u8; LENGTH], u64, u64)> = TableDefinition::new("digests.v1");
/// A cluster, and when it was last seen.
const ATTACHMENTS: TableDefinition<'_, u64, (u64, u64)> = TableDefinition::new("attachments.v1");
const CARDS: TableDefinition<'_, u64, Octets> = TableDefinition::new("campaigns.v1");
/// Of the classifier: cells, counts of each class of margins (ham, spam), and lessons. A release that makes other
/// features of messages names others.
const TAUGHT_CELLS: TableDefinition<'_, u32, (i32, u32)> = TableDefinition::new("classifier_cells.v3");
const TAUGHT_CLASSES: TableDefinition<'_, u8, (u32, u32)> = TableDefinition::new("classifier_classes.v3");
const LESSONS: TableDefinition<'_, u128, &[u8; NOTED]> = TableDefinition::new("classifier_lessons.v3");
/// Cells of lessons that are learned again.
const KEPT: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("classifier_kept.v3");
/// What an earlier release called these, whose features were others: nothing can be made of it.
const OUTDATED_CELLS: TableDefinition<'_, u32, (i32, u32)> = TableDefinition::new("classifier_cells.v2");
const OUTDATED: [&str; 4] =
    ["classifier_cells.v2", "classifier_classes.v2", "classifier_lessons.v2", "classifier_kept.v2"];
/// Until when, in seconds since 1970.
const DELIVERIES: TableDefinition<'_, u128, u64> = TableDefinition::new("deliveries.v1");
/// Who is blocked.
const BLOCKS: TableDefinition<'_, &str, Octets> = TableDefinition::new("blocks.v1");
/// The names of the secrets that triplets are keyed with, and digests.
const OF_GREYLIST: &str = "greylist";
const OF_CAMPAIGNS: &str = "campaigns";

/// Every table, for what is done with the file as a whole.
pub(super) const ALL: [&dyn upkeep::Kept; 15] = [
    &upkeep::Table(HOPS),
    &upkeep::Table(REPORTS),
    &upkeep::Table(ROWS),
    &upkeep::Table(TRIPLETS),
    &upkeep::Table(REPUTATIONS),
    &upkeep::Table(DIGESTS),
    &upkeep::Table(ATTACHMENTS),
    &upkeep::Table(CARDS),
    &upkeep::Table(TAUGHT_CELLS),
    &upkeep::Table(TAUGHT_CLASSES),
    &upkeep::Table(LESSONS),
    &upkeep::Table(KEPT),
    &upkeep::Table(DELIVERIES),
    &upkeep::Table(BLOCKS),
    &upkeep::Table(SECRETS),
];

/// All tables of one transaction. An entry that cannot be read counts as absent.
pub(super) struct Tables<H, R, W, M = ()> {
    hops: H,
    reports: R,
    rows: W,
    /// For writing only.
    copies: M,
}

/// What is a copy of memory.
pub(super) struct Copies<'t> {
    triplets: Table<'t, TripletName, TripletEntry>,
    reputations: Table<'t, &'static str, EarnedEntry>,
    digests: Table<'t, u32, DigestEntry>,
    attachments: Table<'t, u64, (u64, u64)>,
    cards: Table<'t, u64, Octets>,
    taught: Taught<'t>,
    deliveries: Table<'t, u128, u64>,
    blocks: Table<'t, &'static str, Octets>,
}

struct Taught<'t> {
    cells: Table<'t, u32, (i32, u32)>,
    classes: Table<'t, u8, (u32, u32)>,
    lessons: Table<'t, u128, &'static [u8; NOTED]>,
    kept: Table<'t, u128, &'static [u8]>,
}

pub(super) type ForReading =
    Tables<ReadOnlyTable<&'static str, Octets>, ReadOnlyTable<u64, Octets>, ReadOnlyTable<Key, u64>>;
pub(super) type ForWriting<'t> =
    Tables<Table<'t, &'static str, Octets>, Table<'t, u64, Octets>, Table<'t, Key, u64>, Copies<'t>>;

impl ForReading {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, Error> {
        let (hops, reports) = (transaction.open_table(HOPS)?, transaction.open_table(REPORTS)?);
        Ok(Self { hops, reports, rows: transaction.open_table(ROWS)?, copies: () })
    }
}

/// Forgets what a release with other features was taught. True if there was something.
pub(super) fn forget_outdated(transaction: &WriteTransaction) -> Result<bool, Error> {
    let tables: Vec<_> = transaction.list_tables()?.filter(|table| OUTDATED.contains(&table.name())).collect();
    if tables.is_empty() {
        return Ok(false);
    }
    let was_taught = !transaction.open_table(OUTDATED_CELLS)?.is_empty()?;
    for table in tables {
        transaction.delete_table(table)?;
    }
    Ok(was_taught)
}

impl<'t> ForWriting<'t> {
    /// Makes what is not there.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        let (hops, reports) = (transaction.open_table(HOPS)?, transaction.open_table(REPORTS)?);
        let (triplets, digests) = (transaction.open_table(TRIPLETS)?, transaction.open_table(DIGESTS)?);
        let (attachments, cards) = (transaction.open_table(ATTACHMENTS)?, transaction.open_table(CARDS)?);
        let (cells, classes) = (transaction.open_table(TAUGHT_CELLS)?, transaction.open_table(TAUGHT_CLASSES)?);
        let (lessons, kept) = (transaction.open_table(LESSONS)?, transaction.open_table(KEPT)?);
        let taught = Taught { cells, classes, lessons, kept };
        let reputations = transaction.open_table(REPUTATIONS)?;
        let deliveries = transaction.open_table(DELIVERIES)?;
        let blocks = transaction.open_table(BLOCKS)?;
        let copies = Copies { triplets, digests, attachments, cards, reputations, taught, deliveries, blocks };
        Ok(Self { hops, reports, rows: transaction.open_table(ROWS)?, copies })
    }

    pub(super) fn change_reputations(&mut self, changes: &[EarnedChange]) -> Result<(), Error> {
        for (key, earned) in changes {
            match earned {
                Some(earned) => drop(self.copies.reputations.insert(&**key, &earned.encode())?),
                None => drop(self.copies.reputations.remove(&**key)?),
            }
        }
        Ok(())
    }

    /// False if they change nothing: who was taken off was not there.
    pub(super) fn change_blocks(&mut self, changes: &[BlockChange]) -> Result<bool, Error> {
        let mut has_changed = false;
        for (whom, block) in changes {
            has_changed |= match block {
                Some(block) => {
                    self.copies.blocks.insert(&**whom, &**block)?;
                    true
                }
                None => self.copies.blocks.remove(&**whom)?.is_some(),
            };
        }
        Ok(has_changed)
    }

    pub(super) fn change_taught(&mut self, changes: &[TaughtChange]) -> Result<(), Error> {
        let Taught { cells, classes, lessons, kept } = &mut self.copies.taught;
        for change in changes {
            match change {
                TaughtChange::Cell(cell, held) if !held.is_known() => drop(cells.remove(cell)?),
                TaughtChange::Cell(cell, held) => drop(cells.insert(cell, (held.sum, held.mass))?),
                TaughtChange::Class(class, [ham, spam]) => drop(classes.insert(class, (*ham, *spam))?),
                TaughtChange::Lesson(id, Some(noted)) => drop(lessons.insert(id.0, &noted.encode())?),
                TaughtChange::Lesson(id, None) => drop(lessons.remove(id.0)?),
                TaughtChange::Kept(id, Some(cells)) => drop(kept.insert(id.0, &**cells)?),
                TaughtChange::Kept(id, None) => drop(kept.remove(id.0)?),
            }
        }
        Ok(())
    }

    pub(super) fn change_deliveries(&mut self, changes: &[deliveries::Change]) -> Result<(), Error> {
        for (key, until) in changes {
            match until {
                Some(until) => drop(self.copies.deliveries.insert(key.0, until)?),
                None => drop(self.copies.deliveries.remove(key.0)?),
            }
        }
        Ok(())
    }

    pub(super) fn change_campaigns(&mut self, changes: &[CampaignChange]) -> Result<(), Error> {
        for change in changes {
            match change {
                CampaignChange::Card(id, card) => drop(self.copies.cards.insert(id.0, &*card.encode())?),
                CampaignChange::NoCard(id) => drop(self.copies.cards.remove(id.0)?),
                CampaignChange::Cluster(change) => self.change_clusters(change)?,
            }
        }
        Ok(())
    }

    fn change_clusters(&mut self, change: &ClusterChange) -> Result<(), Error> {
        let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        match change {
            ClusterChange::Digest(place, Kept { digest, cluster, seen }) => {
                drop(self.copies.digests.insert(number(*place), (digest.octets(), *cluster, seen.as_secs()))?);
            }
            ClusterChange::NoDigest(place) => drop(self.copies.digests.remove(number(*place))?),
            ClusterChange::Attachment(hash, Attached { cluster, seen }) => {
                drop(self.copies.attachments.insert(hash, (cluster.0, *seen))?);
            }
            ClusterChange::NoAttachment(hash) => drop(self.copies.attachments.remove(hash)?),
        }
        Ok(())
    }

    pub(super) fn change_triplets(&mut self, changes: &[Change]) -> Result<(), Error> {
        for (key, entry) in changes {
            match entry {
                Some(entry) => drop(self.copies.triplets.insert(&key.encode(), &entry.encode())?),
                None => drop(self.copies.triplets.remove(&key.encode())?),
            }
        }
        Ok(())
    }
}

/// So many digests from `place` on, and when there are no more, attachments from `hash` on.
pub(super) fn clusters(
    transaction: &ReadTransaction,
    place: u32,
    hash: u64,
    most: usize,
) -> Result<SomeClusters, Error> {
    let mut some = Vec::new();
    for entry in transaction.open_table(DIGESTS)?.range(place..)? {
        let (place, entry) = entry?;
        if some.len() == most {
            return Ok((some, Some((place.value(), hash))));
        }
        let (digest, cluster, seen) = entry.value();
        // An entry that cannot be read is overwritten in its turn.
        some.extend(Digest::from_octets(*digest).map(|digest| {
            let kept = Kept { digest, cluster, seen: Duration::from_secs(seen) };
            ClusterChange::Digest(place.value() as usize, kept)
        }));
    }
    for entry in transaction.open_table(ATTACHMENTS)?.range(hash..)? {
        let (hash, attached) = entry?;
        if some.len() == most {
            return Ok((some, Some((u32::MAX, hash.value()))));
        }
        let (cluster, seen) = attached.value();
        some.push(ClusterChange::Attachment(hash.value(), Attached { cluster: CampaignId(cluster), seen }));
    }
    Ok((some, None))
}

/// The secrets, made if there are none, and all that memory holds from the start.
pub(super) fn load(transaction: &WriteTransaction) -> Result<Known, Error> {
    let mut secrets = transaction.open_table(SECRETS)?;
    let mut secret = |name| -> Result<[u8; SECRET], Error> {
        if let Some(known) = secrets.get(name)?.map(|secret| *secret.value()) {
            return Ok(known);
        }
        let new = Secret::random();
        secrets.insert(name, &new)?;
        Ok(new)
    };
    let (greylist_secret, campaigns) = (secret(OF_GREYLIST)?, secret(OF_CAMPAIGNS)?);
    let campaign_key = campaigns.first_chunk().map_or(0, |key| u64::from_le_bytes(*key));
    let mut triplets = Vec::new();
    for entry in transaction.open_table(TRIPLETS)?.iter()? {
        let (key, entry) = entry?;
        triplets.push((TripletKey::decode(key.value()), Entry::decode(entry.value())));
    }
    let mut cards = Vec::new();
    for entry in transaction.open_table(CARDS)?.iter()? {
        let (id, card) = entry?;
        cards.extend(Card::decode(card.value()).map(|card| (CampaignId(id.value()), card)));
    }
    let places = transaction.open_table(DIGESTS)?.last()?.map_or(0, |(place, _)| place.value() as usize + 1);
    let mut reputations = Vec::new();
    for entry in transaction.open_table(REPUTATIONS)?.iter()? {
        let (key, earned) = entry?;
        reputations.push((key.value().into(), Earned::decode(earned.value())));
    }
    let (cells, classes) = (transaction.open_table(TAUGHT_CELLS)?, transaction.open_table(TAUGHT_CLASSES)?);
    let (lessons, kept) = (transaction.open_table(LESSONS)?, transaction.open_table(KEPT)?);
    let taught = taught(&cells, &classes, &lessons, &kept)?;
    let mut delivered = Vec::new();
    for entry in transaction.open_table(DELIVERIES)?.iter()? {
        let (key, until) = entry?;
        delivered.push((DeliveryKey(key.value()), until.value()));
    }
    let mut blocks = Vec::new();
    for entry in transaction.open_table(BLOCKS)?.iter()? {
        let (whom, block) = entry?;
        blocks.push((whom.value().to_owned(), block.value().to_vec()));
    }
    Ok(Known { greylist_secret, triplets, campaign_key, cards, places, reputations, taught, delivered, blocks })
}

fn taught(
    cells: &impl ReadableTable<u32, (i32, u32)>,
    classes: &impl ReadableTable<u8, (u32, u32)>,
    lessons: &impl ReadableTable<u128, &'static [u8; NOTED]>,
    kept: &impl ReadableTable<u128, &'static [u8]>,
) -> Result<Vec<TaughtChange>, Error> {
    let mut taught = Vec::new();
    for entry in cells.iter()? {
        let (cell, held) = entry?;
        let (sum, mass) = held.value();
        taught.push(TaughtChange::Cell(cell.value(), Cell { sum, mass }));
    }
    for entry in classes.iter()? {
        let (class, counts) = entry?;
        taught.push(TaughtChange::Class(class.value(), counts.value().into()));
    }
    for entry in lessons.iter()? {
        let (id, noted) = entry?;
        taught.push(TaughtChange::Lesson(LessonId(id.value()), Some(Noted::decode(noted.value()))));
    }
    for entry in kept.iter()? {
        let (id, cells) = entry?;
        taught.push(TaughtChange::Kept(LessonId(id.value()), Some(cells.value().into())));
    }
    Ok(taught)
}

impl<H, R, W, M> Readable for Tables<H, R, W, M>
where
    H: ReadableTable<&'static str, Octets>,
    R: ReadableTable<u64, Octets>,
    W: ReadableTable<Key, u64>,
{
    type Error = Error;

    fn hop(&self, name: &str) -> Result<Option<Hop>, Error> {
        Ok(self.hops.get(name)?.and_then(|kept| Hop::decode(kept.value())))
    }

    fn hop_count(&self) -> Result<usize, Error> {
        Ok(usize::try_from(self.hops.len()?).unwrap_or(usize::MAX))
    }

    fn hops(&self) -> Result<Vec<NamedHop>, Error> {
        let mut hops = Vec::new();
        for entry in self.hops.iter()? {
            let (name, kept) = entry?;
            hops.extend(Hop::decode(kept.value()).map(|hop| (name.value().into(), Arc::new(hop))));
        }
        Ok(hops)
    }

    // Nobody waits for the thread that asks these two: going through all of them is good enough.
    fn hops_unseen_since(&self, time: u64, most: usize) -> Result<Vec<Arc<str>>, Error> {
        let unseen = self.hops()?.into_iter().filter(|(_, hop)| hop.last() < time);
        Ok(unseen.take(most).map(|(name, _)| name).collect())
    }

    fn worst_hops(&self, most: usize) -> Result<Vec<Arc<str>>, Error> {
        let mut hops = self.hops()?;
        hops.sort_by_key(|(_, hop)| hop.worth());
        Ok(hops.into_iter().take(most).map(|(name, _)| name).collect())
    }

    fn report(&self, id: u64) -> Result<Option<Report>, Error> {
        Ok(self.reports.get(id)?.and_then(|kept| Report::decode(kept.value())))
    }

    fn reports(&self) -> Result<Vec<(u64, Report)>, Error> {
        let mut reports = Vec::new();
        for entry in self.reports.iter()? {
            let (id, kept) = entry?;
            reports.extend(Report::decode(kept.value()).map(|report| (id.value(), report)));
        }
        Ok(reports)
    }

    fn row(&self, key: &RowKey) -> Result<Option<u64>, Error> {
        Ok(self.rows.get((key.report, key.network, &*key.row))?.map(|messages| messages.value()))
    }

    fn rows(&self, report: u64) -> Result<Vec<(RowKey, u64)>, Error> {
        let mut rows = Vec::new();
        for entry in self.rows.range((report, 0, &[][..])..(report.saturating_add(1), 0, &[][..]))? {
            let (key, messages) = entry?;
            let (report, network, row) = key.value();
            rows.push((RowKey { report, network, row: row.into() }, messages.value()));
        }
        Ok(rows)
    }

    fn rows_of_network(&self, report: u64, network: u128) -> Result<usize, Error> {
        let mut count = 0;
        for entry in self.rows.range((report, network, &[][..])..(report, network.saturating_add(1), &[][..]))? {
            entry?;
            count += 1;
        }
        Ok(count)
    }
}

impl Medium for ForWriting<'_> {
    fn put_hop(&mut self, name: &str, hop: &Hop) -> Result<(), Error> {
        self.hops.insert(name, &*hop.encode())?;
        Ok(())
    }

    fn drop_hop(&mut self, name: &str) -> Result<(), Error> {
        self.hops.remove(name)?;
        Ok(())
    }

    fn put_report(&mut self, id: u64, report: &Report) -> Result<(), Error> {
        self.reports.insert(id, &*report.encode())?;
        Ok(())
    }

    fn drop_report(&mut self, id: u64) -> Result<(), Error> {
        self.reports.remove(id)?;
        for (key, _) in self.rows(id)? {
            self.drop_row(&key)?;
        }
        Ok(())
    }

    fn put_row(&mut self, key: &RowKey, messages: u64) -> Result<(), Error> {
        self.rows.insert((key.report, key.network, &*key.row), messages)?;
        Ok(())
    }

    fn drop_row(&mut self, key: &RowKey) -> Result<(), Error> {
        self.rows.remove((key.report, key.network, &*key.row))?;
        Ok(())
    }
}

//! The tables of the file. Their names carry a version: a program that writes other forms uses other tables.

use std::sync::Arc;

use redb::{Error, ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::super::earned::{EARNED, Earned, EarnedChange};
use super::super::greylist::{SECRET, Secret, TripletKey};
use super::super::ledger::{Medium, NamedHop, Readable};
use super::super::record::{Hop, Report, RowKey};
use super::super::triplets::{self, Change, Entry};

/// A row's key: report, network of the source, the row itself.
type Key = (u64, u128, &'static [u8]);
type Octets = &'static [u8];
type TripletName = &'static [u8; triplets::KEY];
type TripletEntry = &'static [u8; triplets::ENTRY];
type EarnedEntry = &'static [u8; EARNED];

/// A secret, and the triplets that are keyed with it.
pub(super) type KnownTriplets = ([u8; SECRET], Vec<(TripletKey, Entry)>);

const HOPS: TableDefinition<'_, &str, Octets> = TableDefinition::new("hops.v1");
const REPORTS: TableDefinition<'_, u64, Octets> = TableDefinition::new("dmarc_reports.v2");
const ROWS: TableDefinition<'_, Key, u64> = TableDefinition::new("dmarc_rows.v2");
const TRIPLETS: TableDefinition<'_, TripletName, TripletEntry> = TableDefinition::new("greylist.v1");
const REPUTATIONS: TableDefinition<'_, &str, EarnedEntry> = TableDefinition::new("reputation.v1");
const SECRETS: TableDefinition<'_, &str, &[u8; SECRET]> = TableDefinition::new("secrets.v1");
/// The name of the secret that triplets are keyed with.
const OF_GREYLIST: &str = "greylist";

/// All tables of one transaction. An entry that cannot be read counts as absent.
pub(super) struct Tables<H, R, W, T = (), E = ()> {
    hops: H,
    reports: R,
    rows: W,
    /// For writing only: what is there, memory knows.
    triplets: T,
    /// The same.
    reputations: E,
}

pub(super) type ForReading =
    Tables<ReadOnlyTable<&'static str, Octets>, ReadOnlyTable<u64, Octets>, ReadOnlyTable<Key, u64>>;
pub(super) type ForWriting<'t> = Tables<
    Table<'t, &'static str, Octets>,
    Table<'t, u64, Octets>,
    Table<'t, Key, u64>,
    Table<'t, TripletName, TripletEntry>,
    Table<'t, &'static str, EarnedEntry>,
>;

impl ForReading {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, Error> {
        let (hops, reports) = (transaction.open_table(HOPS)?, transaction.open_table(REPORTS)?);
        Ok(Self { hops, reports, rows: transaction.open_table(ROWS)?, triplets: (), reputations: () })
    }
}

impl<'t> ForWriting<'t> {
    /// Makes what is not there.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        let (hops, reports) = (transaction.open_table(HOPS)?, transaction.open_table(REPORTS)?);
        let (rows, triplets) = (transaction.open_table(ROWS)?, transaction.open_table(TRIPLETS)?);
        Ok(Self { hops, reports, rows, triplets, reputations: transaction.open_table(REPUTATIONS)? })
    }

    pub(super) fn change_reputations(&mut self, changes: &[EarnedChange]) -> Result<(), Error> {
        for (key, earned) in changes {
            match earned {
                Some(earned) => drop(self.reputations.insert(&**key, &earned.encode())?),
                None => drop(self.reputations.remove(&**key)?),
            }
        }
        Ok(())
    }

    pub(super) fn change_triplets(&mut self, changes: &[Change]) -> Result<(), Error> {
        for (key, entry) in changes {
            match entry {
                Some(entry) => drop(self.triplets.insert(&key.encode(), &entry.encode())?),
                None => drop(self.triplets.remove(&key.encode())?),
            }
        }
        Ok(())
    }
}

/// The secret, made if there is none, and all triplets.
pub(super) fn load_triplets(transaction: &WriteTransaction) -> Result<KnownTriplets, Error> {
    let (mut secrets, table) = (transaction.open_table(SECRETS)?, transaction.open_table(TRIPLETS)?);
    let known = secrets.get(OF_GREYLIST)?.map(|secret| *secret.value());
    let secret = known.unwrap_or_else(Secret::random);
    if known.is_none() {
        secrets.insert(OF_GREYLIST, &secret)?;
    }
    let mut triplets = Vec::new();
    for entry in table.iter()? {
        let (key, entry) = entry?;
        triplets.push((TripletKey::decode(key.value()), Entry::decode(entry.value())));
    }
    Ok((secret, triplets))
}

/// All reputations.
pub(super) fn load_reputations(transaction: &ReadTransaction) -> Result<Vec<(Arc<str>, Earned)>, Error> {
    let mut reputations = Vec::new();
    for entry in transaction.open_table(REPUTATIONS)?.iter()? {
        let (key, earned) = entry?;
        reputations.push((key.value().into(), Earned::decode(earned.value())));
    }
    Ok(reputations)
}

impl<H, R, W, T, E> Readable for Tables<H, R, W, T, E>
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

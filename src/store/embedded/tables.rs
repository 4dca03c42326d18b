//! The tables of the file. Their names carry a version: a program that writes other forms uses other tables.

use std::sync::Arc;

use redb::{Error, ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::super::ledger::{Medium, NamedHop, Readable};
use super::super::record::{Hop, Report, RowKey};

/// A row's key: report, network of the source, the row itself.
type Key = (u64, u128, &'static [u8]);
type Octets = &'static [u8];

const HOPS: TableDefinition<'_, &str, Octets> = TableDefinition::new("hops.v1");
const REPORTS: TableDefinition<'_, u64, Octets> = TableDefinition::new("dmarc_reports.v2");
const ROWS: TableDefinition<'_, Key, u64> = TableDefinition::new("dmarc_rows.v2");

/// All tables of one transaction. An entry that cannot be read counts as absent.
pub(super) struct Tables<H, R, W> {
    hops: H,
    reports: R,
    rows: W,
}

pub(super) type ForReading =
    Tables<ReadOnlyTable<&'static str, Octets>, ReadOnlyTable<u64, Octets>, ReadOnlyTable<Key, u64>>;
pub(super) type ForWriting<'t> = Tables<Table<'t, &'static str, Octets>, Table<'t, u64, Octets>, Table<'t, Key, u64>>;

impl ForReading {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, Error> {
        let (hops, reports) = (transaction.open_table(HOPS)?, transaction.open_table(REPORTS)?);
        Ok(Self { hops, reports, rows: transaction.open_table(ROWS)? })
    }
}

impl<'t> ForWriting<'t> {
    /// Makes what is not there.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        let (hops, reports) = (transaction.open_table(HOPS)?, transaction.open_table(REPORTS)?);
        Ok(Self { hops, reports, rows: transaction.open_table(ROWS)? })
    }
}

impl<H, R, W> Readable for Tables<H, R, W>
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

//! Hops in Redis: all in one slot, because they share one bound. Only mail that may have been forwarded is counted.

use futures_util::future::BoxFuture;

use super::RedisStore;
use super::failure::Failure;
use super::script::scripts;
use crate::clock::seconds;
use crate::store::ledger::{HOPS_FREED, SWEPT_AT_ONCE};
use crate::store::metrics::Operation;
use crate::store::record::{AUTHOR_DOMAINS, DAY, LONGEST_NAME, time};
use crate::store::{Forwarders, HopRecord, Sighting, SightingKind, StoreError, WantedHops};

scripts! {
    NOTE = "hops_note.lua";
    LIST = "hops_list.lua";
    SWEEP = "hops_sweep.lua";
}

/// Hops that one step of a list looks at.
const PAGE: usize = 1000;
/// A step of a list may take so much longer than other operations.
const PATIENCE: u32 = 10;

impl RedisStore {
    fn hops_base(&self) -> String {
        format!("{}{{hops}}:", self.link.prefix())
    }

    async fn count_hop(&self, sighting: &Sighting) -> Result<(), Failure> {
        let kind = match sighting.kind {
            SightingKind::Forwarded => 1,
            SightingKind::Broken => 2,
            SightingKind::Unauthenticated => 3,
            SightingKind::Direct => 4,
        };
        let call = NOTE
            .at(self.hops_base())
            .arg(&*sighting.hop)
            .arg(&*sighting.author_domain)
            .arg(kind)
            .arg(seconds(sighting.at))
            .arg(self.bounds.hops)
            .arg(self.bounds.hops / HOPS_FREED)
            .arg(self.bounds.retention.as_secs().saturating_add(DAY))
            .arg(AUTHOR_DOMAINS);
        self.link.ask_one::<u8>(call).await.map(drop)
    }

    async fn list_hops(&self, wanted: WantedHops) -> Result<Vec<HopRecord>, Failure> {
        let since = seconds(self.clock.now()).saturating_sub(self.bounds.retention.as_secs());
        let (mut found, mut from) = (Vec::new(), 0);
        while found.len() < wanted.most {
            let forwarding = u8::from(wanted.forwarding);
            let call = LIST.at(self.hops_base()).arg(from).arg(PAGE).arg(since).arg(forwarding);
            let pages: Vec<Vec<Vec<String>>> = self.link.ask_within(&[call], self.deadline * PATIENCE).await?;
            let mut page = pages.into_iter().flatten();
            let looked_at = page.next().and_then(|head| head.first()?.parse::<usize>().ok()).unwrap_or(0);
            found.extend(page.filter_map(record));
            from += looked_at;
            if looked_at < PAGE {
                break;
            }
        }
        Ok(found)
    }

    /// Forgets hops that were not seen for long.
    pub(super) async fn sweep_hops(&self, now: u64) -> Result<(), Failure> {
        let since = now.saturating_sub(self.bounds.retention.as_secs());
        let call = || SWEEP.at(self.hops_base()).arg(since).arg(SWEPT_AT_ONCE);
        while self.link.ask_one::<usize>(call()).await? == SWEPT_AT_ONCE {}
        Ok(())
    }
}

impl Forwarders for RedisStore {
    fn sighted(&self, sighting: Sighting) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if sighting.hop.len() > LONGEST_NAME || sighting.author_domain.len() > LONGEST_NAME {
                return Ok(());
            }
            match self.try_shared(Operation::Sighted, self.count_hop(&sighting)).await {
                Some(()) => {
                    self.forget_what_is_old().await;
                    Ok(())
                }
                None => self.local.sighted(sighting).await,
            }
        })
    }

    fn hops(&self, wanted: WantedHops) -> BoxFuture<'_, Result<Vec<HopRecord>, StoreError>> {
        Box::pin(async move {
            let mut hops = self.try_shared(Operation::Hops, self.list_hops(wanted)).await.unwrap_or_default();
            if self.has_local() {
                let local = self.local.hops(wanted).await?;
                hops.extend(local);
            }
            // What both have seen counts together.
            hops.sort_by(|a, b| a.hop.cmp(&b.hop));
            hops.dedup_by(|other, hop| other.hop == hop.hop && merge(hop, other));
            hops.sort_by(|a, b| b.counts.cmp(&a.counts).then_with(|| a.hop.cmp(&b.hop)));
            hops.truncate(wanted.most);
            Ok(hops)
        })
    }
}

fn merge(hop: &mut HopRecord, other: &HopRecord) -> bool {
    hop.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count = count.saturating_add(more));
    for domain in &other.author_domains {
        if hop.author_domains.len() < AUTHOR_DOMAINS && !hop.author_domains.contains(domain) {
            hop.author_domains.push(domain.clone());
        }
    }
    (hop.first, hop.last) = (hop.first.min(other.first), hop.last.max(other.last));
    true
}

fn record(fields: Vec<String>) -> Option<HopRecord> {
    let [hop, a, b, c, d, first, last, domains @ ..] = &fields[..] else { return None };
    let number = |text: &String| text.parse::<u64>().ok();
    Some(HopRecord {
        hop: hop.as_str().into(),
        counts: [number(a)?, number(b)?, number(c)?, number(d)?],
        author_domains: domains.iter().map(|domain| domain.as_str().into()).collect(),
        first: time(number(first)?),
        last: time(number(last)?),
    })
}

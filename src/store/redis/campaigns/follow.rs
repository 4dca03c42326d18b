//! Hears what other proxies have filed.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::link::WeakLink;
use crate::similarity::{Digest, LENGTH};
use crate::store::campaigns::clusters::Clusters;
use crate::store::record::time;
use crate::store::{CampaignId, Fingerprint};

/// Between two looks at the log: so long after one proxy has seen a text the others know it.
const INTERVAL: Duration = Duration::from_millis(100);
/// Entries that are heard at once: few enough that nobody waits for them.
const AT_ONCE: usize = 256;

/// An entry: its place in the log, then names and values.
type Entry = (String, HashMap<String, Vec<u8>>);

/// What the keys of the log begin with.
pub(super) fn base(prefix: &str) -> String {
    format!("{prefix}{{bulk}}")
}

/// Files what others have filed since `from`, until nobody needs it any more.
pub(super) async fn follow(link: WeakLink, clusters: Weak<RwLock<Clusters>>, own: u64, from: SystemTime) {
    let mut heard = from.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis()).to_string();
    loop {
        let Some(entries) = (match link.upgrade() {
            Some(link) => {
                let mut read = redis::cmd("XRANGE");
                read.arg(format!("{}log", base(link.prefix()))).arg(format!("({heard}")).arg("+");
                read.arg("COUNT").arg(AT_ONCE);
                Some(link.query::<Vec<Entry>>(&read).await.unwrap_or_default())
            }
            None => None,
        }) else {
            return;
        };
        let is_all = entries.len() < AT_ONCE;
        let Some(clusters) = clusters.upgrade() else { return };
        for (id, entry) in entries {
            heard = id;
            adopt(&clusters, &entry, own);
        }
        drop(clusters);
        if is_all {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// What cannot be read was written by a newer program, which this one need not understand.
fn adopt(clusters: &RwLock<Clusters>, entry: &HashMap<String, Vec<u8>>, own: u64) {
    let text = |name| entry.get(name).and_then(|value| std::str::from_utf8(value).ok());
    let number = |name| text(name)?.parse::<u64>().ok();
    if number("g") == Some(own) {
        return;
    }
    let read = || {
        let id = CampaignId(u64::from_str_radix(text("c")?, 16).ok()?);
        let digest = <[u8; LENGTH]>::try_from(&entry.get("d")?[..]).ok()?;
        let (attachments, _) = entry.get("a")?.as_chunks();
        let attachments = attachments.iter().map(|hash| u64::from_le_bytes(*hash)).collect();
        Some((id, Fingerprint { digest: Digest::from_octets(digest)?, attachments }, time(number("t")?)))
    };
    if let Some((id, fingerprint, at)) = read() {
        clusters.write().unwrap_or_else(PoisonError::into_inner).adopt(&fingerprint, id, at, &mut Vec::new());
    }
}

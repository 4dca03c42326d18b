//! What a new configuration changes, and which of it needs a restart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Loaded;
use super::why::effective;

/// Keys that differ between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Keys that take effect at once (for new sessions and transactions).
    pub live: Vec<String>,
    /// Keys that keep their old value until a restart.
    pub restart: Vec<String>,
    /// True if what judges has changed.
    pub rules: bool,
}

/// What is bound, opened or started once. The rest is swapped.
const ONCE: &[&str] = &["admin.address", "dns.", "log.", "records.", "reports.", "spool.", "store."];

/// What is swapped all the same.
const SWAPPED: &[&str] = &["dns.zone"];

/// Compares by meaning: order of listeners and comments do not count.
pub fn diff(old: &Loaded, new: &Loaded) -> Diff {
    let (before, after) = (by_address(old), by_address(new));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut diff = Diff { rules: old.config.rules.version != new.config.rules.version, ..Diff::default() };
    for key in keys {
        if before.get(key) == after.get(key) || belongs_to_another(key, &before, &after) {
            continue;
        }
        let bound = key.starts_with("listen[") && key.ends_with(".address");
        let once = ONCE.iter().any(|once| key == once || (once.ends_with('.') && key.starts_with(once)))
            && !SWAPPED.iter().any(|swapped| key.starts_with(swapped));
        if bound || once { diff.restart.push(key.clone()) } else { diff.live.push(key.clone()) }
    }
    if old.config.session.relay.domains != new.config.session.relay.domains
        && !diff.live.iter().any(|key| key.starts_with("relay.domains"))
    {
        diff.live.push("relay.domains_file".to_owned());
    }
    diff
}

impl Diff {
    /// True if nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.restart.is_empty() && !self.rules
    }
}

/// True for what is set of a listener that comes or goes: its address says it all.
fn belongs_to_another(key: &str, before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> bool {
    let Some(end) = key.rfind("].").filter(|_| key.starts_with("listen[")) else { return false };
    let address = format!("{}.address", &key[..=end]);
    key != address && before.contains_key(&address) != after.contains_key(&address)
}

/// The values in force; listeners and members go by their address instead of their index.
fn by_address(loaded: &Loaded) -> BTreeMap<String, Value> {
    let mut values = effective(&loaded.raw);
    let listeners = loaded.raw.listen.iter().map(|listen| listen.address.clone()).collect::<Vec<_>>();
    let pools = loaded.raw.pool.iter().map(|(name, pool)| (format!("pool.{name}.member"), pool));
    let pools = std::iter::once(("backend.member".to_owned(), &loaded.raw.backend)).chain(pools);
    let members = pools.map(|(array, pool)| (array, pool.member.iter().map(|one| one.address.clone()).collect()));
    for (array, addresses) in std::iter::once(("listen".to_owned(), listeners)).chain(members) {
        for (index, address) in addresses.iter().enumerate() {
            let prefix = format!("{array}[{index}].");
            let moved: Vec<(String, Value)> = values
                .iter()
                .filter(|(key, _)| key.starts_with(&prefix))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            for (key, value) in moved {
                values.remove(&key);
                values.insert(key.replacen(&prefix, &format!("{array}[{address}]."), 1), value);
            }
        }
    }
    values
}

//! `gatepost bulk`: the campaigns that the running proxy knows.

use std::io::Write;

use super::ask::{Common, Request};
use super::{Failed, columns, minute};
use crate::telemetry::admin::bulk::Entry;

/// Arguments of `bulk`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do with campaigns.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print the largest, the one with most messages first.
    Top {
        /// So many at most.
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        limit: usize,
        /// How to ask, and how to print.
        #[command(flatten)]
        common: Common,
    },
    /// Print all that is known of one.
    Show {
        /// Its name, as `top` and the trace of a message say it.
        #[arg(value_name = "ID")]
        id: String,
        /// How to ask, and how to print.
        #[command(flatten)]
        common: Common,
    },
}

/// Asks the running proxy, and prints what it says.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let (common, target, is_one) = match &arguments.what {
        What::Top { limit, common } => (common, format!("/bulk?limit={limit}"), false),
        What::Show { id, common } => {
            let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
            (common, format!("/bulk/show?id={id}"), true)
        }
    };
    let entries: Vec<Entry> = common.ask(&Request::get(target))?;
    let text = match (common.json, is_one, entries.as_slice()) {
        (true, ..) => serde_json::to_string_pretty(&entries)? + "\n",
        (false, _, []) => "No such campaign is remembered.\n".to_owned(),
        (false, true, [entry, ..]) => card(entry),
        (false, false, entries) => table(entries),
    };
    Ok(write!(out, "{text}")?)
}

fn table(entries: &[Entry]) -> String {
    let heading = ["ID", "COPIES", "NETWORKS", "SENDERS", "AUTH", "BY", "TRAPS", "SPAM", "HAM", "SINCE", "SENDS AS"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for entry in entries {
        let counts = [entry.volume, entry.networks, entry.sender_domains].map(|count| count.to_string());
        let authenticated = [percent(entry.authenticated, entry.volume), entry.authenticated_domains.to_string()];
        let said = [entry.traps, entry.spam.into(), entry.ham.into()].map(|count| count.to_string());
        let names = entry.examples.iter().take(2).map(|name| &**name).collect::<Vec<_>>().join(" ");
        let row = std::iter::once(entry.id.clone()).chain(counts).chain(authenticated).chain(said);
        rows.push(row.chain([minute(entry.first), names]).collect());
    }
    columns(&rows)
}

fn card(entry: &Entry) -> String {
    let share = |part| format!("{part} ({})", percent(part, entry.volume));
    let names = entry.examples.iter().map(|name| &**name).collect::<Vec<_>>().join(" ");
    let rows = [
        ("campaign", entry.id.clone()),
        ("first message", minute(entry.first)),
        ("last message", minute(entry.last)),
        ("copies", entry.volume.to_string()),
        ("networks", entry.networks.to_string()),
        ("sender domains", entry.sender_domains.to_string()),
        ("authenticated", share(entry.authenticated)),
        ("as their author", share(entry.aligned)),
        ("authenticated domains", entry.authenticated_domains.to_string()),
        ("with List-Id", share(entry.with_list_id)),
        ("with one-click unsubscribe", share(entry.with_unsubscribe)),
        ("recipients", format!("{} known, {} unknown", entry.known_recipients, entry.unknown_recipients)),
        ("traps", entry.traps.to_string()),
        ("learned", format!("{} times spam, {} times ham", entry.spam, entry.ham)),
        ("sends as", names),
    ];
    columns(&rows.map(|(name, value)| vec![name.to_owned(), value]))
}

fn percent(part: u64, of: u64) -> String {
    format!("{} %", part.saturating_mul(100).checked_div(of).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn campaigns_stand_in_columns_and_one_on_a_card() {
        let json = r#"{"id": "beef", "first": "1970-01-01T00:00:00Z", "last": "1970-01-02T00:00:00Z", "volume": 40,
            "networks": 30, "sender_domains": 20, "authenticated": 10, "aligned": 4, "authenticated_domains": 3,
            "with_list_id": 0, "with_unsubscribe": 2, "known_recipients": 41, "unknown_recipients": 5, "traps": 1,
            "spam": 2, "ham": 0, "examples": ["a.example", "b.example", "c.example"], "similarity": 100.0,
            "by_attachment": false}"#;
        let entry: Entry = serde_json::from_str(json).expect("an entry");
        let table = table(std::slice::from_ref(&entry));
        let row: Vec<_> = table.lines().nth(1).unwrap_or_default().split_whitespace().collect();
        assert_eq!(row.join(" "), "beef 40 30 20 25 % 3 1 2 0 1970-01-01 00:00 a.example b.example");
        let card = card(&entry);
        assert!(card.contains("as their author             4 (10 %)\n"), "{card}");
    }
}

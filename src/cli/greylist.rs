//! `gatepost greylist`: what the running proxy remembers of who tried to send what to whom; who is let pass by
//! hand, and what is forgotten.

use std::io::Write;

use super::ask::{self, Common};
use super::{Failed, columns, minute};
use crate::telemetry::admin::greylist::{Entry, Meant};

/// Arguments of `greylist`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do with triplets.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print triplets and senders that pass, the latest first.
    List(List),
    /// Print what is known of one.
    Show(One),
    /// Let one pass, from now on and until it has not been seen for `pass_days`.
    Pass(One),
    /// Forget a triplet, or what a sender has earned altogether; its triplets that have delivered stay known.
    Drop(One),
}

/// Which triplets are listed.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those that have not delivered anything yet.
    #[arg(long)]
    pub waiting: bool,
    /// So many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub limit: usize,
    /// How to ask, and how to print.
    #[command(flatten)]
    pub common: Common,
}

/// Which one is meant.
#[derive(Debug, clap::Args)]
pub struct One {
    /// A key as `list` prints it; or an address, or a domain that authenticates its mail: that sender altogether.
    #[arg(value_name = "KEY|CLIENT")]
    pub client: String,
    /// With a client: the reverse-path of one triplet.
    #[arg(requires = "recipient")]
    pub sender: Option<String>,
    /// Its forward-path.
    pub recipient: Option<String>,
    /// How to ask, and how to print.
    #[command(flatten)]
    pub common: Common,
}

/// Asks the running proxy, and prints what it says.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let (common, entries): (_, Vec<Entry>) = match &arguments.what {
        What::List(list) => {
            let target = format!("/greylist?waiting={}&limit={}", list.waiting, list.limit);
            (&list.common, list.common.ask(&ask::Request::get(target))?)
        }
        What::Show(one) => (&one.common, one.common.ask(&ask::Request::get(one.query()))?),
        What::Pass(one) => (&one.common, one.common.ask(&one.post("/greylist/pass")?)?),
        What::Drop(one) => (&one.common, one.common.ask(&one.post("/greylist/drop")?)?),
    };
    let text = match common.json {
        true => serde_json::to_string_pretty(&entries)? + "\n",
        false => text(&entries),
    };
    Ok(write!(out, "{text}")?)
}

impl One {
    fn meant(&self) -> Meant {
        let is_key = self.client.len() == 48 && self.client.bytes().all(|octet| octet.is_ascii_hexdigit());
        let client = Some(self.client.clone());
        match is_key {
            true => Meant { key: client, sender: self.sender.clone(), recipient: self.recipient.clone(), client: None },
            false => Meant { client, sender: self.sender.clone(), recipient: self.recipient.clone(), key: None },
        }
    }

    fn query(&self) -> String {
        let Meant { key, client, sender, recipient } = self.meant();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("key", key), ("client", client), ("sender", sender), ("recipient", recipient)] {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        format!("/greylist/show?{}", query.finish())
    }

    fn post(&self, target: &str) -> Result<ask::Request, Failed> {
        Ok(ask::Request::post(target.to_owned(), serde_json::to_string(&self.meant())?))
    }
}

fn text(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "Nothing is remembered.\n".to_owned();
    }
    let heading = ["HOLDER", "STATE", "ATTEMPTS", "DELIVERIES", "FIRST", "LAST", "UNTIL", "KEY"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for entry in entries {
        let holder = if entry.altogether { format!("{} (all)", entry.holder) } else { entry.holder.clone() };
        let counts = [entry.attempts, entry.deliveries].map(|count| count.to_string());
        let times = [entry.first, entry.last, entry.until].map(minute);
        let row = [holder, entry.state.clone()].into_iter().chain(counts).chain(times).chain([entry.key.clone()]);
        rows.push(row.collect());
    }
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use std::path::PathBuf;

    use super::*;

    fn one(client: &str, paths: Option<(&str, &str)>) -> One {
        let (sender, recipient) = paths.map(|(a, b)| (a.to_owned(), b.to_owned())).unzip();
        let common = Common { config: PathBuf::new(), json: false };
        One { client: client.to_owned(), sender, recipient, common }
    }

    #[test]
    fn what_is_typed_is_asked() {
        for (one, query) in [
            (one("192.0.2.1", None), "client=192.0.2.1".to_owned()),
            (one(&"0f".repeat(24), None), format!("key={}", "0f".repeat(24))),
            (
                one("sender.example", Some(("a+b@x.example", "c&d@y.example"))),
                "client=sender.example&sender=a%2Bb%40x.example&recipient=c%26d%40y.example".to_owned(),
            ),
        ] {
            assert_eq!(one.query(), format!("/greylist/show?{query}"));
        }
    }

    #[test]
    fn entries_stand_in_columns() {
        assert_eq!(text(&[]), "Nothing is remembered.\n");
        let entry = Entry {
            key: "0f".to_owned(),
            holder: "192.0.2.0".to_owned(),
            altogether: true,
            state: "by hand".to_owned(),
            first: Timestamp::UNIX_EPOCH,
            last: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
            attempts: 1,
            deliveries: 2,
        };
        let text = text(&[entry]);
        assert!(text.contains("\n192.0.2.0 (all)  by hand  1 "), "{text}");
    }
}

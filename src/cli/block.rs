//! `gatepost block`: who may send nothing from now on, at all proxies that share a store.

use std::io::Write;

use super::ask::{Common, Request};
use super::{Failed, columns, minute, recorded};
use crate::store::{Blocked, NotBlockable};
use crate::telemetry::admin::blocks::{Entry, Said};

/// Arguments of `block`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do with blocks.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Block a user, a reverse-path or a client: their mail is refused at RCPT, in sessions that are open, too.
    Add(Add),
    /// Take a block back.
    Remove(Remove),
    /// Print who is blocked.
    List(List),
}

/// Who is blocked, and how long.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// `user:NAME` as he authenticates, `sender:ADDRESS` as in MAIL FROM, or `client:ADDRESS`.
    #[arg(value_name = "WHOM", value_parser = whom)]
    pub whom: String,
    /// How long, as `2h` or `3 days`. Default: until it is taken back.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub duration: Option<u64>,
    /// Why, for other operators and the log. The client does not see it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub why: String,
    /// How to ask, and how to print.
    #[command(flatten)]
    pub common: Common,
}

/// Who is meant.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// As `list` prints it.
    #[arg(value_name = "WHOM", value_parser = whom)]
    pub whom: String,
    /// How to ask, and how to print.
    #[command(flatten)]
    pub common: Common,
}

/// How to ask.
#[derive(Debug, clap::Args)]
pub struct List {
    /// How to ask, and how to print.
    #[command(flatten)]
    pub common: Common,
}

fn whom(text: &str) -> Result<String, NotBlockable> {
    text.parse::<Blocked>().map(|whom| whom.to_string())
}

/// In seconds.
pub(super) fn duration(text: &str) -> Result<u64, String> {
    let lasts = recorded::duration(text)?;
    u64::try_from(lasts.as_secs()).ok().filter(|seconds| *seconds > 0).ok_or_else(|| "less than a second".to_owned())
}

/// Asks the running proxy, and prints who is blocked afterwards.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let (common, request) = match &arguments.what {
        What::List(list) => (&list.common, Request::get("/blocks".to_owned())),
        What::Add(add) => {
            let said = Said { whom: add.whom.clone(), seconds: add.duration, why: add.why.clone() };
            (&add.common, Request::post("/blocks/add".to_owned(), serde_json::to_string(&said)?))
        }
        What::Remove(remove) => {
            let said = Said { whom: remove.whom.clone(), ..Said::default() };
            (&remove.common, Request::post("/blocks/remove".to_owned(), serde_json::to_string(&said)?))
        }
    };
    let entries: Vec<Entry> = common.ask(&request)?;
    let text = if common.json { serde_json::to_string_pretty(&entries)? + "\n" } else { text(&entries) };
    Ok(write!(out, "{text}")?)
}

fn text(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "Nobody is blocked.\n".to_owned();
    }
    let mut rows = vec![["WHOM", "SINCE", "UNTIL", "WHY"].map(str::to_owned).to_vec()];
    for Entry { whom, since, until, why } in entries {
        rows.push(vec![whom.clone(), minute(*since), until.map_or_else(|| "-".to_owned(), minute), why.clone()]);
    }
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_write_them() {
        for (text, seconds) in [
            ("2h", Some(7200)),
            ("3 days", Some(259_200)),
            ("1h 30m", Some(5400)),
            ("1w", Some(604_800)),
            ("0s", None),
            ("soon", None),
            ("-2h", None),
        ] {
            assert_eq!(duration(text).ok(), seconds, "{text}");
        }
    }
}

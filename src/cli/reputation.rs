//! `gatepost reputation`: what senders have earned in the running proxy; who is made unknown again.

use std::io::Write;

use super::ask::{Common, Request};
use super::{Failed, columns, minute};
use crate::telemetry::admin::reputation::{Entry, Forgotten, Meant};

/// Arguments of `reputation`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do with reputations.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print reputations, those with the most evidence first.
    Show(Show),
    /// Forget them: who is meant is unknown again.
    Reset(Reset),
}

/// Which reputations are printed.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Only those that name this network (or address), or this domain.
    #[arg(value_name = "NETWORK|DOMAIN")]
    pub whose: Option<String>,
    /// So many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub limit: usize,
    /// How to ask, and how to print.
    #[command(flatten)]
    pub common: Common,
}

/// Which reputations are forgotten.
#[derive(Debug, clap::Args)]
pub struct Reset {
    /// All that name this network (or address), or this domain: alone and in pairs.
    #[arg(value_name = "NETWORK|DOMAIN", required_unless_present = "all", conflicts_with = "all")]
    pub whose: Option<String>,
    /// All that there are.
    #[arg(long)]
    pub all: bool,
    /// How to ask, and how to print.
    #[command(flatten)]
    pub common: Common,
}

/// Asks the running proxy, and prints what it says.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let text = match &arguments.what {
        What::Show(show) => {
            let entries: Vec<Entry> = show.common.ask(&Request::get(show.query()))?;
            if show.common.json { serde_json::to_string_pretty(&entries)? + "\n" } else { text(&entries) }
        }
        What::Reset(reset) => {
            let meant = serde_json::to_string(&Meant { whose: reset.whose.clone(), limit: None })?;
            let told: Forgotten = reset.common.ask(&Request::post("/reputation/reset".to_owned(), meant))?;
            match reset.common.json {
                true => serde_json::to_string_pretty(&told)? + "\n",
                false => format!("{} forgotten\n", told.forgotten),
            }
        }
    };
    Ok(write!(out, "{text}")?)
}

impl Show {
    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(whose) = &self.whose {
            query.append_pair("whose", whose);
        }
        query.append_pair("limit", &self.limit.to_string());
        format!("/reputation?{}", query.finish())
    }
}

fn text(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "Nothing is remembered.\n".to_owned();
    }
    let heading = ["DOMAIN", "NETWORK", "WANTED", "UNWANTED", "EXPECTED", "FIRST", "LAST"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for entry in entries {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "(any)".to_owned());
        // Without enough evidence nothing is expected.
        let expected = entry.estimate.map_or_else(|| "-".to_owned(), |share| format!("{:.0} % bad", share * 100.0));
        let row =
            [name(&entry.domain), name(&entry.network), format!("{:.1}", entry.good), format!("{:.1}", entry.bad)];
        rows.push(row.into_iter().chain([expected, minute(entry.first), minute(entry.last)]).collect());
    }
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_is_typed_is_asked() {
        let show = |whose: Option<&str>| Show {
            whose: whose.map(str::to_owned),
            limit: 9,
            common: Common { config: PathBuf::new(), json: false },
        };
        assert_eq!(show(None).query(), "/reputation?limit=9");
        assert_eq!(show(Some("2001:db8::/64")).query(), "/reputation?whose=2001%3Adb8%3A%3A%2F64&limit=9");
    }

    #[test]
    fn entries_stand_in_columns() {
        assert_eq!(text(&[]), "Nothing is remembered.\n");
        let entry = Entry {
            domain: None,
            network: Some("192.0.2.0/24".to_owned()),
            good: 1.26,
            bad: 20.0,
            first: Timestamp::UNIX_EPOCH,
            last: Timestamp::UNIX_EPOCH,
            estimate: Some(0.873),
        };
        let unknown = Entry { domain: Some("a.example".to_owned()), network: None, estimate: None, ..entry.clone() };
        let text = text(&[entry, unknown]);
        assert!(text.contains("\n(any)      192.0.2.0/24  1.3     20.0      87 % bad  1970-01-01 00:00"), "{text}");
        assert!(text.contains("\na.example  (any)         1.3     20.0      -  "), "{text}");
    }
}

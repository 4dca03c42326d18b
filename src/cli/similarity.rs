//! `gatepost similarity`: how alike messages are, pair by pair, and whether the running filter would find one
//! by the other.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Failed;
use crate::message::{Links, Message, Text};
use crate::similarity::{DEFAULT_KEY, Digest, Index, Limits};

/// Arguments of `similarity`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The directory with the messages: files of the form of RFC 822.
    #[arg(value_name = "DIR")]
    pub messages: PathBuf,
    /// Pairs of names of files in it: lines of JSON such as {"a": "1.eml", "b": "2.eml"}.
    #[arg(value_name = "PAIRS")]
    pub pairs: PathBuf,
    /// The key of the site: digests under different keys cannot be compared.
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_KEY)]
    pub key: u64,
}

#[derive(Deserialize)]
struct Pair {
    a: String,
    b: String,
}

#[derive(Serialize)]
struct Answer<'p> {
    a: &'p str,
    b: &'p str,
    /// Percent.
    score: f32,
    /// The second message, coming in while the filter remembers all the others, is found to be of the campaign
    /// of the first.
    #[serde(rename = "match")]
    is_match: bool,
}

/// The messages, as the filter remembers them.
struct Remembered {
    digests: BTreeMap<String, Digest>,
    clusters: BTreeMap<String, u64>,
    index: Index,
}

/// They all came within one window.
const NOW: Duration = Duration::ZERO;

/// Prints one line of JSON per pair: its two names, the score, 0 to 100, and the decision.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let lines = fs::read_to_string(&arguments.pairs)
        .map_err(|error| Failed(format!("{}: {error}", arguments.pairs.display())))?;
    let pairs: Vec<Pair> = lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .enumerate()
        .map(|(at, line)| {
            serde_json::from_str(line)
                .map_err(|error| Failed(format!("{}, line {}: {error}", arguments.pairs.display(), at + 1)))
        })
        .collect::<Result<_, _>>()?;
    let remembered = remember(&pairs, &arguments.messages, arguments.key)?;
    for pair in &pairs {
        serde_json::to_writer(&mut *out, &remembered.answer(pair))?;
        writeln!(out)?;
    }
    Ok(())
}

fn remember(pairs: &[Pair], directory: &Path, key: u64) -> Result<Remembered, Failed> {
    let mut digests = BTreeMap::new();
    for name in pairs.iter().flat_map(|pair| [&pair.a, &pair.b]) {
        if !digests.contains_key(name) {
            digests.insert(name.clone(), digest(&directory.join(name), key)?);
        }
    }
    let day = Duration::from_secs(24 * 60 * 60);
    let mut index = Index::new(Limits { entries: digests.len().max(1), window: day, step: day / 24 });
    let mut clusters = BTreeMap::new();
    for (number, (name, digest)) in digests.iter().enumerate() {
        let cluster = index.nearest(digest, NOW).map_or(number as u64, |nearest| nearest.cluster);
        index.record(digest, cluster, NOW);
        clusters.insert(name.clone(), cluster);
    }
    Ok(Remembered { digests, clusters, index })
}

fn digest(path: &Path, key: u64) -> Result<Digest, Failed> {
    let octets = fs::read(path).map_err(|error| Failed(format!("{}: {error}", path.display())))?;
    let len = octets.len() as u64;
    let message = Message::new(octets, len);
    Ok(Digest::of_message(&Text::of(&message), &Links::of(&message), key))
}

impl Remembered {
    fn answer<'p>(&self, pair: &'p Pair) -> Answer<'p> {
        let (a, b) = (&self.digests[&pair.a], &self.digests[&pair.b]);
        let cluster = self.clusters[&pair.a];
        let is_match = self.index.matches(b, NOW).iter().any(|found| found.cluster == cluster);
        let score = (a.similarity(b) * 100.0).round() / 100.0;
        Answer { a: &pair.a, b: &pair.b, score, is_match }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_gets_a_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = "The river committee meets every second Thursday in the old library behind the market hall, \
                    where volunteers sort donated maps, repair rowing boats and plan the autumn festival.";
        let other = "Quarterly figures for turbine maintenance arrived late because the Hamburg supplier shipped \
                     gearboxes without certificates, so engineering postponed inspection until November.";
        for (name, body) in [("1", text.to_owned()), ("2", text.replace("river", "r1ver")), ("3", other.to_owned())] {
            fs::write(directory.path().join(name), format!("Subject: x\r\n\r\n{body}\r\n")).expect("a file");
        }
        let pairs = directory.path().join("pairs");
        fs::write(&pairs, "{\"a\":\"1\",\"b\":\"2\"}\n{\"a\":\"1\",\"b\":\"3\"}\n").expect("a file");
        let arguments = Arguments { messages: directory.path().to_owned(), pairs, key: DEFAULT_KEY };
        let mut out = Vec::new();
        run(&arguments, &mut out).expect("both are answered");
        let lines = String::from_utf8(out).expect("text");
        let answers: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(answers.len(), 2);
        assert_eq!((&answers[0]["score"], &answers[0]["match"]), (&100.0.into(), &true.into()));
        assert_eq!(answers[1]["match"], false);
        assert!(answers[1]["score"].as_f64().expect("a number") < 30.0, "{lines}");
    }
}

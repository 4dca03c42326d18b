//! `gatepost similarity`: how alike messages are, pair by pair, and whether the running filter would find one
//! by the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::Failed;
use crate::message::{Message, Model};
use crate::similarity::{Content, DEFAULT_KEY, Digest, Index, Limits, MAX_ENTRIES};

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
    /// So many other messages, made of random words, come first: an index that holds millions forgets some keys.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub filler: u64,
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
    /// When the later one came in, it was found to be of the campaign of the earlier one. Messages come in the
    /// order of their names.
    #[serde(rename = "match")]
    is_match: bool,
}

/// A message that came in.
struct Received {
    digest: Digest,
    /// Of what was there before: campaigns that it was found to be of.
    found: Vec<u64>,
    /// The campaign that it was put into.
    cluster: u64,
}

/// They all came within one window.
const NOW: Duration = Duration::ZERO;

/// Prints one line of JSON per pair: its two names, the score, 0 to 100, and the decision.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let lines = fs::read_to_string(&arguments.pairs)
        .map_err(|error| Failed(format!("{}: {error}", arguments.pairs.display())))?;
    let pairs: Vec<Pair> = lines
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            serde_json::from_str(line)
                .map_err(|error| Failed(format!("{}, line {}: {error}", arguments.pairs.display(), at + 1)))
        })
        .collect::<Result<_, _>>()?;
    let received = receive(&pairs, arguments)?;
    for pair in &pairs {
        serde_json::to_writer(&mut *out, &answer(pair, &received))?;
        writeln!(out)?;
    }
    Ok(())
}

fn receive(pairs: &[Pair], arguments: &Arguments) -> Result<BTreeMap<String, Received>, Failed> {
    let names: BTreeSet<&String> = pairs.iter().flat_map(|pair| [&pair.a, &pair.b]).collect();
    let day = Duration::from_secs(24 * 60 * 60);
    let filler = usize::try_from(arguments.filler).unwrap_or(usize::MAX);
    let entries = names.len().saturating_add(filler).clamp(1, MAX_ENTRIES);
    let mut index = Index::new(Limits { entries, window: day, step: day / 24 });
    for number in 0..arguments.filler {
        let text = random_text(number);
        index.record(&Digest::of(&Content { text: &text, ..Content::default() }, arguments.key), number, NOW);
    }
    let mut received = BTreeMap::new();
    for (name, number) in names.into_iter().zip(arguments.filler..) {
        let digest = digest(&arguments.messages.join(name), arguments.key)?;
        let matches = index.matches(&digest, NOW);
        let cluster = matches.first().map_or(number, |nearest| nearest.cluster);
        index.record(&digest, cluster, NOW);
        let found = matches.iter().map(|found| found.cluster).collect();
        received.insert(name.clone(), Received { digest, found, cluster });
    }
    Ok(received)
}

/// A text that is like no other number's.
fn random_text(number: u64) -> String {
    let mut random = StdRng::seed_from_u64(number);
    let mut word = || (0..8).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect::<String>();
    (0..60).map(|_| word()).collect::<Vec<_>>().join(" ")
}

fn digest(path: &Path, key: u64) -> Result<Digest, Failed> {
    let octets = fs::read(path).map_err(|error| Failed(format!("{}: {error}", path.display())))?;
    let len = octets.len() as u64;
    let message = Message::new(octets, len);
    let model = Model::of(&message);
    Ok(Digest::of_message(&model.text, &model.found, key))
}

fn answer<'p>(pair: &'p Pair, received: &BTreeMap<String, Received>) -> Answer<'p> {
    let (a, b) = (&received[&pair.a], &received[&pair.b]);
    let (earlier, later) = if pair.a <= pair.b { (a, b) } else { (b, a) };
    let is_match = later.found.contains(&earlier.cluster);
    let score = (a.digest.similarity(&b.digest) * 100.0).round() / 100.0;
    Answer { a: &pair.a, b: &pair.b, score, is_match }
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
        let arguments = Arguments { messages: directory.path().to_owned(), pairs, key: DEFAULT_KEY, filler: 50 };
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

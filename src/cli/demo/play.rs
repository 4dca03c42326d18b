//! Plays a scene over real sockets and holds what happened against what must happen.

use std::collections::BTreeMap;

use prometheus::Registry;

use super::backend::Delivery;
use super::client::{Client, Heard};
use super::maildir::Maildir;
use super::scene::{Parcel, Scene};
use super::site::Site;
use crate::cli::Failed;
use crate::smtp::Reply;

/// What became of a scene.
#[derive(Debug)]
pub(super) struct Played {
    /// The reply that tells it: the first refusal, or else the last reply.
    pub(super) reply: Option<Reply>,
    /// Symbols found.
    pub(super) symbols: Vec<String>,
    /// What went otherwise than it must.
    pub(super) mistakes: Vec<String>,
}

/// What is said of all mail of the usual sender, who comes for the first time: no reason for anything.
const STATEMENTS: [&str; 10] = [
    "SPF_PASS",
    "SPF_NEUTRAL",
    "DKIM_NONE",
    "DMARC_PASS",
    "DMARC_FAIL_NONE",
    "GREYLIST_NEW",
    "GREYLIST_EARLY",
    "GREYLIST_KNOWN",
    "GREYLIST_RCPT_NEW",
    "GREYLIST_RCPT_EARLY",
];

/// Plays `scene`.
pub(super) async fn play(site: &mut Site, scene: &Scene) -> Result<Played, Failed> {
    site.set(scene.weather).await?;
    let stored = site.office.deliveries().len();
    let (found, shadows) = (symbols(&site.registry), shadows(&site.registry));
    let mut mistakes = Vec::new();
    let replies = talk(site, scene, &mut mistakes).await?;

    let mut symbols = risen(&found, &self::symbols(&site.registry));
    symbols.retain(|symbol| !STATEMENTS.contains(&symbol.as_str()));
    let expected = |symbol: &&String| scene.symbols.contains(&symbol.as_str());
    let allowed = |symbol: &&String| scene.more || scene.may_find.contains(&symbol.as_str());
    if symbols.iter().filter(|symbol| expected(symbol) || !allowed(symbol)).ne(scene.symbols) {
        mistakes.push(format!("found [{}], not [{}]", symbols.join(", "), scene.symbols.join(", ")));
    }
    let shadows = risen(&shadows, &self::shadows(&site.registry));
    if shadows.as_slice() != scene.shadow.as_slice() {
        mistakes.push(format!("clauses in shadow: [{}], not {:?}", shadows.join(", "), scene.shadow));
    }
    let deliveries = site.office.deliveries().split_off(stored);
    if deliveries.len() != scene.stored.len() {
        mistakes.push(format!("{} messages were stored, not {}", deliveries.len(), scene.stored.len()));
    }
    for (delivery, parcel) in deliveries.iter().zip(&scene.stored) {
        compare(&site.office.maildir, scene, delivery, parcel, &mut mistakes)?;
    }
    let telling = replies.iter().find(|reply| reply.class() >= 4).or(replies.last()).cloned();
    Ok(Played { reply: telling, symbols, mistakes })
}

/// The dialogue; the replies to all that was said but QUIT.
async fn talk(site: &Site, scene: &Scene, mistakes: &mut Vec<String>) -> Result<Vec<Reply>, Failed> {
    let mut client = Client::connect(site.cast, scene.from, &scene.first).await?;
    let mut replies = Vec::new();
    for turn in &scene.turns {
        client.say(&turn.say).await;
        for begin in turn.hear {
            match client.hear().await {
                Heard::Reply(reply) => {
                    let heard = reply.to_log();
                    if !heard.starts_with(begin) {
                        mistakes.push(format!("heard `{heard}`, not `{begin}`"));
                    }
                    replies.push(reply);
                }
                other => {
                    mistakes.push(format!("heard {other:?}, not `{begin}`"));
                    return Ok(replies);
                }
            }
        }
    }
    if !scene.hangs_up {
        client.say(b"QUIT\r\n").await;
        match client.hear().await {
            Heard::Reply(reply) if reply.code() == 221 => {}
            other => mistakes.push(format!("heard {other:?} to QUIT")),
        }
    }
    match client.hear().await {
        Heard::End => {}
        other => mistakes.push(format!("the connection must be closed, but heard {other:?}")),
    }
    Ok(replies)
}

/// Is what is stored what was sent, and no more than our fields above it?
fn compare(
    maildir: &Maildir,
    scene: &Scene,
    delivery: &Delivery,
    parcel: &Parcel,
    mistakes: &mut Vec<String>,
) -> Result<(), Failed> {
    if delivery.recipients != parcel.recipients {
        mistakes.push(format!("stored for {:?}, not {:?}", delivery.recipients, parcel.recipients));
    }
    if delivery.client != Some(scene.from) {
        mistakes.push(format!("the backend takes the client for {:?}", delivery.client));
    }
    let octets = maildir.read(&delivery.file)?;
    let Some(fields) = octets.strip_suffix(parcel.message.as_slice()) else {
        mistakes.push("stored otherwise than it was sent".to_owned());
        return Ok(());
    };
    let fields = String::from_utf8_lossy(fields);
    for line in fields.split_terminator("\r\n") {
        if !["X-Spam-", "Authentication-Results: ", "Received: from ", "\t"].iter().any(|begin| line.starts_with(begin))
        {
            mistakes.push(format!("`{line}` was added"));
        }
    }
    if fields.matches("Received: from ").count() != 1 {
        mistakes.push("there is not one Received field above it".to_owned());
    }
    if fields.contains("X-Spam-Flag: YES\r\n") != parcel.flagged {
        mistakes.push(format!("its tag is not {}", parcel.flagged));
    }
    Ok(())
}

/// How often each symbol was found.
fn symbols(registry: &Registry) -> BTreeMap<String, u64> {
    counts(registry, "gatepost_findings_total", "symbol")
}

/// How often each clause in shadow would have had its way.
fn shadows(registry: &Registry) -> BTreeMap<String, u64> {
    counts(registry, "gatepost_shadow_decisions_total", "clause")
}

fn counts(registry: &Registry, family: &str, label: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for family in registry.gather().iter().filter(|known| known.name() == family) {
        for metric in family.get_metric() {
            for pair in metric.get_label().iter().filter(|pair| pair.name() == label) {
                // Counters of whole numbers, far below what a float holds exactly.
                *counts.entry(pair.value().to_owned()).or_default() += metric.get_counter().get_value() as u64;
            }
        }
    }
    counts
}

fn risen(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<String> {
    let has_risen = |name: &str, count: u64| count > before.get(name).copied().unwrap_or_default();
    after.iter().filter(|(name, count)| has_risen(name, **count)).map(|(name, _)| name.clone()).collect()
}

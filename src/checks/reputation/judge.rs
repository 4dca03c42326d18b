//! From records to an opinion, and from a fate to a lesson.

use std::fmt;

use super::Settings;
use crate::checks::Fate;
use crate::store::ReputationRecord;
use crate::units::Percent;
use crate::verdict::Verdict;

/// Less is no opinion.
const FAINTEST: u8 = 10;

/// What is known of one domain that authenticates a message, and of that domain from this network.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// The domain.
    pub domain: Option<ReputationRecord>,
    /// The pair.
    pub pair: Option<ReputationRecord>,
}

/// An opinion: which way, and how firmly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leaning {
    /// The share of unwanted mail to be expected, 0 to 1.
    pub estimate: f64,
    /// What that rests on: unwanted and all messages of the pair, the domain and the network, faded.
    pub sums: [(f64, f64); 3],
}

/// What a fate teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// The mail was wanted.
    Good,
    /// It was not.
    Bad,
}

/// The opinion on mail from a network, authenticated by the domains of `standings`; the worst of several. `None`
/// without enough evidence.
///
/// Each share is estimated as `(bad + prior * expected * 2) / (bad + good + prior * 2)`: little evidence moves
/// it little. Of a network or a domain nothing is expected (one half); of their pair what both lead to expect.
pub fn judge(settings: &Settings, network: Option<&ReputationRecord>, standings: &[Standing]) -> Option<Leaning> {
    let alone = [Standing::default()];
    let standings = if standings.is_empty() { &alone } else { standings };
    let leanings = standings.iter().filter_map(|standing| one(settings, network, standing));
    leanings.max_by(|one, other| one.estimate.total_cmp(&other.estimate))
}

fn one(settings: &Settings, network: Option<&ReputationRecord>, standing: &Standing) -> Option<Leaning> {
    let sums = [standing.pair.as_ref(), standing.domain.as_ref(), network].map(sum);
    let most = sums.iter().fold(0.0_f64, |most, (_, all)| most.max(*all));
    if most < settings.minimum {
        return None;
    }
    let [pair, domain, network] = sums;
    let of_network = estimate(settings, network, 0.5);
    let estimate = match standing {
        Standing { domain: None, pair: None } if domain.1 == 0.0 => of_network,
        _ => estimate(settings, pair, (of_network + estimate(settings, domain, 0.5)) / 2.0),
    };
    Some(Leaning { estimate, sums })
}

fn sum(record: Option<&ReputationRecord>) -> (f64, f64) {
    record.map_or((0.0, 0.0), |record| (record.bad, record.bad + record.good))
}

fn estimate(settings: &Settings, (bad, all): (f64, f64), expected: f64) -> f64 {
    // Without doubt and without evidence there is nothing to divide.
    let doubt = (settings.prior * 2.0).max(f64::EPSILON);
    (bad + doubt * expected) / (all + doubt)
}

impl Leaning {
    /// Bad or good, and how much of the weight that deserves; `None`: neither.
    pub fn verdict(&self) -> Option<(Lesson, Percent)> {
        let lean = (self.estimate * 2.0 - 1.0).clamp(-1.0, 1.0);
        let strength = Percent::new((lean.abs() * 100.0).round() as u8);
        let lesson = if lean > 0.0 { Lesson::Bad } else { Lesson::Good };
        (strength.get() >= FAINTEST).then_some((lesson, strength))
    }
}

impl fmt::Display for Leaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} % unwanted expected", self.estimate * 100.0)?;
        for (what, (bad, all)) in ["pair", "domain", "network"].iter().zip(self.sums) {
            if all > 0.0 {
                write!(f, ", {what} {bad:.1} of {all:.1}")?;
            }
        }
        Ok(())
    }
}

/// What a message teaches about its sender, own weight aside; `None`: nothing. What will come again, and what was
/// never decided, teaches nothing yet.
pub fn lesson(settings: &Settings, fate: &Fate, traps: usize) -> Option<Lesson> {
    let others = fate.others?;
    let is_final = !(400..500).contains(&fate.reply_code) && fate.reply_code != 0;
    if fate.abandoned || fate.verdict == Verdict::Defer || !is_final {
        return None;
    }
    if traps > 0 || others.tagged || others.verdict == Verdict::Reject {
        return Some(Lesson::Bad);
    }
    let is_taken = fate.verdict == Verdict::Forward && (200..300).contains(&fate.reply_code);
    (is_taken && others.verdict == Verdict::Forward && others.score < settings.good_below).then_some(Lesson::Good)
}

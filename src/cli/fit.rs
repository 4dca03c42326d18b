//! `gatepost fit`: weights fitted to labelled mail, as a difference that somebody reviews.

mod mail;
mod report;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Failed;
use super::scan::{Basis, Judging};
use crate::config::{Problems, Rules};
use crate::fit::folds::{self, Validation};
use crate::fit::{Example, Mail, Wishes, descent, text};
use crate::policy::Policy;
use crate::scoring::{Score, Symbol};
use crate::verdict::Verdict;
use report::Report;

/// The file that is rewritten.
const WEIGHTS: &str = "weights.toml";
/// How often the way from the old weights to the new ones is halved, if the new ones are refused.
const HALVES: usize = 6;

/// Arguments of `fit`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Unwanted mail: files, mboxes, Maildirs, directories, or traces (`.jsonl`, of `scan --json`). Each is a source
    /// of its own, and so is each directory in a directory, unless NAME= says which source it is.
    #[arg(long, value_name = "[NAME=]PATH", required = true, num_args = 1..)]
    pub spam: Vec<String>,
    /// Wanted mail, written in the same way.
    #[arg(long, value_name = "[NAME=]PATH", required = true, num_args = 1..)]
    pub ham: Vec<String>,
    /// Who sent the messages how, as for `scan --batch`: found by the names of their files.
    #[arg(long, value_name = "FILE")]
    pub envelopes: Option<PathBuf>,
    /// How messages are judged, and whose weights are fitted.
    #[command(flatten)]
    pub judging: Judging,
    /// How far weights may go.
    #[command(flatten)]
    pub bounds: Bounds,
    /// Write the weights into the directory of rules. Without it nothing is written.
    #[arg(long)]
    pub write: bool,
}

/// How far weights may go, and what is wanted.
#[derive(Clone, Debug, clap::Args)]
pub struct Bounds {
    /// A weight moves by so many points at most, or
    #[arg(long, value_name = "POINTS", default_value_t = Wishes::default().step)]
    pub step: f64,
    /// by this share of itself, if that is further. It never changes its sign.
    #[arg(long, value_name = "SHARE", default_value_t = Wishes::default().step_share)]
    pub step_share: f64,
    /// How strongly weights are held to what they are.
    #[arg(long, value_name = "NUMBER", default_value_t = Wishes::default().pull)]
    pub pull: f64,
    /// What marked ham costs, beside missed spam.
    #[arg(long, value_name = "NUMBER", default_value_t = Wishes::default().ham_cost)]
    pub ham_cost: f64,
    /// How far from the mark messages should be, on their side.
    #[arg(long, value_name = "POINTS", default_value_t = Wishes::default().margin)]
    pub margin: f64,
    /// A weight moves only if its symbol was found in so many messages.
    #[arg(long, value_name = "MESSAGES", default_value_t = Wishes::default().support)]
    pub support: usize,
    /// Into how many parts mail is divided to measure.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub folds: usize,
    /// A symbol whose weight stays as it is; several may be given.
    #[arg(long, value_name = "SYMBOL")]
    pub keep: Vec<String>,
}

/// Weights with which the rules load.
struct Accepted {
    weights: Vec<i32>,
    /// The file that holds them.
    candidate: String,
    /// How often the way to what was fitted was halved, and why.
    halved: Option<(usize, String)>,
}

/// Judges the mail, fits the weights, prints the difference and its effect.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(crate::server::proxy::workers().get())
        .enable_all()
        .build()?;
    let basis = {
        let _within = runtime.enter();
        arguments.judging.basis()?
    };
    let target = target(&arguments.judging, &basis);
    if arguments.write && target.is_none() {
        return Err(Failed("rules that are compiled in cannot be written: copy them, and name --rules".to_owned()));
    }
    let ruleset = basis.ruleset(&basis.rules)?;
    let wishes = wishes(&arguments.bounds, &ruleset.policy);
    let mut mail = Mail::new(&ruleset.weights);
    for name in &arguments.bounds.keep {
        let symbol = Symbol::new(name).map_err(Failed)?;
        if !mail.fix(&symbol) {
            return Err(Failed(format!("--keep: no check emits `{name}`, and no composite defines it")));
        }
    }
    runtime.block_on(mail::collect(arguments, &basis, &mut mail))?;
    let classes = |is_spam| mail.examples.iter().filter(|example| example.is_spam == is_spam).count();
    if classes(true) == 0 || classes(false) == 0 {
        return Err(Failed("there must be spam and ham".to_owned()));
    }
    let all: Vec<&Example> = mail.examples.iter().collect();
    let fitted = descent::fit(&mail, &all, &wishes);
    let Accepted { weights, candidate, halved } = acceptable(&mail, &wishes, &fitted, &basis)?;
    let validation: Validation = folds::validate(&mail, &wishes, arguments.bounds.folds);
    let before = &basis.rules.weights.1.source.text;
    let shown = target.as_deref().map_or_else(|| WEIGHTS.to_owned(), |path| path.display().to_string());
    write!(out, "{}", text::difference(&shown, before, &candidate))?;
    let report = Report { mail: &mail, wishes: &wishes, weights: &weights, validation: &validation, halved };
    write!(out, "{}", report.to_text())?;
    if let Some(path) = target.filter(|_| arguments.write && candidate != *before) {
        replace(&path, &candidate)?;
        writeln!(out, "written: {}", path.display())?;
    }
    Ok(())
}

/// The file of weights, if it is one.
fn target(judging: &Judging, basis: &Basis) -> Option<PathBuf> {
    if let Some(directory) = &judging.rules {
        return Some(directory.join(WEIGHTS));
    }
    basis.config.as_ref()?;
    // What was read says where it came from; what is compiled in says so, too.
    let path = PathBuf::from(&basis.rules.weights.1.source.path);
    path.is_file().then_some(path)
}

/// The operating points are those of the policy.
fn wishes(bounds: &Bounds, policy: &Policy) -> Wishes {
    let points = |score: Score| f64::from(score.get()) / 100.0;
    let refuses = policy.clauses.iter().filter(|clause| clause.verdict == Verdict::Reject);
    let plain = refuses.filter(|clause| clause.when.reads().next().is_none());
    let reject = plain.filter_map(|clause| clause.when.at_least).min();
    let default = Wishes::default();
    Wishes {
        tag: policy.tag.map_or(default.tag, points),
        reject: reject.map_or(default.reject, points),
        margin: bounds.margin,
        ham_cost: bounds.ham_cost,
        pull: bounds.pull,
        step: bounds.step,
        step_share: bounds.step_share,
        support: bounds.support,
        grain: default.grain,
    }
}

/// The fitted weights with the file that holds them, if that loads; what they break (an invariant of the policy) they
/// break the less the nearer they are to what is there, so the way is halved until they load.
fn acceptable(mail: &Mail, wishes: &Wishes, fitted: &[f64], basis: &Basis) -> Result<Accepted, Failed> {
    let mut first = None;
    for halves in 0..HALVES {
        let part = 0.5_f64.powi(i32::try_from(halves).unwrap_or(i32::MAX));
        let now = mail.features.iter().map(|feature| f64::from(feature.weight) / 100.0);
        let between: Vec<f64> = now.zip(fitted).map(|(now, fitted)| now + (fitted - now) * part).collect();
        let weights = wishes.rounded(mail, &between);
        let candidate = with(mail, &weights, &basis.rules)?;
        match loads(&candidate, basis) {
            Ok(()) => return Ok(Accepted { weights, candidate, halved: first.map(|why| (halves, why)) }),
            Err(Failed(why)) => first = first.or(Some(why)),
        }
    }
    Err(Failed(first.unwrap_or_default()))
}

/// The file with these weights.
fn with(mail: &Mail, weights: &[i32], rules: &Rules) -> Result<String, Failed> {
    let changed = mail.features.iter().zip(weights).filter(|(feature, weight)| feature.weight != **weight);
    let changes: BTreeMap<&str, i32> = changed.map(|(feature, weight)| (feature.symbol.as_str(), *weight)).collect();
    text::replaced(&rules.weights.1.source.text, &changes)
        .map_err(|names| Failed(format!("{WEIGHTS}: not on lines of their own in [weights]: {}", names.join(", "))))
}

/// Whether rules with that file of weights would load, invariants included.
fn loads(candidate: &str, basis: &Basis) -> Result<(), Failed> {
    let mut problems = Problems::default();
    let rules = basis.rules.with_weights(candidate, &mut problems);
    let (rules, _warnings) = problems.guard(rules).map_err(|problems| Failed(problems.render(false)))?;
    basis.ruleset(&rules).map(drop)
}

/// All of the new file, or the old one.
fn replace(path: &Path, content: &str) -> Result<(), Failed> {
    let about = |why: &dyn std::fmt::Display| Failed(format!("{}: {why}", path.display()));
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(|why| about(&why))?;
    file.write_all(content.as_bytes()).map_err(|why| about(&why))?;
    if let Ok(known) = fs::metadata(path) {
        fs::set_permissions(file.path(), known.permissions()).map_err(|why| about(&why))?;
    }
    file.as_file().sync_all().map_err(|why| about(&why))?;
    file.persist(path).map_err(|why| about(&why))?;
    Ok(())
}

#[cfg(test)]
mod tests;

//! What the weights are worth, for whoever decides on them.

use std::fmt::Write as _;

use crate::cli::columns;
use crate::fit::folds::{self, Division, Validation};
use crate::fit::measure::Measure;
use crate::fit::{Mail, Wishes};

/// Weights before and after, and what was measured.
pub(super) struct Report<'r> {
    pub(super) mail: &'r Mail,
    pub(super) wishes: &'r Wishes,
    pub(super) weights: &'r [i32],
    pub(super) validation: &'r Validation,
    /// How often the way was halved, and what stood in it.
    pub(super) halved: Option<(usize, String)>,
}

impl Report<'_> {
    pub(super) fn to_text(&self) -> String {
        let Self { mail, wishes, weights, validation, halved } = self;
        let now = mail.weights();
        let (before, after) = (folds::measured(mail, wishes, &now), folds::measured(mail, wishes, weights));
        let moved = now.iter().zip(*weights).filter(|(now, after)| now != after).count();
        let mut text = format!(
            "\n{} ham and {} spam of {} sources; {moved} of {} weights move\n",
            before.ham,
            before.spam,
            mail.sources.len(),
            now.len()
        );
        if let Some((halves, why)) = halved {
            let _ = writeln!(
                text,
                "all the way the rules would not load, so only 1/{} of it:\n{}",
                1 << halves,
                why.trim_end()
            );
        }
        let head = ["", "HAM MARKED", "REFUSED", "SPAM MARKED", "REFUSED", "AUC", "AT 0.1 %", "AT 0.5 %"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.push(row("before", &before));
        rows.push(row("after, on the same mail", &after));
        rows.push(row("after, on other mail", &validation.whole));
        text.push_str(&columns(&rows));
        let _ = match validation.division {
            Division::BySource(parts) => writeln!(
                text,
                "other mail: {parts} parts, each measured with the weights of the others; a source is in one part"
            ),
            Division::ByMessage(parts) => writeln!(
                text,
                "other mail: {parts} parts, divided by message: with fewer than three sources this flatters"
            ),
        };
        text.push('\n');
        text.push_str(&self.by_source(&now));
        text
    }

    /// What each source gains and loses.
    fn by_source(&self, now: &[i32]) -> String {
        let Self { mail, wishes, weights, .. } = self;
        let tag = (wishes.tag * 100.0).round() as i32;
        let mut rows = vec![["SOURCE", "", "MESSAGES", "MARKED BEFORE", "AFTER"].map(str::to_owned).to_vec()];
        for (source, name) in mail.sources.iter().enumerate() {
            for (is_spam, kind) in [(false, "ham"), (true, "spam")] {
                let of_source =
                    || mail.examples.iter().filter(move |one| one.source == source && one.is_spam == is_spam);
                let count = of_source().count();
                if count == 0 {
                    continue;
                }
                let marked = |weights: &[i32]| of_source().filter(|one| mail.score(weights, one) >= tag).count();
                let cell = |marked: usize| share(marked, count);
                let cells =
                    [name.clone(), kind.to_owned(), count.to_string(), cell(marked(now)), cell(marked(weights))];
                rows.push(cells.to_vec());
            }
        }
        columns(&rows)
    }
}

fn row(name: &str, measure: &Measure) -> Vec<String> {
    vec![
        name.to_owned(),
        share(measure.ham_marked, measure.ham),
        share(measure.ham_refused, measure.ham),
        share(measure.spam_marked, measure.spam),
        share(measure.spam_refused, measure.spam),
        format!("{:.4}", measure.auc),
        format!("{:.2} %", measure.recall_1000 * 100.0),
        format!("{:.2} %", measure.recall_200 * 100.0),
    ]
}

fn share(some: usize, all: usize) -> String {
    format!("{some} ({:.2} %)", some as f64 * 100.0 / all.max(1) as f64)
}

//! One thing that was looked at: how it is, and what to do.

use std::fmt::{Display, Write};

use serde::Serialize;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Well,
    /// It works, but not as well as it could, or not for long.
    Doubtful,
    /// Mail is refused, delayed or unsafe.
    Broken,
    /// It could not be looked at.
    Skipped,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// To what it belongs, such as `backend`.
    pub(super) area: &'static str,
    /// What was looked at, such as an address.
    pub(super) subject: String,
    /// How it is.
    pub(super) level: Level,
    /// What was found.
    pub(super) found: String,
    /// What to do about it; empty if nothing.
    pub(super) advice: String,
}

impl Level {
    /// The word at the beginning of a line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Doubtful => "doubtful",
            Self::Broken => "BROKEN",
            Self::Skipped => "skipped",
        }
    }

    /// The colour of that word, as a terminal wants it.
    fn colour(self) -> &'static str {
        match self {
            Self::Well => "32",
            Self::Doubtful => "33",
            Self::Broken => "31;1",
            Self::Skipped => "2",
        }
    }
}

impl Finding {
    /// As it should be.
    pub(super) fn well(area: &'static str, subject: &dyn Display, found: impl Display) -> Self {
        Self::new(area, subject, Level::Well, &found, "")
    }

    /// It works, but.
    pub(super) fn doubtful(area: &'static str, subject: &dyn Display, found: impl Display, advice: &str) -> Self {
        Self::new(area, subject, Level::Doubtful, &found, advice)
    }

    /// Mail suffers.
    pub(super) fn broken(area: &'static str, subject: &dyn Display, found: impl Display, advice: &str) -> Self {
        Self::new(area, subject, Level::Broken, &found, advice)
    }

    /// Nobody looked; `advice` says how it could be.
    pub(super) fn skipped(area: &'static str, subject: &dyn Display, found: impl Display, advice: &str) -> Self {
        Self::new(area, subject, Level::Skipped, &found, advice)
    }

    fn new(area: &'static str, subject: &dyn Display, level: Level, found: &dyn Display, advice: &str) -> Self {
        // Some of it was said by servers: it must not move the cursor, nor begin a line of its own.
        let printable = |text: String| -> String {
            text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
        };
        let (subject, found) = (printable(subject.to_string()), printable(found.to_string()));
        Self { area, subject, level, found, advice: advice.to_owned() }
    }

    /// For people.
    pub(super) fn text(&self, colour: bool) -> String {
        let word = format!("{:<8}", self.level.word());
        let word = if colour { format!("\x1b[{}m{word}\x1b[0m", self.level.colour()) } else { word };
        let mut out = format!("{word}  {} {}: {}\n", self.area, self.subject, self.found);
        if !self.advice.is_empty() {
            let _ = writeln!(out, "            {}", self.advice);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_and_its_advice_another() {
        let finding = Finding::broken("backend", &"127.0.0.1:25", "it says \"550 no\r\n\x1b[2J\"", "Ask it why.");
        assert_eq!(
            finding.text(false),
            "BROKEN    backend 127.0.0.1:25: it says \"550 no   [2J\"\n            Ask it why.\n"
        );
        assert!(finding.text(true).starts_with("\x1b[31;1mBROKEN  \x1b[0m  backend"));
        assert_eq!(Finding::well("dns", &"x", "y").text(false), "ok        dns x: y\n");
    }
}

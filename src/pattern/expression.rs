//! What is looked for, as it was written.

use thiserror::Error;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expression {
    /// How it is written.
    pub kind: Kind,
    /// True if upper and lower case are the same. Of phrases they always are.
    pub ignores_case: bool,
    /// True if it is about octets: `.` is one octet, and `\w`, `\s`, `\d` and case are those of ASCII, as in Perl
    /// without Unicode. False if it is about characters of UTF-8.
    pub is_octets: bool,
    /// How many matches in one text are told; 0 and 1 both mean the first.
    pub most: usize,
}

/// How it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular expression. Look-around and back-references are understood, and cost more.
    Regex(String),
    /// Words in a row, whole, with any white space between them.
    Phrase(String),
}

/// Why an expression cannot be looked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It has no meaning, or none that any engine knows.
    #[error("no regular expression: {0}")]
    Syntax(String),
    /// It would need too much memory.
    #[error("the expression would become too large")]
    TooLarge,
    /// A phrase without a word.
    #[error("it is empty")]
    Empty,
}

impl Expression {
    /// A regular expression about characters.
    pub fn regex(text: impl Into<String>) -> Self {
        Self { kind: Kind::Regex(text.into()), ignores_case: false, is_octets: false, most: 1 }
    }

    /// Words in a row.
    pub fn phrase(text: impl Into<String>) -> Self {
        Self { kind: Kind::Phrase(text.into()), ignores_case: true, is_octets: false, most: 1 }
    }

    /// A regular expression about octets.
    pub fn octets(text: impl Into<String>) -> Self {
        Self { is_octets: true, ..Self::regex(text) }
    }

    /// The same, upper and lower case alike.
    #[must_use]
    pub fn ignoring_case(self) -> Self {
        Self { ignores_case: true, ..self }
    }

    /// The same, telling up to `most` matches of a text.
    #[must_use]
    pub fn up_to(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The regular expression that it comes to.
    pub(super) fn text(&self) -> Result<String, PatternError> {
        match &self.kind {
            Kind::Regex(text) => Ok(text.clone()),
            Kind::Phrase(text) => phrase(text),
        }
    }

    pub(super) fn is_caseless(&self) -> bool {
        self.ignores_case || matches!(self.kind, Kind::Phrase(_))
    }
}

fn phrase(text: &str) -> Result<String, PatternError> {
    let words: Vec<String> = text.split_whitespace().map(regex_syntax::escape).collect();
    let (Some(first), Some(last)) = (text.trim().chars().next(), text.trim().chars().next_back()) else {
        return Err(PatternError::Empty);
    };
    // A phrase that begins or ends with a sign has no edge of a word there.
    let edge = |end: char| if end.is_alphanumeric() || end == '_' { r"\b" } else { "" };
    Ok(format!("{}{}{}", edge(first), words.join(r"\s+"), edge(last)))
}

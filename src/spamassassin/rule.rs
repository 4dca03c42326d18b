//! Rules as they are written, before they are compiled.

use super::meta::Expression;

/// What a rule reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Header fields.
    Header,
    /// The text of the body, rendered, in paragraphs.
    Body,
    /// The body, decoded and not rendered.
    RawBody,
    /// The message as it came.
    Full,
    /// Each address that it points to.
    Uri,
    /// The header fields of its parts.
    MimeHeader,
    /// Other rules.
    Meta,
}

impl Kind {
    /// As files of rules name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Body => "body",
            Self::RawBody => "rawbody",
            Self::Full => "full",
            Self::Uri => "uri",
            Self::MimeHeader => "mimeheader",
            Self::Meta => "meta",
        }
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) kind: Kind,
    /// What it tests, or why it cannot be run.
    pub(super) test: Result<Test, String>,
}

/// What a rule tests.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// Text matches an expression: of which field, the expression as written and its letters.
    Match { request: String, body: String, flags: String, negated: bool, if_unset: Option<String> },
    /// A field is there.
    Exists { request: String, negated: bool },
    /// What only code can tell.
    Eval { function: String, arguments: Vec<String> },
    /// Arithmetic.
    Meta(Expression),
}

/// `tflags` of a rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Flags {
    pub(super) multiple: bool,
    pub(super) most: Option<u32>,
    pub(super) nice: bool,
    pub(super) without_subject: bool,
}

impl Flags {
    pub(super) fn read(&mut self, words: &str) {
        for word in words.split_whitespace() {
            match word {
                "multiple" => self.multiple = true,
                "nice" => self.nice = true,
                "nosubject" => self.without_subject = true,
                _ => {
                    if let Some(most) = word.strip_prefix("maxhits=") {
                        self.most = most.parse().ok();
                    }
                }
            }
        }
    }

    /// How often it may count.
    pub(super) fn limit(&self) -> u32 {
        if self.multiple { self.most.unwrap_or(u32::MAX).max(1) } else { 1 }
    }
}

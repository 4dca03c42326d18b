//! Rules as values: where a condition looks, and what it looks for.

use std::fmt;
use std::sync::Arc;

use super::map::Map;
use super::structure::Fact;
use crate::message::model::{Origin, Trick};
use crate::scoring::{Symbol, Tri};

/// A rule: its symbol is found if every condition of `all`, one of `any` (if there are any) and none of `none` hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What is found.
    pub symbol: Symbol,
    /// What it means, in one line for people.
    pub description: String,
    /// True: it is found and counted but decides nothing.
    pub shadow: bool,
    /// Each of these holds.
    pub all: Vec<Condition>,
    /// At least one of these holds.
    pub any: Vec<Condition>,
    /// None of these holds.
    pub none: Vec<Condition>,
}

/// One condition: it counts something, and holds if the count lies within its bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Where it looks.
    pub target: Target,
    /// What it looks for.
    pub matcher: Matcher,
    /// The least count; without it one, or none where there is an upper bound alone.
    pub at_least: Option<u64>,
    /// The greatest count.
    pub at_most: Option<u64>,
    /// True: it holds if it otherwise would not.
    pub negated: bool,
}

/// Where to look. What several conditions look at is read once for all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The values of header fields by these names (lower case, sorted); no name: every field, as `Name: value`.
    Header {
        /// The names.
        names: Vec<Arc<str>>,
        /// True: as the octets came, not decoded.
        raw: bool,
    },
    /// Mailboxes that header fields or the envelope name.
    Address {
        /// Which.
        of: Whose,
        /// What of them.
        part: AddressPart,
    },
    /// What the client said and is.
    Envelope(EnvelopePart),
    /// Text as people see it, white space collapsed.
    Text(TextPart),
    /// Octets as they came.
    Raw(RawPart),
    /// Links.
    Link {
        /// What of them.
        part: LinkPart,
        /// Only those of this origin.
        origin: Option<Origin>,
        /// Only those with this trick.
        trick: Option<Trick>,
    },
    /// Files that are attached.
    Attachment(AttachmentPart),
    /// The MIME parts of the message.
    Mime(MimePart),
    /// A number that says something about the message as a whole.
    Structure(Fact),
}

/// What to look for in a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Matcher {
    /// That there is something.
    Anything,
    /// A regular expression.
    Regex(String),
    /// Words; their case and the white space between them do not matter.
    Phrases(Vec<String>),
    /// An entry of a file.
    Map(Arc<Map>),
    /// The whole value, whatever its case.
    Equals(Vec<String>),
    /// A value that another target has, too, whatever its case.
    SameAs(Box<Target>),
}

/// Declares words of rule files: the enumeration, all of it, and how each is written.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$one:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$one])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it in rule files.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// What a word means.
            pub fn of_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// Whose mailboxes.
    Whose {
        /// The From fields.
        From = "from",
        /// The Reply-To fields.
        ReplyTo = "reply-to",
        /// The Sender fields.
        Sender = "sender",
        /// The To fields.
        To = "to",
        /// The Cc fields.
        Cc = "cc",
        /// The reverse-path; none if it is null.
        EnvelopeFrom = "envelope-from",
        /// The accepted recipients.
        Recipient = "recipient",
    }
}

words! {
    /// What of a mailbox.
    AddressPart {
        /// The display name, decoded; empty if it has none.
        Name = "name",
        /// What stands before the `@`.
        Local = "local",
        /// The domain in A-labels and lower case.
        Domain = "domain",
        /// The registered domain.
        Registered = "registered",
        /// `local@domain`, the domain as above.
        Address = "address",
    }
}

words! {
    /// What the client said and is.
    EnvelopePart {
        /// Its HELO name.
        Helo = "helo",
        /// The reverse-path; the empty text if it is null.
        From = "from",
        /// The accepted recipients.
        Recipient = "recipient",
        /// Its confirmed name; nothing if there is none.
        ClientName = "client-name",
        /// Its address.
        Client = "client",
    }
}

words! {
    /// Which text.
    TextPart {
        /// What a person sees.
        Shown = "shown",
        /// What HTML contains and does not show.
        Hidden = "hidden",
        /// The Subject, decoded.
        Subject = "subject",
        /// The Subject, and behind it what a person sees.
        SubjectAndShown = "shown+subject",
        /// The beginning of what a person sees.
        FirstLines = "first-lines",
        /// What any part shows or hides, attached texts and other alternatives included.
        All = "all",
        /// The decoded source of every HTML part.
        Html = "html",
    }
}

words! {
    /// Which octets.
    RawPart {
        /// Behind the header section.
        Body = "body",
        /// The header section.
        Headers = "headers",
        /// All.
        Message = "message",
    }
}

words! {
    /// What of a link.
    LinkPart {
        /// The whole target.
        Target = "target",
        /// The host in lower case.
        Host = "host",
        /// The registered domain of the host.
        Domain = "domain",
        /// The text that it is shown as.
        Shown = "shown",
        /// The target that it redirects to, where it says so.
        LeadsTo = "leads_to",
        /// `https`, `mailto`, ...
        Scheme = "scheme",
        /// What stands behind the host.
        Path = "path",
    }
}

words! {
    /// What of a file; the last ones have no value and are there or not.
    AttachmentPart {
        /// Its name.
        Name = "name",
        /// The extension of its name in lower case.
        Extension = "extension",
        /// The type that it declares.
        Declared = "declared",
        /// The type that its octets show.
        Detected = "detected",
        /// Names of files in it.
        Entry = "entry",
        /// It cannot be read without a password.
        Encrypted = "encrypted",
        /// It has macros.
        Macros = "macros",
        /// It is a picture.
        Picture = "picture",
        /// Whatever it is.
        Any = "any",
    }
}

words! {
    /// What of a MIME part.
    MimePart {
        /// `type/subtype`.
        Type = "type",
        /// The charset that it names.
        Charset = "charset",
        /// Its transfer encoding.
        Encoding = "encoding",
        /// Its disposition.
        Disposition = "disposition",
        /// Its name as a file.
        Name = "name",
    }
}

/// The words for where links stand.
pub const ORIGINS: &[(&str, Origin)] = &[
    ("anchor", Origin::Anchor),
    ("text", Origin::Text),
    ("picture", Origin::Picture),
    ("form", Origin::Form),
    ("other", Origin::Other),
    ("header", Origin::Header),
];

/// The words for how targets are made hard to see.
pub const TRICKS: &[(&str, Trick)] = &[
    ("user_info", Trick::UserInfo),
    ("numeric_host", Trick::NumericHost),
    ("escaped", Trick::Escaped),
    ("broken", Trick::Broken),
    ("mixed_scripts", Trick::MixedScripts),
    ("backslashes", Trick::Backslashes),
    ("odd_port", Trick::OddPort),
];

impl TextPart {
    /// True if it is made of the Subject and of what a person sees, as they are.
    pub(super) fn is_spelt_once(self) -> bool {
        matches!(self, Self::Shown | Self::Subject | Self::SubjectAndShown)
    }
}

impl AttachmentPart {
    /// True for what is there or not.
    pub fn is_flag(self) -> bool {
        matches!(self, Self::Encrypted | Self::Macros | Self::Picture | Self::Any)
    }
}

impl Target {
    /// True if it is one text in which matches are counted; otherwise it is values, and those that match are.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Raw(_))
    }

    /// How much it costs to look there, in an order of its own: what costs least is looked at first. What a person reads
    /// comes before some that cost less, as rules differ most in the phrases that they look for there.
    pub(super) fn cost(&self) -> u8 {
        match self {
            Self::Structure(fact) if fact.reads_much() => 4,
            Self::Structure(_) | Self::Envelope(_) => 0,
            Self::Header { names, .. } if names.is_empty() => 7,
            Self::Header { .. } | Self::Mime(_) | Self::Attachment(_) => 1,
            Self::Text(TextPart::Subject) => 2,
            Self::Text(TextPart::SubjectAndShown) => 3,
            Self::Address { .. } => 5,
            Self::Link { .. } => 6,
            Self::Text(TextPart::FirstLines) => 7,
            Self::Text(TextPart::Shown | TextPart::Hidden) => 8,
            Self::Text(TextPart::All | TextPart::Html) | Self::Raw(_) => 9,
        }
    }

    /// True if it is known when MAIL was said.
    pub fn is_known_at_mail(&self) -> bool {
        match self {
            Self::Envelope(part) => !matches!(part, EnvelopePart::Recipient | EnvelopePart::ClientName),
            Self::Address { of, .. } => *of == Whose::EnvelopeFrom,
            _ => false,
        }
    }
}

impl Condition {
    /// That `matcher` finds something in `target`.
    pub fn new(target: Target, matcher: Matcher) -> Self {
        Self { target, matcher, at_least: None, at_most: None, negated: false }
    }

    /// Whether this count satisfies it. With `is_stopped` there may be more.
    pub fn holds(&self, count: u64, is_stopped: bool) -> Tri {
        let least = self.at_least.unwrap_or(u64::from(self.at_most.is_none()));
        let is_beyond = self.at_most.is_some_and(|most| count > most);
        let within = match count >= least {
            _ if is_beyond => Tri::No,
            true if self.at_most.is_none() || !is_stopped => Tri::Yes,
            false if !is_stopped => Tri::No,
            _ => Tri::Maybe,
        };
        if self.negated { !within } else { within }
    }

    /// The count beyond which nothing changes.
    pub fn enough(&self) -> u64 {
        self.at_least.unwrap_or(1).max(self.at_most.map_or(1, |most| most.saturating_add(1)))
    }

    fn is_known_at_mail(&self) -> bool {
        let same = match &self.matcher {
            Matcher::SameAs(other) => other.is_known_at_mail(),
            _ => true,
        };
        same && self.target.is_known_at_mail()
    }
}

impl Rule {
    /// Its conditions, those of `all` first.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.all.iter().chain(&self.any).chain(&self.none)
    }

    /// True if it can be judged when MAIL was said: it needs no message.
    pub fn is_of_envelope(&self) -> bool {
        self.conditions().all(Condition::is_known_at_mail)
    }

    /// Whether it is found, given which of its conditions hold, in the order of [`conditions`](Self::conditions).
    pub fn is_found(&self, holds: impl Fn(usize) -> Tri) -> Tri {
        let (all, any) = (self.all.len(), self.all.len() + self.any.len());
        let none = any..any + self.none.len();
        Tri::of_lists((0..all).map(&holds), (all..any).map(&holds), none.map(&holds))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { names, raw } => {
                let raw = if *raw { " (raw)" } else { "" };
                if names.is_empty() { write!(f, "header{raw}") } else { write!(f, "{}{raw}", names.join(", ")) }
            }
            Self::Address { of, part } => write!(f, "{of} {part}"),
            Self::Envelope(part) => write!(f, "envelope {part}"),
            Self::Text(part) => write!(f, "text {part}"),
            Self::Raw(part) => write!(f, "raw {part}"),
            Self::Link { part, .. } => write!(f, "link {part}"),
            Self::Attachment(part) => write!(f, "attachment {part}"),
            Self::Mime(part) => write!(f, "mime {part}"),
            Self::Structure(fact) => write!(f, "{fact}"),
        }
    }
}

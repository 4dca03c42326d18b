//! Numbers that say something about a message as a whole; what is true or false is one or none.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use super::condition::{ORIGINS, TRICKS};
use super::view::View;
use crate::message::language;
use crate::message::model::{Oddity, Origin, Script, Trick};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// One of the table, by its place.
    Plain(usize),
    /// `oddity:x`: the structure is unusual in this way.
    Oddity(Oddity),
    /// `trick:x`: links that do this.
    Trick(Trick),
    /// `script:x`: letters of this script in what is shown.
    Script(Script),
    /// `links:x`: links of this origin.
    Links(Origin),
    /// `language:x`: what is shown is in this language.
    Language(&'static str),
}

/// Letters of a word that says something, at least.
const LONGER: usize = 4;
/// Words of a text that are compared.
const MAX_WORDS: usize = 20_000;

type Of = fn(&View<'_>) -> u64;

/// Name, meaning, and where the number comes from.
const PLAIN: &[(&str, &str, Of)] = &[
    ("octets", "octets of the message", |view| view.message.len()),
    ("body_octets", "octets of the body, as far as it is in memory", |view| count(view.message.body().len())),
    ("fields", "header fields", |view| count(view.model.fields.len())),
    ("received", "Received fields", |view| fields(view, "received")),
    ("to_addresses", "mailboxes in To and Cc", |view| count(view.addressees())),
    ("recipients", "accepted recipients", |view| count(view.envelope.recipients.len())),
    ("null_sender", "the reverse-path is null", |view| u64::from(view.envelope.from.is_empty())),
    ("parts", "MIME parts, the message itself included", |view| count(view.model.parts.len())),
    ("depth", "how deep parts are nested", |view| {
        view.model.parts.iter().map(|part| part.depth).max().unwrap_or(0).into()
    }),
    ("text_parts", "text parts", |view| count(view.model.texts.len())),
    ("html_parts", "HTML parts", |view| count(view.model.texts.iter().filter(|text| text.is_html).count())),
    ("html_only", "what is shown is HTML, and no plain text stands beside it", |view| u64::from(html_only(view))),
    ("attachments", "files that are attached", |view| count(view.model.attachments.len())),
    ("pictures", "pictures that are attached", |view| {
        count(view.model.attachments.iter().filter(|file| file.is_picture).count())
    }),
    ("encrypted_attachments", "attached files that need a password", |view| {
        count(view.model.attachments.iter().filter(|file| file.is_encrypted).count())
    }),
    ("macro_attachments", "office files with macros", |view| {
        count(view.model.attachments.iter().filter(|file| file.has_macros).count())
    }),
    ("links", "links of all origins", |view| count(view.model.links.len())),
    ("distinct_link_domains", "registered domains that links lead to", |view| count(domains(view).len())),
    ("distinct_link_hosts", "hosts that links lead to", |view| {
        let hosts = view.model.links.iter().map(|link| &*link.host).filter(|host| !host.is_empty());
        count(hosts.collect::<BTreeSet<_>>().len())
    }),
    ("redirecting_links", "links that say where else they lead", |view| {
        count(view.model.links.iter().filter(|link| link.leads_to.is_some()).count())
    }),
    ("shown_letters", "letters that a person sees", |view| view.letters(&view.model.shown)),
    ("hidden_letters", "letters in HTML that nobody sees", |view| view.letters(&view.model.hidden)),
    ("subject_letters", "letters of the Subject", |view| view.letters(view.subject())),
    ("subject_capitals_percent", "capital letters among those of the Subject that have a case", |view| {
        capitals_percent(view.subject())
    }),
    ("shown_capitals_percent", "capital letters among those shown that have a case", |view| {
        capitals_percent(&view.model.shown)
    }),
    ("scripts", "writing systems in what is shown", |view| count(view.model.scripts.len())),
    ("invisible_letters", "characters that nobody sees within words of the Subject and of what is shown", |view| {
        view.spellings().iter().map(|one| u64::from(one.invisible)).sum()
    }),
    ("mixed_words", "words there in which letters of other alphabets pass for Latin ones beside them", |view| {
        view.spellings().iter().map(|one| u64::from(one.mixed)).sum()
    }),
    ("hidden_percent", "letters that nobody sees among all letters of HTML and text", |view| {
        let (hidden, shown) = (view.letters(&view.model.hidden), view.letters(&view.model.shown));
        (hidden * 100).checked_div(hidden + shown).unwrap_or(0)
    }),
    ("hidden_words", "longer words that only hidden text has, each once", |view| {
        only_in(&view.model.hidden, &view.model.shown)
    }),
    ("answers", "it says that it answers a message, and quotes one, or `list` is true", |view| {
        u64::from(view.model.answers(view.sender_domain()))
    }),
    ("list", "List-Id is of the domain of the reverse-path, of Sender, of List-Post or of one in To or Cc", |view| {
        u64::from(view.model.came_by_list(view.sender_domain()))
    }),
    ("oddities", "kinds of oddities", |view| count(view.model.oddities.len())),
    ("is_cut", "bounds left something out", |view| u64::from(view.model.is_cut)),
    ("may_hide", "bounds left out more than the end of a long plain text", |view| u64::from(view.model.may_hide)),
    ("html_octets", "octets of HTML", |view| count(view.model.html.octets)),
    ("tags", "HTML tags", |view| view.model.html.tags.into()),
    ("remote_pictures", "pictures that are fetched from elsewhere", |view| view.model.html.remote_pictures.into()),
    ("own_pictures", "pictures in HTML that came with the message", |view| view.model.html.own_pictures.into()),
    ("pixels", "pictures of one pixel or none", |view| view.model.html.pixels.into()),
    ("forms", "forms", |view| view.model.html.forms.into()),
    ("password_fields", "fields for passwords", |view| view.model.html.password_fields.into()),
    ("input_fields", "other fields to type in", |view| view.model.html.input_fields.into()),
    ("html_scripts", "scripts in HTML", |view| view.model.html.scripts.into()),
    ("frames", "frames, objects and embedded things", |view| view.model.html.frames.into()),
    ("refreshes", "pages that send the reader elsewhere by themselves", |view| view.model.html.refreshes.into()),
    ("comments", "HTML comments", |view| view.model.html.comments.into()),
    ("html_faults", "tags that end nothing or were never closed", |view| view.model.html.faults.into()),
];

/// Those for which a text, or the addresses of a field, must be read.
const READ_MUCH: [&str; 11] = [
    "to_addresses",
    "distinct_link_domains",
    "distinct_link_hosts",
    "shown_letters",
    "hidden_letters",
    "shown_capitals_percent",
    "invisible_letters",
    "mixed_words",
    "hidden_percent",
    "hidden_words",
    "answers",
];

const ODDITIES: &[(&str, Oddity)] = &[
    ("duplicate_field", Oddity::DuplicateField),
    ("duplicate_mime_field", Oddity::DuplicateMimeField),
    ("duplicate_parameter", Oddity::DuplicateParameter),
    ("no_boundary", Oddity::NoBoundary),
    ("ambiguous_boundary", Oddity::AmbiguousBoundary),
    ("unclosed_boundary", Oddity::UnclosedBoundary),
    ("text_outside", Oddity::TextOutside),
    ("odd_encoding", Oddity::OddEncoding),
    ("broken_base64", Oddity::BrokenBase64),
    ("broken_charset", Oddity::BrokenCharset),
    ("comments", Oddity::Comments),
    ("eight_bit_header", Oddity::EightBitHeader),
    ("broken_encoded_word", Oddity::BrokenEncodedWord),
    ("broken_field", Oddity::BrokenField),
    ("no_header_end", Oddity::NoHeaderEnd),
    ("control_characters", Oddity::ControlCharacters),
    ("long_line", Oddity::LongLine),
    ("too_much", Oddity::TooMuch),
    ("elsewhere", Oddity::Elsewhere),
    ("alternatives_differ", Oddity::AlternativesDiffer),
    ("type_mismatch", Oddity::TypeMismatch),
];

const SCRIPTS: &[(&str, Script)] = &[
    ("latin", Script::Latin),
    ("greek", Script::Greek),
    ("cyrillic", Script::Cyrillic),
    ("hebrew", Script::Hebrew),
    ("arabic", Script::Arabic),
    ("devanagari", Script::Devanagari),
    ("thai", Script::Thai),
    ("hangul", Script::Hangul),
    ("kana", Script::Kana),
    ("han", Script::Han),
    ("other", Script::Other),
];

impl Fact {
    /// What a word of a rule file means.
    pub fn of_word(word: &str) -> Option<Self> {
        fn find<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
            table.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
        }
        match word.split_once(':') {
            None => PLAIN.iter().position(|(name, ..)| *name == word).map(Self::Plain),
            Some(("oddity", rest)) => find(ODDITIES, rest).map(Self::Oddity),
            Some(("trick", rest)) => find(TRICKS, rest).map(Self::Trick),
            Some(("script", rest)) => find(SCRIPTS, rest).map(Self::Script),
            Some(("links", rest)) => find(ORIGINS, rest).map(Self::Links),
            Some(("language", rest)) => language::codes().find(|code| *code == rest).map(Self::Language),
            Some(_) => None,
        }
    }

    /// Every fact by its word, with what it means.
    pub fn words() -> impl Iterator<Item = (String, &'static str)> {
        let plain = PLAIN.iter().map(|(name, meaning, _)| ((*name).to_owned(), *meaning));
        let of = |prefix: &'static str, names: Vec<&'static str>, meaning: &'static str| {
            names.into_iter().map(move |name| (format!("{prefix}:{name}"), meaning))
        };
        plain
            .chain(of("oddity", names(ODDITIES), "the structure is unusual in this way"))
            .chain(of("trick", names(TRICKS), "links whose target is made hard to see in this way"))
            .chain(of("script", names(SCRIPTS), "letters of this script in what is shown"))
            .chain(of("links", names(ORIGINS), "links that stand there"))
            .chain(of("language", language::codes().collect(), "what is shown is in this language"))
    }

    /// True if a text, or the addresses of a field, must be read for it.
    pub(super) fn reads_much(self) -> bool {
        match self {
            Self::Plain(place) => PLAIN.get(place).is_some_and(|(name, ..)| READ_MUCH.contains(name)),
            Self::Language(_) => true,
            _ => false,
        }
    }

    /// Its number for a message.
    pub(super) fn of(self, view: &View<'_>) -> u64 {
        match self {
            Self::Plain(place) => PLAIN.get(place).map_or(0, |(_, _, of)| of(view)),
            Self::Oddity(kind) => u64::from(view.model.oddities.iter().any(|(found, _)| *found == kind)),
            Self::Trick(trick) => count(view.model.links.iter().filter(|link| link.tricks.contains(&trick)).count()),
            Self::Script(script) => {
                let letters = view.model.scripts.iter().find(|(found, _)| *found == script);
                letters.map_or(0, |(_, letters)| u64::from(*letters))
            }
            Self::Links(origin) => count(view.model.links.iter().filter(|link| link.origin == origin).count()),
            Self::Language(code) => u64::from(view.language() == Some(code)),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn word<T: PartialEq>(table: &'static [(&'static str, T)], value: &T) -> &'static str {
            table.iter().find(|(_, one)| one == value).map_or("", |(name, _)| name)
        }
        match self {
            Self::Plain(place) => f.write_str(PLAIN.get(*place).map_or("", |(name, ..)| name)),
            Self::Oddity(kind) => write!(f, "oddity:{}", word(ODDITIES, kind)),
            Self::Trick(trick) => write!(f, "trick:{}", word(TRICKS, trick)),
            Self::Script(script) => write!(f, "script:{}", word(SCRIPTS, script)),
            Self::Links(origin) => write!(f, "links:{}", word(ORIGINS, origin)),
            Self::Language(code) => write!(f, "language:{code}"),
        }
    }
}

fn names<T>(table: &'static [(&'static str, T)]) -> Vec<&'static str> {
    table.iter().map(|(name, _)| *name).collect()
}

fn count(number: usize) -> u64 {
    number as u64
}

fn fields(view: &View<'_>, name: &str) -> u64 {
    count(view.model.fields_named(name).count())
}

fn html_only(view: &View<'_>) -> bool {
    let mut shown = view.model.texts.iter().filter(|text| text.is_shown).peekable();
    let plain = view.model.texts.iter().any(|text| !text.is_html && !text.source.trim().is_empty());
    shown.peek().is_some() && shown.all(|text| text.is_html) && !plain
}

fn domains<'v>(view: &View<'v>) -> BTreeSet<&'v str> {
    view.model.links.iter().map(|link| &*link.domain).filter(|domain| !domain.is_empty()).collect()
}

/// None without letters that have a case.
fn capitals_percent(text: &str) -> u64 {
    let (mut capitals, mut cased) = (0u64, 0u64);
    for letter in text.chars() {
        capitals += u64::from(letter.is_uppercase());
        cased += u64::from(letter.is_uppercase() || letter.is_lowercase());
    }
    (capitals * 100).checked_div(cased).unwrap_or(0)
}

/// How many longer words one text has that the other has not.
fn only_in(text: &str, other: &str) -> u64 {
    fn words(text: &str) -> impl Iterator<Item = String> {
        let words = text.split(|letter: char| !letter.is_alphabetic()).take(MAX_WORDS);
        words.filter(|word| word.chars().nth(LONGER - 1).is_some()).map(str::to_lowercase)
    }
    if text.is_empty() {
        return 0;
    }
    let known: HashSet<String> = words(other).collect();
    count(words(text).filter(|word| !known.contains(word)).collect::<HashSet<_>>().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_a_text_is_known_by_its_name() {
        for name in READ_MUCH.into_iter().chain(["language:en"]) {
            assert!(Fact::of_word(name).expect(name).reads_much(), "{name}");
        }
        for name in ["fields", "links", "script:latin", "pixels"] {
            assert!(!Fact::of_word(name).expect(name).reads_much(), "{name}");
        }
    }
}

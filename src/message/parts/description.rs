//! What the header section of a part says, in every reading.

use super::super::encoding::Encoding;
use super::super::header;
use super::super::model::Oddity;
use super::super::parameters::Parameters;
use super::{Choice, Place};

/// Fields of the same name that are read: programs differ in which of them they take.
const MAX_READINGS: usize = 2;
/// What a part may be, all readings taken together.
const MAX_KINDS: usize = 3;
/// Names of a file: `filename` and `name` may both stand twice.
const MAX_NAMES: usize = 4;
/// Octets of a Content-ID.
const MAX_ID: usize = 998;
/// Characters of what is told of an oddity.
const MAX_EVIDENCE: usize = 80;

/// What a part is to its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::message) enum Kind {
    Text,
    Html,
    /// A message with a header section of its own.
    Message,
    /// Parts between delimiters; those that do not say what they are, are messages in a digest.
    Multipart {
        boundary: Vec<u8>,
        is_digest: bool,
        choice: Choice,
        /// The Content-ID of the part to which the others belong, if it is named.
        root: Option<String>,
    },
    /// Nothing to read.
    Other {
        /// It says that it is an image.
        is_picture: bool,
    },
}

/// What the header section of a part says.
#[derive(Debug)]
pub(in crate::message) struct Description {
    pub(super) kinds: Vec<Kind>,
    pub(super) encodings: Vec<Encoding>,
    /// `type/subtype`, in lower case; empty if it says nothing that can be read.
    pub(in crate::message) content_type: String,
    /// In lower case.
    pub(in crate::message) charset: Option<String>,
    /// In lower case, as written; empty if there is none.
    pub(in crate::message) encoding: String,
    /// In lower case; empty if there is none.
    pub(in crate::message) disposition: String,
    /// Its names as a file: `filename` goes before `name`.
    pub(in crate::message) names: Vec<String>,
    /// It says that it is an attachment.
    pub(in crate::message) is_attached: bool,
    /// Without angle brackets.
    pub(in crate::message) content_id: Option<String>,
    /// What is unusual about its MIME fields.
    pub(super) oddities: Vec<(Oddity, String)>,
}

impl Description {
    pub(super) fn of(section: &[u8], default: Kind) -> Self {
        let mut description = Self {
            kinds: Vec::new(),
            encodings: Vec::new(),
            content_type: String::new(),
            charset: None,
            encoding: String::new(),
            disposition: String::new(),
            names: Vec::new(),
            is_attached: false,
            content_id: None,
            oddities: Vec::new(),
        };
        let (mut types, mut encodings, mut dispositions) = (0, 0, 0);
        let (mut filenames, mut names) = (Vec::new(), Vec::new());
        for field in header::Fields::new(section) {
            if field.is("Content-Disposition") {
                dispositions += 1;
                description.disposition(field.value, &mut filenames);
            } else if field.is("Content-Transfer-Encoding") {
                encodings += 1;
                description.transfer_encoding(field.value);
            } else if field.is("Content-Type") {
                types += 1;
                description.content_type(field.value, &mut names);
            } else if field.is("Content-ID") && description.content_id.is_none() {
                let id = field.value.get(..MAX_ID).unwrap_or(field.value);
                description.content_id = Some(identity(&String::from_utf8_lossy(id)));
            }
        }
        filenames.append(&mut names);
        description.names = filenames;
        for (name, count) in
            [("Content-Type", types), ("Content-Transfer-Encoding", encodings), ("Content-Disposition", dispositions)]
        {
            if count > 1 {
                description.odd(Oddity::DuplicateMimeField, name);
            }
        }
        if description.content_type.is_empty() && default == Kind::Message {
            "message/rfc822".clone_into(&mut description.content_type);
        }
        if description.kinds.is_empty() {
            description.kinds.push(default);
        }
        // What opens an attachment goes by its name.
        let mut named = Vec::new();
        description
            .names
            .iter()
            .filter_map(|name| Kind::of_a_name(name))
            .for_each(|kind| add(&mut named, kind, MAX_READINGS));
        named.retain(|kind| !description.kinds.contains(kind));
        description.kinds.append(&mut named);
        if description.encodings.is_empty() {
            description.encodings.push(Encoding::Identity);
        }
        let is_composed = matches!(description.kinds.first(), Some(Kind::Multipart { .. } | Kind::Message));
        if is_composed && description.encodings.first() != Some(&Encoding::Identity) {
            let evidence = format!("{} in {}", description.content_type, description.encoding);
            description.odd(Oddity::OddEncoding, &evidence);
        }
        description
    }

    pub(super) fn place(&self) -> Place {
        // Programs look into what is signed before they show what is attached.
        if self.is_attached && !self.may_be_signed() { Place::Attached } else { Place::Shown }
    }

    /// It is a file, or says so.
    pub(in crate::message) fn is_file(&self) -> bool {
        match self.kinds.first() {
            Some(Kind::Multipart { .. }) => false,
            Some(Kind::Other { .. }) => true,
            _ => self.is_attached || !self.names.is_empty(),
        }
    }

    /// There is nothing in it that could be read as text.
    pub(in crate::message) fn is_opaque(&self) -> bool {
        matches!(self.kinds.first(), Some(Kind::Other { .. }))
    }

    /// It may be S/MIME with the part that is signed in it.
    pub(super) fn may_be_signed(&self) -> bool {
        matches!(&*self.content_type, "application/pkcs7-mime" | "application/x-pkcs7-mime")
    }

    /// It says that it is an image.
    pub(in crate::message) fn is_picture(&self) -> bool {
        self.kinds.first() == Some(&Kind::Other { is_picture: true })
    }

    fn odd(&mut self, oddity: Oddity, evidence: &str) {
        self.oddities.push((oddity, evidence.chars().take(MAX_EVIDENCE).collect()));
    }

    fn doubts(&mut self, field: &str, parameters: &Parameters) {
        if let Some(name) = parameters.contradiction() {
            self.odd(Oddity::DuplicateParameter, &format!("{name} of {field}"));
        }
        if parameters.has_comment {
            self.odd(Oddity::Comments, field);
        }
    }

    fn disposition(&mut self, value: &[u8], names: &mut Vec<String>) {
        let parameters = Parameters::of(value);
        self.doubts("Content-Disposition", &parameters);
        parameters.values("filename").for_each(|name| add(names, name.to_owned(), MAX_NAMES / 2));
        self.is_attached |= parameters.word == "attachment";
        if self.disposition.is_empty() {
            self.disposition = parameters.word;
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) {
        add(&mut self.encodings, Encoding::of(value), MAX_READINGS);
        let parameters = Parameters::of(value);
        if parameters.has_comment {
            self.odd(Oddity::Comments, "Content-Transfer-Encoding");
        }
        let known = ["7bit", "8bit", "binary", "quoted-printable", "base64"];
        if !known.contains(&&*parameters.word) || !parameters.all.is_empty() {
            let written = String::from_utf8_lossy(value.get(..MAX_EVIDENCE).unwrap_or(value)).trim().to_owned();
            self.odd(Oddity::OddEncoding, &written);
        }
        if self.encoding.is_empty() {
            self.encoding = parameters.word;
        }
    }

    fn content_type(&mut self, value: &[u8], names: &mut Vec<String>) {
        let parameters = Parameters::of(value);
        self.doubts("Content-Type", &parameters);
        if parameters.word.is_empty() {
            return;
        }
        for kind in Kind::all_of(&parameters) {
            add(&mut self.kinds, kind, MAX_KINDS);
        }
        match &*parameters.word {
            "message/partial" | "message/external-body" => self.odd(Oddity::Elsewhere, &parameters.word),
            word if word.starts_with("multipart/") && parameters.get("boundary").is_none_or(str::is_empty) => {
                self.odd(Oddity::NoBoundary, word);
            }
            _ => {}
        }
        parameters.values("name").for_each(|name| add(names, name.to_owned(), MAX_NAMES / 2));
        if self.charset.is_none() {
            self.charset = parameters.get("charset").map(|charset| charset.trim().to_ascii_lowercase());
        }
        if self.content_type.is_empty() {
            self.content_type = parameters.word;
        }
    }
}

/// Keeps a reading. Programs take the first of several fields or the last: those stay where there are too many.
fn add<T: PartialEq>(readings: &mut Vec<T>, reading: T, limit: usize) {
    if readings.contains(&reading) {
        return;
    }
    if readings.len() >= limit {
        readings.pop();
    }
    readings.push(reading);
}

/// A Content-ID without what stands around it.
fn identity(id: &str) -> String {
    id.trim().trim_start_matches('<').trim_end_matches('>').to_owned()
}

impl Kind {
    /// What a Content-Type says that a part is: each of several boundaries is one.
    fn all_of(content_type: &Parameters) -> Vec<Self> {
        let (kind, subtype) = content_type.word.split_once('/').unwrap_or((&content_type.word, ""));
        let one = match (kind, subtype) {
            ("multipart", _) => {
                let choice = match subtype {
                    "alternative" => Choice::One,
                    "related" => Choice::Root,
                    _ => Choice::All,
                };
                let root = content_type.get("start").filter(|_| choice == Choice::Root).map(identity);
                let mut boundaries = Vec::new();
                for boundary in content_type.values("boundary").filter(|boundary| !boundary.is_empty()) {
                    add(&mut boundaries, boundary, MAX_KINDS);
                    // What nobody quoted ends at a blank for some.
                    boundary
                        .split_whitespace()
                        .next()
                        .into_iter()
                        .for_each(|word| add(&mut boundaries, word, MAX_KINDS));
                }
                let multipart = |boundary: &&str| Self::Multipart {
                    boundary: boundary.as_bytes().to_vec(),
                    is_digest: subtype == "digest",
                    choice,
                    root: root.clone(),
                };
                match boundaries.is_empty() {
                    true => return vec![Self::Html],
                    false => return boundaries.iter().map(multipart).collect(),
                }
            }
            ("message", "rfc822" | "global" | "news") => Self::Message,
            (_, subtype) if subtype.contains("html") || subtype == "svg+xml" => Self::Html,
            ("text" | "message" | "", _) => Self::Text,
            (kind, _) => Self::Other { is_picture: kind == "image" },
        };
        vec![one]
    }

    /// What an attachment of this name is to whoever opens it; pages and messages alone can be read here.
    fn of_a_name(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        let ends_in = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        if ends_in(&[".htm", ".html", ".shtml", ".xhtml", ".svg"]) {
            Some(Self::Html)
        } else if ends_in(&[".eml", ".mht", ".mhtml"]) {
            Some(Self::Message)
        } else {
            None
        }
    }
}

//! What a message is, read once and shared by all that judge it: fields, parts, texts, links, attachments, and
//! where mail programs would read it differently.
//!
//! Every list is bounded; `is_cut` says that a bound left something out. Nothing here fetches anything.

mod facts;
mod files;
mod header;
mod link;
mod page;
mod reader;
pub(in crate::message) mod scripts;
mod threads;

use std::borrow::Cow;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Links, Message, Text, parts};
use reader::Everything;

/// A message as the checks see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// The header fields, in order.
    pub fields: Vec<Field>,
    /// The parts in the order in which they stand, the message itself first.
    pub parts: Vec<Part>,
    /// The texts of the parts, in order: of text parts, of attached pages and messages, of what stands between parts.
    pub texts: Vec<PartText>,
    /// What a person sees: of alternatives the one that is shown, in lines, without what is hidden.
    pub shown: String,
    /// What other programs show, or this one further down: between the parts, in other readings of them, in messages
    /// within the message, in attached texts, in an alternative that says something else. At most 64 KiB.
    pub beside: String,
    /// The text of HTML that is not seen.
    pub hidden: String,
    /// Where it points to, in order of appearance.
    pub links: Vec<Link>,
    /// What is attached.
    pub attachments: Vec<Attachment>,
    /// What is unusual about its structure, each kind once, in the order in which it was found.
    pub oddities: Vec<(Oddity, Arc<str>)>,
    /// Counts over all HTML parts.
    pub html: HtmlFacts,
    /// Letters of each script in what is shown, the most frequent first.
    pub scripts: Vec<(Script, u32)>,
    /// The hosts and addresses that lists are asked about.
    pub found: Links,
    /// The text that messages are compared by.
    pub text: Text,
    /// True if the bounds left something out.
    pub is_cut: bool,
    /// True if that was more than the end of a long plain text, so that anything may be hidden in it.
    pub may_hide: bool,
}

/// One header field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Its name as written, without trailing white space.
    pub name: Arc<str>,
    /// The octets of its value in the message, folded as they came, without the line end.
    pub raw: Range<usize>,
    /// Its value: unfolded, encoded words (RFC 2047) decoded, invalid octets replaced, trimmed.
    pub value: Arc<str>,
}

/// One part of the message (RFC 2046).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// How deep it is nested; the message itself is 0.
    pub depth: u8,
    /// Which part it is in, by its place in the list; of the message itself: itself.
    pub parent: usize,
    /// `type/subtype` in lower case, as its first Content-Type says; `text/plain` where it says nothing.
    pub content_type: Arc<str>,
    /// The charset that it names, in lower case.
    pub charset: Option<Arc<str>>,
    /// The transfer encoding that it names, in lower case; empty if none.
    pub encoding: Arc<str>,
    /// `attachment`, `inline`, ..., in lower case; empty if it does not say.
    pub disposition: Arc<str>,
    /// The name that it has as a file (`filename=`, else `name=`), decoded.
    pub name: Option<Arc<str>>,
    /// True if it has a Content-ID, by which HTML can show it.
    pub has_content_id: bool,
    /// Octets of its body, encoded.
    pub octets: usize,
}

/// The text of one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartText {
    /// The part that it is of.
    pub part: usize,
    /// True for HTML, whose text is rendered.
    pub is_html: bool,
    /// True for what belongs to the text that mail programs show first; false for attachments, nested messages,
    /// other alternatives and other readings.
    pub is_shown: bool,
    /// The decoded text as it was written: the source of HTML.
    pub source: Arc<str>,
    /// What is seen of it; of plain text all of it.
    pub shown: Arc<str>,
    /// What is in its HTML and not seen: `display:none`, no size, the colour of the ground, off the screen.
    pub hidden: Arc<str>,
}

/// A place that the message points to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Where from.
    pub origin: Origin,
    /// The target as mail programs would open it: decoded, without obfuscation, at most 2048 octets.
    pub target: Arc<str>,
    /// Scheme in lower case: `https`, `mailto`, `data`, ...
    pub scheme: Arc<str>,
    /// The host: a name in A-labels and lower case without a trailing dot, or an address; empty if there is none.
    pub host: Arc<str>,
    /// The registered domain of the host (public suffix list); empty for addresses and suffixes.
    pub domain: Arc<str>,
    /// The text that it is shown as; empty if there is none.
    pub shown: Arc<str>,
    /// The target that it redirects to, where its address says so (`?url=https://...`), unwrapped without asking.
    pub leads_to: Option<Arc<str>>,
    /// What was done to make the target hard to see.
    pub tricks: Vec<Trick>,
}

/// Where a link stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// `<a href>` and `<area href>`.
    #[default]
    Anchor,
    /// Plain text.
    Text,
    /// A picture that is fetched.
    Picture,
    /// Where a form sends what is typed.
    Form,
    /// Something else in HTML: `<link>`, `<iframe>`, `<script>`, CSS.
    Other,
    /// A header field (List-Unsubscribe is none).
    Header,
}

/// How a target is made hard to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trick {
    /// `https://bank.test@evil.test/`.
    UserInfo,
    /// An address written as one number, in octal or in hexadecimal.
    NumericHost,
    /// Characters escaped that need none.
    Escaped,
    /// White space, control or invisible characters within.
    Broken,
    /// Letters of several scripts in one label of the host.
    MixedScripts,
    /// Backslashes where slashes belong.
    Backslashes,
    /// A port that is neither 80 nor 443.
    OddPort,
}

/// What is attached: every part that is a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The part that it is.
    pub part: usize,
    /// Its name, decoded; empty if it has none.
    pub name: Arc<str>,
    /// The extension of the name in lower case, without the dot.
    pub extension: Arc<str>,
    /// The type that it declares, in lower case.
    pub declared: Arc<str>,
    /// The type that its octets show: `zip`, `pdf`, `exe`, `ole`, `html`, ...; empty if unknown.
    pub detected: &'static str,
    /// Octets, decoded.
    pub octets: usize,
    /// A hash of its octets (xxh3).
    pub hash: u64,
    /// Names of the files in it, for archives; bounded.
    pub entries: Vec<Arc<str>>,
    /// It is an archive, or a document, that cannot be read without a password.
    pub is_encrypted: bool,
    /// It is an office file with macros.
    pub has_macros: bool,
    /// It is a picture.
    pub is_picture: bool,
}

/// Counts over the HTML of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HtmlFacts {
    /// Octets of the source.
    pub octets: usize,
    /// Tags that begin something.
    pub tags: u32,
    /// Pictures that are fetched from elsewhere.
    pub remote_pictures: u32,
    /// Pictures that are attached (`cid:`) or inline (`data:`).
    pub own_pictures: u32,
    /// Pictures of one pixel or none.
    pub pixels: u32,
    /// Forms.
    pub forms: u32,
    /// Fields for passwords.
    pub password_fields: u32,
    /// Other fields to type something in.
    pub input_fields: u32,
    /// Scripts, and attributes that run one (`onclick`).
    pub scripts: u32,
    /// Frames, objects and embedded things.
    pub frames: u32,
    /// `<meta http-equiv=refresh>`, `<base>`.
    pub refreshes: u32,
    /// Comments.
    pub comments: u32,
    /// Tags that end nothing or were never closed, as far as it is worth counting.
    pub faults: u32,
}

/// What is unusual about the structure of a message: where programs would read it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Oddity {
    /// A field that may stand once stands twice (RFC 5322 3.6).
    DuplicateField,
    /// Content-Type, Content-Transfer-Encoding or Content-Disposition stand twice in one part.
    DuplicateMimeField,
    /// A parameter stands twice, as `boundary` does.
    DuplicateParameter,
    /// A multipart without a boundary, or whose boundary never comes.
    NoBoundary,
    /// A boundary that is a prefix of another one that is open, or equal to it.
    AmbiguousBoundary,
    /// A boundary that never is closed.
    UnclosedBoundary,
    /// Text before the first delimiter, or behind the last, that is more than a note for old programs.
    TextOutside,
    /// An encoding that nobody knows, or a multipart that is encoded.
    OddEncoding,
    /// Base64 with other characters in it, or ended in the middle.
    BrokenBase64,
    /// Text that is not in the charset that it names, or in one that nobody knows.
    BrokenCharset,
    /// Comments in MIME fields that hide what they say.
    Comments,
    /// Octets beyond ASCII in the header section without SMTPUTF8.
    EightBitHeader,
    /// An encoded word that is broken, or stands where none may.
    BrokenEncodedWord,
    /// A line in the header section that is no field, or a field with white space before the colon.
    BrokenField,
    /// No empty line ends the header section.
    NoHeaderEnd,
    /// A control character, or NUL, in a text.
    ControlCharacters,
    /// A line of more than 998 octets.
    LongLine,
    /// Nested too deep, or too many parts, to be read.
    TooMuch,
    /// `message/partial` or `message/external-body`: what counts is elsewhere.
    Elsewhere,
    /// The parts of an alternative say different things.
    AlternativesDiffer,
    /// The type that a file declares, its name and its octets contradict each other in a dangerous way.
    TypeMismatch,
}

/// Writing systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Script {
    Latin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    Devanagari,
    Thai,
    Hangul,
    Kana,
    Han,
    Other,
}

impl Model {
    /// Reads a message, as far as it is in memory.
    pub fn of(message: &Message) -> Self {
        let mut everything = Everything::new();
        let reading = catch_unwind(AssertUnwindSafe(|| {
            everything.header(message);
            parts::read(message, &mut everything);
        }));
        let is_broken_off = reading.is_err();
        // What puts it together has read nothing hostile, and is still no reason to lose a message.
        catch_unwind(AssertUnwindSafe(|| everything.into_model(is_broken_off))).unwrap_or_else(|_| Self {
            is_cut: true,
            may_hide: true,
            ..Self::default()
        })
    }

    /// The fields of a name, in order.
    pub fn fields_named<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m Field> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name))
    }

    /// The Subject, decoded; empty without one. Mail programs differ in which of several they show: all of them then.
    pub fn subject(&self) -> Cow<'_, str> {
        let mut all = self.fields_named("subject").map(|field| &*field.value);
        let first = all.next().unwrap_or_default();
        all.fold(Cow::Borrowed(first), |text, more| Cow::Owned(format!("{text} {more}")))
    }
}

/// True if there are control characters in a text other than these. It does not stop at the first: so many octets
/// are looked at at once.
fn has_control<const N: usize>(text: &str, other_than: &[u8; N]) -> bool {
    let is_known = |octet: u8| other_than.iter().fold(false, |any, known| any | (*known == octet));
    text.bytes().fold(false, |any, octet| any | (octet.is_ascii_control() & !is_known(octet)))
}

#[cfg(test)]
mod evasions;
#[cfg(test)]
mod tests;

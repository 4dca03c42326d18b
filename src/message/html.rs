//! The tokens of an HTML document, as its readers need them.
//!
//! Only the tokenizer is used: entities are decoded as a browser does it, and no tree is built. What a tree
//! builder would tell it, that a script or a style sheet begins, is told here.

mod plain;
mod tags;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use html5ever::TokenizerResult;
use html5ever::buffer_queue::BufferQueue;
use html5ever::tokenizer::states::{Rawtext, Rcdata, ScriptData};
use html5ever::tokenizer::{self as html5, TagKind, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

use tags::{Step, Tags};

/// Octets that the tokenizer is fed at once.
const BITE: usize = 2048;
/// Attributes of a tag that are read. The tokenizer compares each with all before it, so a tag with a hundred
/// thousand would keep it busy for minutes.
const MAX_ATTRIBUTES: usize = 256;

/// Elements that begin a line of their own. All others, unknown ones too, stand within a line, and their tags do
/// not end a word.
const BLOCKS: [&str; 58] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "caption",
    "center",
    "col",
    "colgroup",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "li",
    "listing",
    "main",
    "menu",
    "nav",
    "ol",
    "optgroup",
    "option",
    "p",
    "plaintext",
    "pre",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
    "xmp",
];
/// Elements before which an HTML document goes on where a drawing or a formula is not ended.
const NOT_FOREIGN: [&str; 44] = [
    "b",
    "big",
    "blockquote",
    "body",
    "br",
    "center",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "em",
    "embed",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "hr",
    "i",
    "img",
    "li",
    "listing",
    "menu",
    "meta",
    "nobr",
    "ol",
    "p",
    "pre",
    "ruby",
    "s",
    "small",
    "span",
    "strong",
    "strike",
    "sub",
    "sup",
    "table",
    "tt",
    "u",
    "ul",
    "var",
];

/// True if an element begins a line of its own.
pub(super) fn is_block(name: &str) -> bool {
    BLOCKS.binary_search(&name).is_ok()
}

/// True if what a tag begins cannot stand in a drawing or a formula: it ends it.
pub(super) fn ends_foreign(tag: &Tag<'_>) -> bool {
    leaves_foreign(&tag.name, false, tag.attributes.iter().map(|attribute| &*attribute.name))
}

/// True if a drawing or a formula is ended by a tag of a name with these attributes.
fn leaves_foreign<'n>(name: &str, is_end: bool, mut attributes: impl Iterator<Item = &'n str>) -> bool {
    match is_end {
        true => matches!(name, "p" | "br"),
        false => {
            NOT_FOREIGN.contains(&name)
                || (name == "font" && attributes.any(|attribute| matches!(attribute, "color" | "face" | "size")))
        }
    }
}

/// How the content of an element is read, where it is no HTML.
fn content(name: &str) -> Option<TokenSinkResult<()>> {
    match name {
        "script" => Some(TokenSinkResult::RawData(ScriptData)),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => Some(TokenSinkResult::RawData(Rawtext)),
        "title" | "textarea" => Some(TokenSinkResult::RawData(Rcdata)),
        "plaintext" => Some(TokenSinkResult::Plaintext),
        _ => None,
    }
}

/// A text in lower case, as far as it is ASCII. Nearly all is written so: that costs nothing.
pub(super) fn in_lower_case(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|octet| octet.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

/// Who is told of tokens.
pub(super) trait Document {
    /// True if nothing more needs to be told.
    fn is_full(&self) -> bool;

    /// The next token; errors are not told.
    fn token(&self, token: Token<'_>);

    /// What no program writes: attributes beyond those that are read.
    fn surplus(&self, text: &str);
}

/// What a document consists of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'t> {
    Tag(&'t Tag<'t>),
    /// Text, or a piece of one, its entities decoded.
    Text(&'t str),
    Comment(&'t str),
}

/// A tag.
#[derive(Clone, Debug, Default)]
pub(super) struct Tag<'t> {
    /// Its name, in lower case.
    pub(super) name: Cow<'t, str>,
    pub(super) is_end: bool,
    pub(super) is_self_closing: bool,
    /// Its element begins a line of its own.
    pub(super) is_block: bool,
    /// Its attributes, each name once.
    pub(super) attributes: Vec<Attribute<'t>>,
}

impl Tag<'_> {
    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| &*attribute.value)
    }
}

/// An attribute: its name in lower case, its value decoded.
#[derive(Clone, Debug)]
pub(super) struct Attribute<'t> {
    pub(super) name: Cow<'t, str>,
    pub(super) value: Cow<'t, str>,
}

/// Tells the tokens of a document, or of what is left of one. True if it was read to its end.
///
/// The tokenizer needs much longer for a tag than it takes to see that there is nothing special about it: what is
/// plain is told without it, between two tags that it has read whole.
pub(super) fn read(html: &str, document: &impl Document) -> bool {
    let sink = Sink { document, raw: RefCell::default(), is_foreign: Cell::new(false) };
    let tokenizer = Tokenizer::new(&sink, TokenizerOpts::default());
    let mut tag = Tag::default();
    let mut at = 0;
    loop {
        while at > 0 && sink.raw.borrow().is_none() {
            let Some((text, end)) = plain::next(html, at, BITE, &mut tag) else { break };
            plain::tell(text, &mut |piece| document.token(Token::Text(piece)));
            // Only elements with content that is HTML are plain.
            let leaves = leaves_foreign(&tag.name, tag.is_end, tag.attributes.iter().map(|one| &*one.name));
            let _ = sink.content_of(&tag.name, tag.is_end, tag.is_self_closing, leaves);
            document.token(Token::Tag(&tag));
            at = end;
            if document.is_full() {
                return at == html.len();
            }
        }
        match through_tag(html, at, &tokenizer, &sink) {
            Read::Tag(end) => at = end,
            Read::Full => return false,
            Read::End => break,
        }
        if document.is_full() {
            return at == html.len();
        }
    }
    tokenizer.end();
    true
}

/// How far the tokenizer has read.
enum Read {
    /// Through a tag that ends here.
    Tag(usize),
    Full,
    End,
}

/// Feeds the tokenizer from `start` through the next tag.
fn through_tag<'d, D: Document>(
    html: &str,
    start: usize,
    tokenizer: &Tokenizer<&Sink<'d, D>>,
    sink: &Sink<'d, D>,
) -> Read {
    let document = sink.document;
    let mut tags = Tags::new(sink.raw.borrow().clone());
    let (mut fed, mut attributes, mut surplus) = (start, 0, None);
    for (at, octet) in html.bytes().enumerate().skip(start) {
        match tags.step(octet) {
            Step::Nothing if surplus.is_none() && at - fed >= BITE && html.is_char_boundary(at) => {
                feed(tokenizer, html.get(fed..at).unwrap_or_default());
                fed = at;
                if document.is_full() {
                    return Read::Full;
                }
            }
            Step::Nothing => {}
            Step::Attribute => {
                attributes += 1;
                if attributes > MAX_ATTRIBUTES && surplus.is_none() {
                    feed(tokenizer, html.get(fed..at).unwrap_or_default());
                    surplus = Some(at);
                }
            }
            Step::TagEnd => {
                if let Some(surplus) = surplus.take() {
                    document.surplus(html.get(surplus..at).unwrap_or_default());
                    fed = at;
                }
                // What follows depends on what the sink makes of the tag.
                feed(tokenizer, html.get(fed..=at).unwrap_or_default());
                return Read::Tag(at + 1);
            }
        }
    }
    match surplus {
        Some(surplus) => document.surplus(html.get(surplus..).unwrap_or_default()),
        None => feed(tokenizer, html.get(fed..).unwrap_or_default()),
    }
    Read::End
}

fn feed<D: Document>(tokenizer: &Tokenizer<&Sink<'_, D>>, text: &str) {
    let queue = BufferQueue::default();
    queue.push_back(text.into());
    // The tokenizer pauses where a browser would run a script.
    while !matches!(tokenizer.feed(&queue), TokenizerResult::Done) {}
}

struct Sink<'d, D> {
    document: &'d D,
    /// The element whose content is no HTML, while it is open.
    raw: RefCell<Option<String>>,
    /// Within a drawing or a formula there is none.
    is_foreign: Cell<bool>,
}

impl<D: Document> TokenSink for &Sink<'_, D> {
    type Handle = ();

    fn process_token(&self, token: html5::Token, _line: u64) -> TokenSinkResult<()> {
        match &token {
            html5::Token::TagToken(tag) => {
                let is_end = tag.kind == TagKind::EndTag;
                let leaves = leaves_foreign(&tag.name, is_end, tag.attrs.iter().map(|one| &*one.name.local));
                let goes_on = self.content_of(&tag.name, is_end, tag.self_closing, leaves);
                let attributes = tag.attrs.iter().map(|attribute| Attribute {
                    name: Cow::Borrowed(&*attribute.name.local),
                    value: Cow::Borrowed(&*attribute.value),
                });
                self.document.token(Token::Tag(&Tag {
                    name: Cow::Borrowed(&*tag.name),
                    is_end,
                    is_self_closing: tag.self_closing,
                    is_block: is_block(&tag.name),
                    attributes: attributes.collect(),
                }));
                return goes_on;
            }
            html5::Token::CharacterTokens(text) => self.document.token(Token::Text(text)),
            html5::Token::CommentToken(comment) => self.document.token(Token::Comment(comment)),
            html5::Token::DoctypeToken(_)
            | html5::Token::NullCharacterToken
            | html5::Token::EOFToken
            | html5::Token::ParseError(_) => {}
        }
        TokenSinkResult::Continue
    }
}

impl<D> Sink<'_, D> {
    /// How the tokenizer reads what stands behind a tag.
    fn content_of(&self, name: &str, is_end: bool, is_self_closing: bool, leaves_foreign: bool) -> TokenSinkResult<()> {
        self.raw.take();
        match name {
            "svg" | "math" => self.is_foreign.set(!is_end && !is_self_closing),
            "foreignobject" | "desc" if !is_end => self.is_foreign.set(false),
            _ if self.is_foreign.get() && leaves_foreign => self.is_foreign.set(false),
            _ => {}
        }
        if is_end || self.is_foreign.get() {
            return TokenSinkResult::Continue;
        }
        let Some(content) = content(name) else { return TokenSinkResult::Continue };
        self.raw.replace(Some(name.to_owned()));
        content
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Told(RefCell<String>, RefCell<String>);

    impl Document for Told {
        fn is_full(&self) -> bool {
            false
        }

        fn token(&self, token: Token<'_>) {
            let mut told = self.0.borrow_mut();
            match token {
                Token::Tag(tag) => {
                    told.push_str(&format!("[{}:{}]", &*tag.name, tag.attributes.len()));
                    tag.attributes
                        .iter()
                        .for_each(|one| self.1.borrow_mut().push_str(&format!("{}={};", one.name, one.value)));
                    self.1.borrow_mut().push_str(&format!("{}{}{}|", tag.is_end, tag.is_self_closing, tag.is_block));
                }
                Token::Text(text) => told.push_str(text),
                Token::Comment(_) => {}
            }
        }

        fn surplus(&self, text: &str) {
            self.0.borrow_mut().push_str(&format!("({})", text.len()));
        }
    }

    #[test]
    fn attributes_beyond_the_bound_are_left_out_and_nothing_else() {
        let many = |count: usize| (0..count).map(|at| format!("a{at} ")).collect::<String>();
        let words = "w ".repeat(3000);
        for (html, expected) in [
            (format!("<p {}>b", many(256)), "[p:256]b".to_owned()),
            (format!("<p {}x>b<i c>", many(256)), "(1)[p:256]b[i:1]".to_owned()),
            (format!("<p {}{}", many(256), "z ".repeat(1000)), "(2000)".to_owned()),
            (format!("a<!--{words}-->b"), "ab".to_owned()),
            (format!("a<!doctype {words}>b"), "ab".to_owned()),
            (format!("a<p title=\"{words}>\" b>c"), "a[p:2]c".to_owned()),
            (format!("a<p title='{words}'>c"), "a[p:1]c".to_owned()),
            (format!("<p title={}>c", "/\"".repeat(3000)), "[p:1]c".to_owned()),
            (
                format!("<script>a <b {words}</scripty </script {}x>c", many(256)),
                format!("[script:0]a <b {words}</scripty (1)[script:256]c"),
            ),
            ("<svg><style>a</svg>b".to_owned(), "[svg:0][style:0]a[svg:0]b".to_owned()),
            ("<svg><p><style><b></style>".to_owned(), "[svg:0][p:0][style:0]<b>[style:0]".to_owned()),
            (format!("<!--!> {words}-->a"), "a".to_owned()),
            (format!("<!-->a{words}<!--->b"), format!("a{words}b")),
        ] {
            let told = Told::default();
            assert!(read(&html, &told));
            assert_eq!(told.0.into_inner(), expected, "{}", html.get(..40).unwrap_or(&html));
        }
    }

    /// The same, by the tokenizer alone.
    fn slowly(html: &str) -> (String, String) {
        let told = Told::default();
        let sink = Sink { document: &told, raw: RefCell::default(), is_foreign: Cell::new(false) };
        let tokenizer = Tokenizer::new(&sink, TokenizerOpts::default());
        let mut at = 0;
        while let Read::Tag(end) = through_tag(html, at, &tokenizer, &sink) {
            at = end;
        }
        tokenizer.end();
        (told.0.into_inner(), told.1.into_inner())
    }

    proptest! {
        #[test]
        fn what_is_plain_is_read_as_the_tokenizer_reads_it(
            html in "(<[pPaB]|</p>|</a >|<br/>|<svg>|<title>|</title>|>| |\r\n|\r|\n|=|\"|'|/|a|href=|b=\"c&amp;d\"|X=y|&nbsp;|&amp;|&lt|&copy|&x=|&#65;|;|\u{feff}|\u{e4}|\0|<!--|-->|<){0,60}"
        ) {
            let told = Told::default();
            prop_assert!(read(&html, &told));
            prop_assert_eq!((told.0.into_inner(), told.1.into_inner()), slowly(&html));
        }
    }
}

//! The tokens of an HTML document, as its readers need them.
//!
//! Only the tokenizer is used: entities are decoded as a browser does it, and no tree is built. What a tree
//! builder would tell it, that a script or a style sheet begins, is told here.

mod tags;

use std::cell::{Cell, RefCell};

use html5ever::TokenizerResult;
use html5ever::buffer_queue::BufferQueue;
use html5ever::tokenizer::states::{Rawtext, Rcdata, ScriptData};
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

use tags::{Step, Tags};

/// Octets that the tokenizer is fed at once.
const BITE: usize = 2048;
/// Attributes of a tag that are read. The tokenizer compares each with all before it, so a tag with a hundred
/// thousand would keep it busy for minutes.
const MAX_ATTRIBUTES: usize = 256;

/// Elements that begin a line of their own. All others, unknown ones too, stand within a line, and their tags do
/// not end a word.
const BLOCKS: [&str; 56] = [
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

/// True if an element cannot stand in a drawing or a formula: it ends it.
pub(super) fn ends_foreign(name: &str) -> bool {
    NOT_FOREIGN.contains(&name)
}

/// Who is told of tokens.
pub(super) trait Document {
    /// True if nothing more needs to be told.
    fn is_full(&self) -> bool;

    /// The next token; errors are not told.
    fn token(&self, token: &Token);

    /// What no program writes: attributes beyond those that are read.
    fn surplus(&self, text: &str);
}

/// Tells the tokens of a document, or of what is left of one. True if it was read to its end.
pub(super) fn read(html: &str, document: &impl Document) -> bool {
    let sink = Sink { document, raw: RefCell::default(), is_foreign: Cell::new(false) };
    let tokenizer = Tokenizer::new(&sink, TokenizerOpts::default());
    let mut tags = Tags::new();
    let (mut fed, mut attributes, mut surplus) = (0, 0, None);
    for (at, octet) in html.bytes().enumerate() {
        match tags.step(octet) {
            Step::Nothing if surplus.is_none() && at - fed >= BITE && html.is_char_boundary(at) => {
                feed(&tokenizer, html.get(fed..at).unwrap_or_default());
                fed = at;
                if document.is_full() {
                    return false;
                }
            }
            Step::Nothing => {}
            Step::Attribute => {
                attributes += 1;
                if attributes > MAX_ATTRIBUTES && surplus.is_none() {
                    feed(&tokenizer, html.get(fed..at).unwrap_or_default());
                    surplus = Some(at);
                }
            }
            Step::TagEnd => {
                if let Some(surplus) = surplus.take() {
                    document.surplus(html.get(surplus..at).unwrap_or_default());
                    fed = at;
                }
                attributes = 0;
                // What follows depends on what the sink makes of the tag.
                feed(&tokenizer, html.get(fed..=at).unwrap_or_default());
                fed = at + 1;
                tags.set_raw(sink.raw.borrow().as_deref());
                if document.is_full() {
                    return fed == html.len();
                }
            }
        }
    }
    match surplus {
        Some(surplus) => document.surplus(html.get(surplus..).unwrap_or_default()),
        None => feed(&tokenizer, html.get(fed..).unwrap_or_default()),
    }
    tokenizer.end();
    true
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

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let goes_on = match &token {
            Token::ParseError(_) => return TokenSinkResult::Continue,
            Token::TagToken(tag) => self.content_of(tag),
            _ => TokenSinkResult::Continue,
        };
        self.document.token(&token);
        goes_on
    }
}

impl<D> Sink<'_, D> {
    /// How the tokenizer reads what stands behind a tag.
    fn content_of(&self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        self.raw.take();
        match (tag.kind, name) {
            (TagKind::StartTag, "svg" | "math") => self.is_foreign.set(!tag.self_closing),
            (TagKind::EndTag, "svg" | "math") | (TagKind::StartTag, "foreignobject" | "desc") => {
                self.is_foreign.set(false);
            }
            (TagKind::StartTag, _) if ends_foreign(name) => self.is_foreign.set(false),
            _ => {}
        }
        if tag.kind == TagKind::EndTag || self.is_foreign.get() {
            return TokenSinkResult::Continue;
        }
        let content = match name {
            "script" => TokenSinkResult::RawData(ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(Rawtext),
            "title" | "textarea" => TokenSinkResult::RawData(Rcdata),
            "plaintext" => TokenSinkResult::Plaintext,
            _ => return TokenSinkResult::Continue,
        };
        self.raw.replace(Some(name.to_owned()));
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Told(RefCell<String>);

    impl Document for Told {
        fn is_full(&self) -> bool {
            false
        }

        fn token(&self, token: &Token) {
            let mut told = self.0.borrow_mut();
            match token {
                Token::TagToken(tag) => told.push_str(&format!("[{}:{}]", &*tag.name, tag.attrs.len())),
                Token::CharacterTokens(text) => told.push_str(text),
                _ => {}
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
}

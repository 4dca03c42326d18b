//! The tokens of an HTML document, as its readers need them.
//!
//! Only the tokenizer is used: entities are decoded as a browser does it, and no tree is built. What a tree
//! builder would tell it, that a script or a style sheet begins, is told here.

use std::cell::Cell;

use html5ever::TokenizerResult;
use html5ever::buffer_queue::BufferQueue;
use html5ever::tokenizer::states::{Rawtext, Rcdata, ScriptData};
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

/// Octets that the tokenizer is fed at once.
const BITE: usize = 2048;
/// What may separate attributes, between two tokens. The tokenizer compares each attribute of a tag with all
/// before it, so a tag with a hundred thousand would keep it busy for minutes.
const MAX_SEPARATORS: usize = 1_000;

/// Elements within a line: their tags do not end a word.
pub(super) const INLINE: [&str; 24] = [
    "abbr", "acronym", "b", "bdi", "bdo", "big", "code", "del", "em", "font", "i", "ins", "kbd", "mark", "s", "small",
    "span", "strike", "strong", "sub", "sup", "tt", "u", "wbr",
];

/// Who is told of tokens.
pub(super) trait Document {
    /// True if nothing more needs to be told.
    fn is_full(&self) -> bool;

    /// The next token; errors are not told.
    fn token(&self, token: Token);

    /// What begins as a tag that no program writes.
    fn broken(&self, text: &str);
}

/// Tells the tokens of a document, or of what is left of one. True if it was read to its end.
pub(super) fn read(html: &str, document: &impl Document) -> bool {
    let sink = Sink { document, tokens: Cell::new(0) };
    let mut tokenizer = Tokenizer::new(&sink, TokenizerOpts::default());
    let (mut at, mut separators, mut quiet_since) = (0, 0, 0);
    while at < html.len() && !document.is_full() {
        let end = html.floor_char_boundary(at + BITE);
        let bite = html.get(at..end).unwrap_or_default();
        let tokens = sink.tokens.get();
        feed(&tokenizer, bite);
        if sink.tokens.get() != tokens {
            (separators, quiet_since) = (0, at);
        }
        at = end;
        separators += bite.bytes().filter(|octet| b" \t\r\n\x0c/\"'".contains(octet)).count();
        if separators > MAX_SEPARATORS && sink.tokens.get() == tokens {
            // The document goes on behind it.
            tokenizer = Tokenizer::new(&sink, TokenizerOpts::default());
            document.broken(html.get(quiet_since..end).unwrap_or_default());
            (separators, quiet_since) = (0, end);
        }
    }
    tokenizer.end();
    at >= html.len()
}

fn feed<D: Document>(tokenizer: &Tokenizer<&Sink<'_, D>>, text: &str) {
    let queue = BufferQueue::default();
    queue.push_back(text.into());
    // The tokenizer pauses where a browser would run a script.
    while !matches!(tokenizer.feed(&queue), TokenizerResult::Done) {}
}

struct Sink<'d, D> {
    document: &'d D,
    tokens: Cell<usize>,
}

impl<D: Document> TokenSink for &Sink<'_, D> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        // Errors within a tag are not its end.
        if matches!(token, Token::ParseError(_)) {
            return TokenSinkResult::Continue;
        }
        self.tokens.set(self.tokens.get() + 1);
        let goes_on = match &token {
            Token::TagToken(tag) => content_of(tag),
            _ => TokenSinkResult::Continue,
        };
        self.document.token(token);
        goes_on
    }
}

/// How the tokenizer reads what stands in an element.
fn content_of(tag: &Tag) -> TokenSinkResult<()> {
    match (tag.kind, &*tag.name) {
        (TagKind::EndTag, _) => TokenSinkResult::Continue,
        (_, "script") => TokenSinkResult::RawData(ScriptData),
        (_, "style" | "xmp" | "iframe" | "noembed" | "noframes") => TokenSinkResult::RawData(Rawtext),
        (_, "title" | "textarea") => TokenSinkResult::RawData(Rcdata),
        (_, "plaintext") => TokenSinkResult::Plaintext,
        _ => TokenSinkResult::Continue,
    }
}

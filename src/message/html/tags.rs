//! Where the tags of an HTML document begin and end, and how many attributes they have: what the tokenizer
//! keeps to itself until a tag has ended.

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// Behind `<`, `</`, `<!`, `<!-`.
    Open,
    End,
    Declaration,
    Dash,
    Name,
    BeforeAttribute,
    Attribute,
    AfterAttribute,
    BeforeValue,
    Quoted(u8),
    Unquoted,
    /// Until `>`.
    Bogus,
    /// So many dashes, up to two, stood last; or `--!`.
    Comment {
        dashes: u8,
        is_start: bool,
    },
    Bang,
}

/// What an octet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// A further attribute of a tag begins with it.
    Attribute,
    /// It ends a tag.
    TagEnd,
}

/// Follows a document octet by octet.
pub(super) struct Tags {
    state: State,
    /// Only the end of this element is a tag.
    raw: Option<String>,
    /// The name of an end tag within raw text, so far.
    name: String,
}

impl Tags {
    /// Behind a tag: only the end of the element `raw` is a tag from here on, if there is one.
    pub(super) fn new(raw: Option<String>) -> Self {
        Self { state: State::Text, raw, name: String::new() }
    }

    pub(super) fn step(&mut self, octet: u8) -> Step {
        let is_blank = matches!(octet, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c');
        let mut step = Step::Nothing;
        self.state = match (self.state, octet) {
            (State::Text, b'<') => State::Open,
            (State::Text, _) => State::Text,
            (State::Open, b'/') => {
                self.name.clear();
                State::End
            }
            (State::Open, b'<') => State::Open,
            (State::Open, _) if self.raw.is_some() => State::Text,
            (State::Open, b'!') => State::Declaration,
            (State::Open, b'?') => State::Bogus,
            (State::Open, _) if octet.is_ascii_alphabetic() => State::Name,
            (State::Open, _) => State::Text,
            (State::End, _) if self.raw.is_some() => self.end_of_raw(octet, is_blank, &mut step),
            (State::End, b'>') => State::Text,
            (State::End, _) if octet.is_ascii_alphabetic() => State::Name,
            (State::End, _) => State::Bogus,
            (State::Declaration, b'-') => State::Dash,
            (State::Dash, b'-') => State::Comment { dashes: 2, is_start: true },
            (State::Declaration | State::Dash | State::Bogus, b'>') => State::Text,
            (State::Declaration | State::Dash | State::Bogus, _) => State::Bogus,
            (State::Comment { dashes: 2, .. } | State::Bang, b'>') => State::Text,
            (State::Comment { dashes, is_start }, b'-') => State::Comment { dashes: (dashes + 1).min(2), is_start },
            (State::Comment { dashes: 2, is_start: false }, b'!') => State::Bang,
            (State::Bang, b'-') => State::Comment { dashes: 1, is_start: false },
            (State::Comment { .. } | State::Bang, _) => State::Comment { dashes: 0, is_start: false },
            (State::Quoted(quote), _) if octet == quote => State::BeforeAttribute,
            (State::Quoted(quote), _) => State::Quoted(quote),
            // All others are within a tag.
            (_, b'>') => {
                step = Step::TagEnd;
                State::Text
            }
            (State::BeforeValue, _) if is_blank => State::BeforeValue,
            (State::BeforeValue, b'"' | b'\'') => State::Quoted(octet),
            (State::BeforeValue, _) => State::Unquoted,
            (State::AfterAttribute, _) if is_blank => State::AfterAttribute,
            (_, _) if is_blank => match self.state {
                State::Attribute => State::AfterAttribute,
                _ => State::BeforeAttribute,
            },
            (State::Unquoted | State::Name, _) if octet != b'/' || self.state == State::Unquoted => self.state,
            (_, b'/') => State::BeforeAttribute,
            (State::Attribute | State::AfterAttribute, b'=') => State::BeforeValue,
            (State::Attribute, _) => State::Attribute,
            (_, _) => {
                step = Step::Attribute;
                State::Attribute
            }
        };
        step
    }

    /// Within the name of an end tag that may end raw text.
    fn end_of_raw(&mut self, octet: u8, is_blank: bool, step: &mut Step) -> State {
        let is_end = self.raw.as_ref().is_some_and(|raw| raw.eq_ignore_ascii_case(&self.name));
        match octet {
            b'>' if is_end => {
                *step = Step::TagEnd;
                State::Text
            }
            b'/' if is_end => State::BeforeAttribute,
            _ if is_end && is_blank => State::BeforeAttribute,
            b'<' => State::Open,
            _ if octet.is_ascii_alphabetic() && self.raw.as_ref().is_some_and(|raw| self.name.len() < raw.len()) => {
                self.name.push(char::from(octet));
                State::End
            }
            _ => State::Text,
        }
    }
}

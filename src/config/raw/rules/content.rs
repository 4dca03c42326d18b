//! Rule files: every other `*.toml` in the directory of rules.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::super::macros::section;

section! {
    /// A rule file: what is looked for in messages.
    pub struct RuleFile {
        /// The rules.
        rule: Vec<Rule> = Vec::new(),
    }
}

section! {
    /// A symbol that is found where conditions hold, with messages that show it.
    #[schemars(extend("required" = ["symbol", "description"]))]
    pub struct Rule {
        /// Its name; it is weighed in weights.toml.
        symbol: String = String::new(),
        /// What it means, in one line for people.
        description: String = String::new(),
        /// True: it is found and counted but decides nothing.
        shadow: bool = false,
        /// Each of these conditions holds.
        all: Vec<Condition> = Vec::new(),
        /// At least one of these conditions holds.
        any: Vec<Condition> = Vec::new(),
        /// None of these conditions holds.
        none: Vec<Condition> = Vec::new(),
        /// Messages in which it is found, at every load.
        hits: Vec<String> = Vec::new(),
        /// Messages in which it is not found, at every load.
        misses: Vec<String> = Vec::new(),
    }
}

section! {
    /// Where to look, and what for: one of `header`, `address`, `envelope`, `text`, `raw`, `link`, `attachment`,
    /// `mime` and `structure`, and one matcher.
    pub struct Condition {
        /// Header fields: a name, or several; `*` is each field as `Name: value`.
        header: Option<Words> = None,
        /// Mailboxes of header fields or of the envelope.
        address: Option<String> = None,
        /// What the client said and is.
        envelope: Option<String> = None,
        /// Text as people see it.
        text: Option<String> = None,
        /// Octets as they came; `true` beside `header`: its octets.
        raw: Option<Raw> = None,
        /// Links.
        link: Option<String> = None,
        /// Attached files.
        attachment: Option<String> = None,
        /// MIME parts.
        mime: Option<String> = None,
        /// A number that says something about the message as a whole.
        structure: Option<String> = None,
        /// What of an address.
        part: Option<String> = None,
        /// Only links that stand there.
        origin: Option<String> = None,
        /// Only links that do this.
        trick: Option<String> = None,
        /// True: there is something.
        exists: Option<bool> = None,
        /// A regular expression.
        regex: Option<String> = None,
        /// Whole words; neither case nor white space matters.
        phrases: Option<Words> = None,
        /// A file of addresses, domains, networks and patterns, relative to the directory of rules.
        map: Option<String> = None,
        /// The whole value, or one of several; case does not matter.
        equals: Option<Words> = None,
        /// A value that this address has, too.
        same_as: Option<String> = None,
        /// So many matches or values at least.
        #[schemars(range(min = 0, max = 1_000_000_000))]
        at_least: Option<u64> = None,
        /// So many at most.
        #[schemars(range(min = 0, max = 1_000_000_000))]
        at_most: Option<u64> = None,
        /// True: it holds if it otherwise would not.
        not: bool = false,
    }
}

/// One word, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Words(pub Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(String),
            Many(Vec<String>),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::One(word) => Self(vec![word]),
            Written::Many(words) => Self(words),
        })
    }
}

impl JsonSchema for Words {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Words".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
    }
}

/// `raw = "body"`, or `raw = true`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Raw {
    /// Beside `header`.
    Flag(bool),
    /// Alone.
    Part(String),
}

impl JsonSchema for Raw {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Raw".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"] })
    }
}

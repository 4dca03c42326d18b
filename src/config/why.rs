//! Which line set a value, and what it is where no line did.

use std::collections::BTreeMap;

use serde_json::Value;

use super::problem::nearest;
use super::shape::{Mirror, Shape};
use super::source::{Document, element, join};
use super::{Loaded, raw};

/// The answer to `--why KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// This line set it.
    Written {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is written there.
        text: String,
    },
    /// No line set it: the default stands.
    Default(String),
    /// There is no such key; perhaps that one.
    Unknown(Option<String>),
}

/// Says where the value of `key` comes from: `limits.sessions`, `listen[0].address`, `listen.0.address`.
pub fn why(loaded: &Loaded, key: &str) -> Why {
    let key = canonical(key);
    if let Some(written) = written(&loaded.document, &key) {
        return written;
    }
    let rules = &loaded.config.rules;
    for document in [&rules.weights.1, &rules.lists.1, &rules.policy.1, &rules.outgoing.1] {
        if let Some(written) = written(document, &key) {
            return written;
        }
    }
    let values = effective(&loaded.raw);
    match values.get(&key) {
        Some(value) => Why::Default(shown(value)),
        None => Why::Unknown(nearest(&key, values.keys().map(String::as_str)).map(str::to_owned)),
    }
}

fn written(document: &Document, key: &str) -> Option<Why> {
    let place = document.places.get(key)?;
    let (line, column) = document.source.line_column(place.key.start);
    let text = document.source.line(line).trim().to_owned();
    Some(Why::Written { path: document.source.path.clone(), line, column, text })
}

/// Every key with its value in force, written or default.
pub fn effective(file: &raw::File) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    // The mirror of a text file holds nothing that JSON cannot.
    flatten(&serde_json::to_value(file).unwrap_or_default(), "", &mut values);
    values
}

/// Every key of the configuration file with its default and its description; `[]` stands for an index.
pub fn catalogue() -> Vec<(String, Value, String)> {
    let mut keys = Vec::new();
    list(raw::File::shape(), "", &mut keys);
    keys
}

fn list(shape: &Shape, path: &str, out: &mut Vec<(String, Value, String)>) {
    match shape {
        Shape::Table { keys, .. } => {
            for (name, key) in keys {
                let path = join(path, name);
                // A table is only a way to its keys, unless it may be left out.
                if !matches!(key.shape, Shape::Table { .. }) || key.default.is_null() {
                    out.push((path.clone(), key.default.clone(), key.description.clone()));
                }
                list(&key.shape, &path, out);
            }
        }
        Shape::Array(inner) => list(inner, &format!("{path}[]"), out),
        _ => {}
    }
}

fn flatten(value: &Value, path: &str, out: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(table) => table.iter().for_each(|(key, value)| flatten(value, &join(path, key), out)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(index, value)| flatten(value, &element(path, index), out));
        }
        leaf => {
            out.insert(path.to_owned(), leaf.clone());
        }
    }
}

/// A default as it would be written in the file.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

/// The word that stands for a choice in the file.
pub fn word<T: serde::Serialize>(choice: &T) -> String {
    serde_json::to_value(choice).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// `listen.0.address` is `listen[0].address`.
fn canonical(key: &str) -> String {
    let mut out = String::new();
    for part in key.trim().split('.') {
        let index = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match (index, out.is_empty()) {
            (true, false) => out = format!("{out}[{part}]"),
            (false, false) => out = format!("{out}.{part}"),
            _ => out.push_str(part),
        }
    }
    out
}

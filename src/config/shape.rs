//! A document held against the JSON schema of its type: every unknown key, wrong type, wrong choice and
//! missing key at once, where serde would stop at the first.
//!
//! What does not fit is reported and taken out, so that the rest can be read and checked too.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::problem::{Problem, Problems, nearest};
use super::raw;
use super::source::{Document, Place, Source, element, join};

/// What may stand at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A table with these keys.
    Table {
        /// The keys, with what may stand there.
        keys: BTreeMap<String, Key>,
        /// The keys that must be written.
        required: Vec<String>,
    },
    /// A table with keys of the administrator's choice.
    Map(Box<Shape>),
    /// An array.
    Array(Box<Shape>),
    /// A string, or an array of them.
    OneOrMany,
    /// One of these words.
    Choice(Vec<String>),
    /// A value without parts.
    Scalar {
        /// JSON's names of its types.
        types: Vec<String>,
        /// Least number.
        minimum: Option<f64>,
        /// Greatest number.
        maximum: Option<f64>,
    },
}

/// A key of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// What may stand there.
    pub shape: Shape,
    /// What it is when it is not written; `Null` for nothing.
    pub default: Value,
    /// What it means.
    pub description: String,
}

struct Walk<'a> {
    source: &'a Arc<Source>,
    places: BTreeMap<String, Place>,
    problems: &'a mut Problems,
}

/// The type of a file.
pub trait Mirror: JsonSchema + DeserializeOwned {
    /// What may stand in it; made once.
    fn shape() -> &'static Shape;
}

macro_rules! mirrors {
    ($($file:ty),*) => {$(
        impl Mirror for $file {
            fn shape() -> &'static Shape {
                static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
                    let schema = schemars::schema_for!($file).to_value();
                    Shape::read(&schema, &schema)
                });
                &SHAPE
            }
        }
    )*};
}

mirrors!(
    raw::File,
    raw::rules::WeightsFile,
    raw::rules::ListsFile,
    raw::rules::PolicyFile,
    raw::rules::AuthenticationFile,
    raw::rules::TrustFile,
    raw::rules::GreylistFile,
    raw::rules::RatesFile,
    raw::rules::ReputationFile,
    raw::rules::TrapsFile,
    raw::rules::BulkFile,
    raw::rules::ClassifierFile,
    raw::rules::SpamAssassinFile,
    raw::rules::RuleFile
);

/// Reads a file: what fits is in the value (defaults elsewhere), what does not is in `problems`.
/// `None` if it is no TOML at all.
pub fn read<T: Mirror>(source: &Arc<Source>, problems: &mut Problems) -> Option<(T, Document)> {
    let (mut table, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        for error in errors {
            problems.push(Problem::at(source, error.span(), "", error.message().trim()));
        }
        return None;
    }
    let mut walk = Walk { source, places: BTreeMap::new(), problems };
    let all = 0..source.text.len().min(1);
    walk.table(T::shape(), table.get_mut(), "", &all);
    let document = Document { source: source.clone(), places: walk.places };
    match T::deserialize(toml::Deserializer::from(table)) {
        Ok(value) => Some((value, document)),
        Err(error) => {
            problems.push(Problem::at(source, error.span(), "", error.message().trim()));
            None
        }
    }
}

impl Shape {
    fn read(schema: &Value, root: &Value) -> Self {
        let schema = resolve(schema, root);
        if let Some(choices) = choices(schema) {
            return Self::Choice(choices);
        }
        if let Some(keys) = schema.get("properties").and_then(Value::as_object) {
            let keys = keys.iter().map(|(name, schema)| (name.clone(), Key::read(schema, root))).collect();
            return Self::Table { keys, required: strings(schema.get("required")) };
        }
        if let Some(items) = schema.get("items") {
            if strings(schema.get("type")).iter().any(|name| name == "string") {
                return Self::OneOrMany;
            }
            return Self::Array(Box::new(Self::read(items, root)));
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            return Self::Map(Box::new(Self::read(values, root)));
        }
        let number = |name: &str| schema.get(name).and_then(Value::as_f64);
        Self::Scalar {
            types: strings(schema.get("type")).into_iter().filter(|name| name != "null").collect(),
            minimum: number("minimum"),
            maximum: number("maximum"),
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Table { .. } | Self::Map(_) => "a table".to_owned(),
            Self::Array(_) => "an array".to_owned(),
            Self::OneOrMany => "a string or an array of strings".to_owned(),
            Self::Choice(choices) => format!("one of {}", list(choices)),
            Self::Scalar { types, .. } => {
                let names = types.iter().map(|name| match name.as_str() {
                    "string" => "a string",
                    "integer" => "a whole number",
                    "number" => "a number",
                    "boolean" => "true or false",
                    other => other,
                });
                names.collect::<Vec<_>>().join(" or ")
            }
        }
    }
}

impl Key {
    fn read(schema: &Value, root: &Value) -> Self {
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        Self {
            shape: Shape::read(schema, root),
            default: schema.get("default").cloned().unwrap_or(Value::Null),
            description: description.to_owned(),
        }
    }
}

/// Follows references, and sees through the `null` of what is optional.
fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/")) {
        return root.get("$defs").and_then(|defs| defs.get(name)).map_or(schema, |schema| resolve(schema, root));
    }
    let any_of = schema.get("anyOf").and_then(Value::as_array);
    match any_of.and_then(|any| any.iter().find(|schema| schema.get("type").and_then(Value::as_str) != Some("null"))) {
        Some(schema) => resolve(schema, root),
        None => schema,
    }
}

fn choices(schema: &Value) -> Option<Vec<String>> {
    if let Some(words) = schema.get("enum") {
        return Some(strings(Some(words)));
    }
    let alternatives = schema.get("oneOf")?.as_array()?;
    let words = alternatives.iter().flat_map(|one| match one.get("const") {
        Some(word) => strings(Some(word)),
        None => strings(one.get("enum")),
    });
    Some(words.collect())
}

fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(word)) => vec![word.clone()],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn list(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

impl Walk<'_> {
    fn table(&mut self, shape: &Shape, table: &mut DeTable<'_>, path: &str, at: &std::ops::Range<usize>) {
        let (mut unfit, mut misspelt) = (Vec::new(), Vec::new());
        for (key, value) in table.iter_mut() {
            let name = key.get_ref().as_ref();
            let full = join(path, name);
            let inner = match shape {
                Shape::Table { keys, .. } => keys.get(name).map(|key| &key.shape),
                Shape::Map(values) => Some(&**values),
                _ => None,
            };
            let fits = match inner {
                Some(inner) => self.value(inner, value, &full, key.span()),
                None => {
                    misspelt.extend(self.unknown(shape, name, &full, key.span()));
                    false
                }
            };
            if !fits {
                unfit.push(name.to_owned());
            }
        }
        if let Shape::Table { required, .. } = shape {
            let missing = required.iter().filter(|name| !table.contains_key(name.as_str()));
            // A slip of the keyboard is one mistake, not two.
            for missing in missing.filter(|name| !misspelt.contains(name)) {
                let full = join(path, missing);
                self.problem(at.clone(), &full, "is missing, and has no default", None);
            }
        }
        for name in unfit {
            self.places.remove(&join(path, &name));
            table.remove(name.as_str());
        }
    }

    /// Reports a key that does not exist; the key that was probably meant.
    fn unknown(&mut self, shape: &Shape, name: &str, full: &str, at: std::ops::Range<usize>) -> Option<String> {
        let Shape::Table { keys, .. } = shape else { return None };
        let near = nearest(name, keys.keys().map(String::as_str));
        let reason = match near {
            Some(_) => "no such key".to_owned(),
            None => format!("no such key; there are {}", list(&keys.keys().cloned().collect::<Vec<_>>())),
        };
        self.problem(at, full, reason, near);
        near.map(str::to_owned)
    }

    /// True if `value` fits, its unfit parts taken out.
    fn value(
        &mut self,
        shape: &Shape,
        value: &mut Spanned<DeValue<'_>>,
        path: &str,
        key: std::ops::Range<usize>,
    ) -> bool {
        let span = value.span();
        self.places.insert(path.to_owned(), Place { key: key.clone(), value: span.clone() });
        let kind = value.get_ref().type_str();
        match (shape, value.get_mut()) {
            (Shape::Table { .. } | Shape::Map(_), DeValue::Table(table)) => {
                self.table(shape, table, path, &key);
                true
            }
            (Shape::Array(inner), DeValue::Array(items)) => {
                let mut fitting = 0;
                for (index, item) in items.iter_mut().enumerate() {
                    let at = item.span();
                    if self.value(inner, item, &element(path, index), at) && fitting == index {
                        fitting += 1;
                    }
                }
                // Cut, not closed up: what stays must keep its index, by which its place is known.
                *items = std::mem::replace(items, DeArray::new()).into_iter().take(fitting).collect();
                true
            }
            (Shape::OneOrMany, DeValue::String(_)) => true,
            (Shape::OneOrMany, DeValue::Array(_)) => {
                let word = Shape::Scalar { types: vec!["string".to_owned()], minimum: None, maximum: None };
                self.value(&Shape::Array(Box::new(word)), value, path, key)
            }
            (Shape::Choice(choices), DeValue::String(word)) => {
                let fits = choices.iter().any(|choice| choice == word.as_ref());
                if !fits {
                    let near = nearest(word, choices.iter().map(String::as_str));
                    self.problem(span, path, format!("`{word}` is not {}", shape.expected()), near);
                }
                fits
            }
            (Shape::Scalar { types, minimum, maximum }, scalar) => {
                let Some(number) = scalar_fits(types, scalar) else {
                    self.problem(span, path, format!("must be {}, not {}", shape.expected(), with_article(kind)), None);
                    return false;
                };
                self.in_range(number, (*minimum, *maximum), path, span)
            }
            _ => {
                self.problem(span, path, format!("must be {}, not {}", shape.expected(), with_article(kind)), None);
                false
            }
        }
    }

    fn in_range(
        &mut self,
        number: Option<f64>,
        (minimum, maximum): (Option<f64>, Option<f64>),
        path: &str,
        span: std::ops::Range<usize>,
    ) -> bool {
        let Some(number) = number else { return true };
        let fits = minimum.is_none_or(|least| number >= least) && maximum.is_none_or(|most| number <= most);
        if !fits {
            let reason = match (minimum, maximum) {
                (Some(least), Some(most)) => format!("must lie between {least} and {most}"),
                (Some(least), None) => format!("must be at least {least}"),
                (_, most) => format!("must be at most {}", most.unwrap_or_default()),
            };
            self.problem(span, path, reason, None);
        }
        fits
    }

    fn problem(&mut self, at: std::ops::Range<usize>, path: &str, reason: impl Into<String>, near: Option<&str>) {
        self.problems.push(Problem::at(self.source, Some(at), path, reason).with_nearest(near));
    }
}

/// `None` if it is none of the types; otherwise its number, if it is one.
fn scalar_fits(types: &[String], value: &DeValue<'_>) -> Option<Option<f64>> {
    let is = |name: &str| types.iter().any(|known| known == name);
    match value {
        DeValue::String(_) if is("string") => Some(None),
        DeValue::Boolean(_) if is("boolean") => Some(None),
        DeValue::Integer(number) if is("integer") || is("number") => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| Some(number as f64))
        }
        DeValue::Float(number) if is("number") => {
            number.as_str().parse().ok().filter(|number: &f64| number.is_finite()).map(Some)
        }
        _ => None,
    }
}

fn with_article(kind: &str) -> String {
    match kind {
        "integer" | "array" | "inline table" => format!("an {kind}"),
        other => format!("a {other}"),
    }
}

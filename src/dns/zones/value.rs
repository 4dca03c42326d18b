//! What a list says about its entries: return codes and texts, each kept once however many entries share it.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Stands for the value of an excluded entry.
pub(super) const EXCLUDED: u32 = u32::MAX;

/// Values that one question may bring; a list with more for one entry has them by mistake.
const MOST_AT_ONCE: usize = 16;

/// The strings of one TXT record of a list, joined, are at most so long: one string of DNS.
const LONGEST_TEXT: usize = 255;

/// Stands for "no text".
const NO_TEXT: u32 = u32::MAX;

/// A return code and a text; 8 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Value {
    code: Ipv4Addr,
    text: u32,
}

/// All values of a zone. A number below the count of values is that value; from there on it is a set of them.
#[derive(Debug, Default)]
pub(super) struct Values {
    values: Vec<Value>,
    texts: Texts,
    sets: Vec<Box<[u32]>>,
    variables: [Option<Box<str>>; 10],
    frame: Option<Box<str>>,
}

/// Texts end to end.
#[derive(Debug, Default)]
struct Texts {
    text: String,
    ends: Vec<u32>,
}

/// Collects the values of a zone while it is read.
#[derive(Debug, Default)]
pub(super) struct Interner {
    values: Values,
    by_value: HashMap<Value, u32>,
    by_text: HashMap<Box<str>, u32>,
    by_set: HashMap<Box<[u32]>, u32>,
}

impl Interner {
    /// The number of a value; the same for the same.
    pub(super) fn value(&mut self, code: Ipv4Addr, text: &str) -> u32 {
        let text = if text.is_empty() { NO_TEXT } else { self.text(text) };
        let (value, next) = (Value { code, text }, number(self.values.values.len()));
        *self.by_value.entry(value).or_insert_with(|| {
            self.values.values.push(value);
            next
        })
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(known) = self.by_text.get(text) {
            return *known;
        }
        let new = number(self.values.texts.ends.len());
        self.values.texts.text.push_str(text);
        self.values.texts.ends.push(number(self.values.texts.text.len()));
        self.by_text.insert(text.into(), new);
        new
    }

    /// The number of a set of values (ascending). Ask when all values are known.
    pub(super) fn set(&mut self, mut numbers: impl Iterator<Item = u32>) -> Option<u32> {
        let first = numbers.next()?;
        let mut all = vec![first];
        all.extend(numbers.take(MOST_AT_ONCE - 1));
        if all.len() == 1 {
            return Some(first);
        }
        let next = number(self.values.values.len() + self.values.sets.len());
        let all = all.into_boxed_slice();
        if let Some(known) = self.by_set.get(&all) {
            return Some(*known);
        }
        self.values.sets.push(all.clone());
        self.by_set.insert(all, next);
        Some(next)
    }

    /// The code of a value.
    pub(super) fn code(&self, value: u32) -> Option<Ipv4Addr> {
        self.values.values.get(value as usize).map(|value| value.code)
    }

    /// `$0` to `$9`.
    pub(super) fn set_variable(&mut self, digit: usize, text: &str) {
        if let Some(variable) = self.values.variables.get_mut(digit) {
            *variable = Some(text.into());
        }
    }

    /// The text around every text.
    pub(super) fn set_frame(&mut self, text: &str) {
        self.values.frame = Some(text.into());
    }

    pub(super) fn finish(self) -> Values {
        let mut values = self.values;
        values.values.shrink_to_fit();
        values.sets.shrink_to_fit();
        values.texts.text.shrink_to_fit();
        values.texts.ends.shrink_to_fit();
        values
    }
}

impl Values {
    fn members(&self, set: u32) -> Vec<Value> {
        let set = set as usize;
        match self.values.get(set) {
            Some(value) => vec![*value],
            None => {
                let numbers = self.sets.get(set - self.values.len());
                numbers.into_iter().flatten().filter_map(|number| self.values.get(*number as usize)).copied().collect()
            }
        }
    }

    /// The return codes of a set, each once.
    pub(super) fn codes(&self, set: u32) -> Arc<[Ipv4Addr]> {
        let mut codes: Vec<Ipv4Addr> = Vec::new();
        for value in self.members(set) {
            if !codes.contains(&value.code) {
                codes.push(value.code);
            }
        }
        codes.into()
    }

    /// The texts of a set, about `subject`, each once.
    pub(super) fn texts(&self, set: u32, subject: &str) -> Arc<[Arc<str>]> {
        let mut texts: Vec<Arc<str>> = Vec::new();
        for value in self.members(set) {
            let Some(template) = self.texts.get(value.text) else { continue };
            let text = self.expand(template, subject);
            if !texts.iter().any(|other| **other == *text) {
                texts.push(text.into());
            }
        }
        texts.into()
    }

    /// Memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        let sets: usize = self.sets.iter().map(|set| size_of_val(&**set) + size_of_val(set)).sum();
        let texts = self.texts.text.capacity() + self.texts.ends.capacity() * size_of::<u32>();
        self.values.capacity() * size_of::<Value>() + sets + texts
    }

    /// `$` is the subject, `$$` a dollar, `$0` to `$9` variables, `$=` in the frame the text itself; a
    /// text that begins with `=` goes without the frame.
    fn expand(&self, template: &str, subject: &str) -> String {
        let (outer, inner) = match (template.strip_prefix('='), &self.frame) {
            (Some(bare), _) => (bare, ""),
            (None, Some(frame)) => (&**frame, template),
            (None, None) => (template, ""),
        };
        let mut out = String::with_capacity(outer.len() + subject.len());
        self.substitute(outer, subject, Some(inner), &mut out);
        let mut end = out.len().min(LONGEST_TEXT);
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        out
    }

    fn substitute(&self, template: &str, subject: &str, inner: Option<&str>, out: &mut String) {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let next = after.chars().next();
            let variable = next.and_then(|digit| digit.to_digit(10));
            let variable = variable.and_then(|digit| self.variables.get(digit as usize)?.as_deref());
            rest = match (next, variable, inner) {
                (Some('$'), ..) => {
                    out.push('$');
                    after.get(1..)
                }
                (Some('='), _, Some(inner)) => {
                    self.substitute(inner, subject, None, out);
                    after.get(1..)
                }
                (_, Some(variable), _) => {
                    out.push_str(variable);
                    after.get(1..)
                }
                _ => {
                    out.push_str(subject);
                    Some(after)
                }
            }
            .unwrap_or_default();
        }
        out.push_str(rest);
    }
}

impl Texts {
    fn get(&self, index: u32) -> Option<&str> {
        let index = index as usize;
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |start| *start as usize);
        self.text.get(start..end)
    }
}

/// Files are bounded far below 4 GiB, and an entry takes more than one octet of them.
fn number(count: usize) -> u32 {
    u32::try_from(count).expect("zone files are bounded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_speak_of_what_was_asked() {
        let mut interner = Interner::default();
        interner.set_variable(1, "example.org");
        let plain = interner.finish();
        for (template, text) in [
            ("listed", "listed"),
            ("see https://$1/?ip=$", "see https://example.org/?ip=192.0.2.1"),
            ("costs 5 $$", "costs 5 $"),
            ("$ and $", "192.0.2.1 and 192.0.2.1"),
            ("$7", "192.0.2.17"),
            ("$", "192.0.2.1"),
            ("=bare", "bare"),
            ("", ""),
        ] {
            assert_eq!(plain.expand(template, "192.0.2.1"), text, "{template}");
        }
        assert_eq!(plain.expand(&"é".repeat(200), "").len(), 254, "cut between characters");
    }

    #[test]
    fn a_frame_stands_around_texts_that_do_not_refuse_it() {
        let mut interner = Interner::default();
        interner.set_frame("[$] $= ($$)");
        let framed = interner.finish();
        for (template, text) in
            [("relay", "[x] relay ($)"), ("$ sends $= spam", "[x] x sends x= spam ($)"), ("=alone", "alone")]
        {
            assert_eq!(framed.expand(template, "x"), text, "{template}");
        }
    }

    #[test]
    fn equal_values_are_one() {
        let mut interner = Interner::default();
        let code = Ipv4Addr::new(127, 0, 0, 2);
        let first = interner.value(code, "a");
        let second = interner.value(code, "b");
        assert_eq!(interner.value(code, "a"), first);
        let both = interner.set([first, second].into_iter()).expect("not empty");
        assert_eq!(interner.set([first, second].into_iter()), Some(both));
        assert_eq!(interner.set([second].into_iter()), Some(second));
        assert_eq!(interner.set(std::iter::empty()), None);
        let values = interner.finish();
        assert_eq!(&*values.codes(both), [code]);
        assert_eq!(&*values.texts(both, "x"), ["a", "b"].map(Arc::<str>::from));
    }
}

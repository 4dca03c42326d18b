//! Takes out of a record what nobody is to read.

use super::lines::Lines;
use super::record::Record;
use crate::smtp::reply::MAX_LOG;

/// What stands in the place of a local part.
const HIDDEN: &str = "*";
/// Evidence is cut behind so many characters.
const LONGEST_EVIDENCE: usize = 200;
/// A reply is cut before a character that does not fit as it is written; `\u{10ffff}` is the longest.
const LONGEST_REPLY: usize = MAX_LOG - 9;

/// What is taken out before a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redact {
    /// Subjects.
    pub subjects: bool,
    /// What stands before the `@` of addresses, wherever they are, and the names of users.
    pub local_parts: bool,
}

impl Default for Redact {
    fn default() -> Self {
        Self { subjects: true, local_parts: false }
    }
}

impl Redact {
    /// Takes out of `record` what is not to be read.
    pub(super) fn apply(self, record: &mut Record) {
        if self.subjects
            && let Some(message) = &mut record.message
        {
            message.subject = None;
        }
        if !self.local_parts {
            return;
        }
        let names = Names::of(record);
        if let Some(envelope) = &mut record.envelope {
            hide(&mut envelope.reverse_path);
            envelope.recipients.iter_mut().for_each(|recipient| hide(&mut recipient.forward_path));
        }
        if let Some(user) = &mut record.client.user {
            *user = user.rsplit_once('@').map_or(HIDDEN.to_owned(), |(_, domain)| format!("{HIDDEN}@{domain}"));
        }
        if let Some(subject) = record.message.as_mut().and_then(|message| message.subject.as_mut()) {
            hide(subject);
        }
        for refusal in &mut record.judgement.refusals {
            refusal.forward_path.as_mut().into_iter().for_each(hide);
            names.hide_in(&mut refusal.reply, LONGEST_REPLY);
            names.hide_in_lines(&mut refusal.lines);
        }
        names.hide_in_lines(&mut record.judgement.lines);
        names.hide_in(&mut record.fate.reply, LONGEST_REPLY);
    }
}

/// Names of people whom a record is about, as they may stand somewhere without an `@` behind them.
struct Names(Vec<String>);

impl Names {
    fn of(record: &Record) -> Self {
        let path = record.envelope.as_ref().map(|envelope| envelope.reverse_path.as_str());
        let users = record.client.user.as_deref();
        let users = users.into_iter().flat_map(|user| [Some(user), user.rsplit_once('@').map(|(name, _)| name)]);
        let addresses = path.into_iter().chain(record.forward_paths());
        let locals = addresses.map(|address| address.rsplit_once('@').map(|(local, _)| local));
        let mut names: Vec<String> = Vec::new();
        for name in users.chain(locals).flatten() {
            // As written, and without the quotes that a local part may have.
            let bare = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
            let both = [name, bare].map(in_lower_case);
            names.extend(both.into_iter().filter(|name| !name.is_empty()));
        }
        // The longest first: one name may be the beginning of another.
        names.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        names.dedup();
        Self(names)
    }

    fn hide_in_lines(&self, lines: &mut Lines) {
        for line in &mut lines.0 {
            line.reason.as_mut().into_iter().for_each(|reason| self.hide_in(reason, usize::MAX));
            line.findings.iter_mut().for_each(|finding| self.hide_in(&mut finding.evidence, LONGEST_EVIDENCE));
        }
    }

    /// Hides them in `text`, and the local part of every address. A text of `longest` characters may have been cut off
    /// in the middle of one.
    fn hide_in(&self, text: &mut String, longest: usize) {
        let is_cut = text.chars().nth(longest - 1).is_some();
        hide(text);
        if is_cut {
            text.truncate(word_at_end(text));
            text.push_str(HIDDEN);
        }
        let lower = in_lower_case(text);
        let names: Vec<&String> = self.0.iter().filter(|name| lower.contains(*name)).collect();
        if names.is_empty() {
            return;
        }
        let mut hidden = String::with_capacity(text.len());
        let mut rest = text.as_str();
        let mut is_within_word = false;
        while let Some(next) = rest.chars().next() {
            let name = names.iter().filter(|_| !is_within_word).find_map(|name| ends_at(rest, name));
            let taken = name.unwrap_or(next.len_utf8());
            hidden.push_str(name.map_or(rest.get(..taken).unwrap_or_default(), |_| HIDDEN));
            is_within_word = name.is_none() && next.is_alphanumeric();
            rest = rest.get(taken..).unwrap_or_default();
        }
        *text = hidden;
    }
}

/// Letter by letter, as [`ends_at`] compares.
fn in_lower_case(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Where `name`, which is in lower case, ends in `text`, if that begins with it as a word of its own.
fn ends_at(text: &str, name: &str) -> Option<usize> {
    let mut wanted = name.chars();
    let mut end = 0;
    let mut is_done = false;
    for character in text.chars() {
        if is_done {
            return (!character.is_alphanumeric()).then_some(end);
        }
        if character.to_lowercase().any(|lower| wanted.next() != Some(lower)) {
            return None;
        }
        end += character.len_utf8();
        is_done = wanted.as_str().is_empty();
    }
    is_done.then_some(end)
}

/// Hides the local part of every address in `text`; quoted ones too.
fn hide(text: &mut String) {
    if !text.contains('@') {
        return;
    }
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, behind)) = rest.split_once('@') {
        hidden.push_str(before.get(..local_part(before)).unwrap_or_default());
        hidden.push_str(HIDDEN);
        hidden.push('@');
        rest = behind;
    }
    hidden.push_str(rest);
    *text = hidden;
}

/// Where the local part begins that `text` ends with.
fn local_part(text: &str) -> usize {
    if text.ends_with('"') {
        // A quoted string, back to the quote that begins it; a text without one is hidden whole.
        let mut quotes = text.rmatch_indices('"').skip(1).map(|(at, _)| at);
        let is_escaped = |at: usize| {
            let before = text.get(..at).unwrap_or_default();
            (before.len() - before.trim_end_matches('\\').len()) % 2 == 1
        };
        return quotes.find(|at| !is_escaped(*at)).unwrap_or_default();
    }
    // Of what is not ASCII anything may be part of it (RFC 6531), marks that belong to the letter before, too.
    let is_part = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    text.trim_end_matches(is_part).len()
}

/// Where a word begins that `text` ends with, or a quoted string that has no end.
fn word_at_end(text: &str) -> usize {
    let mut escaped = false;
    let quotes = text.char_indices().filter(|&(_, c)| {
        let is_quote = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_quote
    });
    let quotes: Vec<usize> = quotes.map(|(at, _)| at).collect();
    let open = quotes.last().copied().filter(|_| quotes.len() % 2 == 1);
    open.unwrap_or(text.len()).min(local_part(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_local_part_is_left() {
        for (text, expected) in [
            ("ann@example.org", "*@example.org"),
            ("550 <ann.b+c@example.org>: no", "550 <*@example.org>: no"),
            ("a@b.example, c@d.example", "*@b.example, *@d.example"),
            ("\"ann b\"@example.org", "*@example.org"),
            ("münchen@example.org", "*@example.org"),
            ("a@b@c.example", "*@*@c.example"),
            ("\"ann\\\"b\"@example.org", "*@example.org"),
            ("550 \"ann\\\\\"@example.org: no", "550 *@example.org: no"),
            ("rene\u{301}@example.org", "*@example.org"),
            ("nobody here", "nobody here"),
            ("", ""),
        ] {
            let mut hidden = text.to_owned();
            hide(&mut hidden);
            assert_eq!(hidden, expected, "{text}");
        }
    }

    #[test]
    fn no_name_of_a_sender_a_recipient_or_a_user_is_left() {
        let names = Names(["ann.b", "ann", "\"bob k\"", "bob k"].map(str::to_owned).to_vec());
        let long = |text: &str| format!("{} {text}", "x".repeat(199 - text.chars().count()));
        for (text, expected) in [
            ("user:ann: password stolen".to_owned(), "user:*: password stolen".to_owned()),
            ("Ann of ann.b@other.example".to_owned(), "* of *@other.example".to_owned()),
            ("joanna and annie".to_owned(), "joanna and annie".to_owned()),
            ("from Bob K, \"bob k\"".to_owned(), "from *, *".to_owned()),
            (long("of a.very.long.local.par"), long("of a.very.long.local.par").replace("a.very.long.local.par", "*")),
            (long("of \"a very lo"), long("of \"a very lo").replace("\"a very lo", "*")),
            ("short of it".to_owned(), "short of it".to_owned()),
        ] {
            let mut hidden = text.clone();
            names.hide_in(&mut hidden, LONGEST_EVIDENCE);
            assert_eq!(hidden, expected, "{text}");
        }
    }
}

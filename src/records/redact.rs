//! Takes out of a record what nobody is to read.

use super::lines::Lines;
use super::record::Record;

/// What stands in the place of a local part.
const HIDDEN: &str = "*";

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
            hide(&mut refusal.reply);
            hide_in_lines(&mut refusal.lines);
        }
        hide_in_lines(&mut record.judgement.lines);
        hide(&mut record.fate.reply);
    }
}

fn hide_in_lines(lines: &mut Lines) {
    for line in &mut lines.0 {
        line.reason.as_mut().into_iter().for_each(hide);
        line.findings.iter_mut().for_each(|finding| hide(&mut finding.evidence));
    }
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
        let before = text.get(..text.len() - 1).unwrap_or_default();
        return before.rfind('"').unwrap_or_default();
    }
    let is_part = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    text.trim_end_matches(is_part).len()
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
            ("nobody here", "nobody here"),
            ("", ""),
        ] {
            let mut hidden = text.to_owned();
            hide(&mut hidden);
            assert_eq!(hidden, expected, "{text}");
        }
    }
}

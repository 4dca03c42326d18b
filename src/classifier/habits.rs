//! How a message is written: what people and programs do the same way in each message, whatever it says.

use super::features::{Features, Place, clip, shape};
use crate::message::Model;

/// Fields whose spelling and order programs choose, and no receiving server changes.
const ORDERED: &[&str] = &[
    "cc",
    "content-disposition",
    "content-language",
    "content-transfer-encoding",
    "content-type",
    "date",
    "dkim-signature",
    "errors-to",
    "from",
    "importance",
    "in-reply-to",
    "list-id",
    "list-unsubscribe",
    "message-id",
    "mime-version",
    "organization",
    "precedence",
    "references",
    "reply-to",
    "sender",
    "subject",
    "to",
    "user-agent",
    "x-mailer",
    "x-mimeole",
    "x-msmail-priority",
    "x-priority",
];
/// Fields that are looked at.
const FIELDS: usize = 60;
/// Tags whose order counts.
const TAGS: usize = 200;
/// Octets of a name of a tag.
const TAG: usize = 11;
/// Words of a subject whose spelling counts.
const SPELLED: usize = 30;
/// Parts of the tree that count.
const PARTS: usize = 12;

impl Features {
    /// Order and spelling of fields, forms of the subject, of dates and of names, the tree of parts, and what follows
    /// what in HTML.
    pub(super) fn habits(&mut self, model: &Model) {
        self.order_of_fields(model);
        for field in model.fields.iter().take(FIELDS) {
            match field.name.to_ascii_lowercase().as_str() {
                "subject" => self.spelling(&field.value),
                "date" => self.form_of_date(&field.value),
                "message-id" => {
                    self.fact(Place::Header, &format!("message-id as {}", clip(&shape(&field.value))));
                    self.fact(Place::Header, &format!("message-id of {}", clip(&runs(&field.value))));
                }
                _ => {}
            }
        }
        let tree: Vec<&str> = model.parts.iter().take(PARTS).map(|part| &*part.content_type).collect();
        self.fact(Place::Structure, &format!("parts {}", tree.join(" ")));
        for text in model.texts.iter().filter(|text| text.is_html && text.is_shown) {
            self.order_of_tags(&text.source);
        }
        self.lines(&model.shown);
    }

    fn order_of_fields(&mut self, model: &Model) {
        let mut last: Option<String> = None;
        for field in model.fields.iter().take(FIELDS) {
            let name = field.name.to_ascii_lowercase();
            if ORDERED.binary_search(&name.as_str()).is_err() {
                continue;
            }
            self.fact(Place::Header, &format!("spelled {}", field.name));
            if let Some(last) = last.replace(name.clone()) {
                self.fact(Place::Header, &format!("{last}, then {name}"));
            }
        }
    }

    fn spelling(&mut self, subject: &str) {
        for word in subject.split_whitespace().take(SPELLED) {
            if word.contains(|character: char| character.is_ascii_uppercase()) {
                self.fact(Place::Subject, &format!("spelled {}", clip(word)));
            }
        }
        let letters = subject.chars().filter(|character| character.is_alphabetic()).count();
        if letters > 4 {
            let large = subject.chars().filter(|character| character.is_uppercase()).count();
            self.fact(Place::Subject, &format!("capitals {} of 5", large * 5 / letters));
        }
        self.fact(Place::Subject, &format!("dozens of letters: {}", (subject.len() / 12).min(20)));
        if subject.contains("  ") {
            self.fact(Place::Subject, "blanks in a row");
        }
    }

    /// How it is written and where its clock is; not when.
    fn form_of_date(&mut self, date: &str) {
        let mut form = String::new();
        for character in date.chars().take(64) {
            let class = match character {
                '0'..='9' => '0',
                'a'..='z' | 'A'..='Z' => 'a',
                other => other,
            };
            if !form.ends_with(class) {
                form.push(class);
            }
        }
        self.fact(Place::Header, &format!("date as {form}"));
        let zone: Vec<&str> = date.split_whitespace().skip(5).collect();
        self.fact(Place::Header, &format!("zone {}", clip(&zone.join(" "))));
    }

    fn order_of_tags(&mut self, source: &str) {
        let mut last: Option<String> = None;
        for tag in source.split('<').skip(1).take(TAGS) {
            let name: String = tag
                .chars()
                .take_while(|character| character.is_ascii_alphanumeric() || matches!(character, '/' | '!'))
                .take(TAG + 1)
                .collect();
            if name.is_empty() || name.len() > TAG {
                continue;
            }
            if let Some(last) = last.replace(name.clone()) {
                self.fact(Place::Structure, &format!("<{last}, then <{name}"));
            }
        }
    }

    fn lines(&mut self, shown: &str) {
        let quoted = shown.lines().filter(|line| line.starts_with('>')).count();
        if quoted > 0 {
            self.fact(Place::Structure, &format!("quoted lines ~2^{}", quoted.ilog2()));
        }
        let longest = shown.lines().map(str::len).max().unwrap_or(0).max(1);
        self.fact(Place::Structure, &format!("longest line ~2^{}", longest.ilog2()));
    }
}

/// The form of a name that a program has made: hexadecimal digits told from other letters, runs by whether they are
/// long.
fn runs(name: &str) -> String {
    let mut runs = String::new();
    let (mut last, mut length) = (None, 0);
    for character in name.chars().take(80).map(Some).chain([None]) {
        let class = character.map(|character| match character {
            '0'..='9' => '0',
            'a'..='f' => 'a',
            'g'..='z' => 'z',
            'A'..='F' => 'A',
            'G'..='Z' => 'Z',
            other => other,
        });
        if class == last {
            length += 1;
            continue;
        }
        runs.extend(last);
        if length > 7 {
            runs.push('+');
        }
        (last, length) = (class, 1);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_programs_make_have_a_form() {
        for (name, form) in [("20021122a@x", "0+a@z"), ("AAAA.0011", "A.0"), ("goon", "z"), ("", "")] {
            assert_eq!(runs(name), form, "{name}");
        }
    }

    #[test]
    fn names_of_fields_are_in_order() {
        assert!(ORDERED.is_sorted());
    }
}

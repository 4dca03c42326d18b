//! Mailboxes as people see them: decoded names, domains as DNS has them.

use std::sync::Arc;

use crate::message::address::{self, Address, Mailbox, domain_name};
use crate::message::decoded;
use crate::units::registered_domain;

/// Mailboxes of one target that are kept: of all fields of one name, or of the envelope.
pub(super) const MOST: usize = 2000;
/// Octets of a display name that are kept.
const NAME_MOST: usize = 1024;
/// Octets of a local part that are kept; RFC 5321 (4.5.3.1.1) has 64.
const LOCAL_MOST: usize = 256;
/// Octets of a domain; of what is longer, and so is none, the end is kept.
const DOMAIN_MOST: usize = 253;

/// One mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// The beginning of the display name, decoded; empty if there is none. The mailboxes of a field that has no one
    /// reading share one.
    pub(super) name: Arc<str>,
    /// What stands before the `@`, quotes taken off.
    pub(super) local: String,
    /// The domain in A-labels and lower case where it is one; as written otherwise.
    pub(super) domain: String,
}

impl Shown {
    /// The registered domain; empty if there is none.
    pub(super) fn registered(&self) -> &str {
        registered_domain(&self.domain).unwrap_or_default()
    }
}

/// The mailboxes of paths of the envelope.
pub(super) fn of_paths<'p>(paths: impl IntoIterator<Item = &'p str>) -> Vec<Shown> {
    let split = |path: &'p str| {
        let (local, domain) = path.rsplit_once('@')?;
        Some(shown(Arc::default(), local, domain))
    };
    paths.into_iter().filter_map(split).collect()
}

/// The mailboxes of a field: what has one reading, otherwise every one that somebody could see, with the name
/// that stands before the first.
pub(super) fn of_field(raw: &[u8], value: &str) -> Vec<Shown> {
    match address::parse(raw) {
        Ok(list) => {
            let mailboxes = list.into_iter().flat_map(|address| match address {
                Address::Mailbox(mailbox) => mailbox.into_iter().collect::<Vec<_>>(),
                Address::Group(members) => members,
            });
            let shown = |mailbox: Mailbox| shown(name(&mailbox.name), &mailbox.local, &mailbox.domain);
            mailboxes.take(MOST).map(shown).collect()
        }
        Err(_) => {
            let name = name(value.rsplit_once('<').map_or(value, |(before, _)| before));
            let claims = address::claims(raw).unwrap_or_else(|| readable(raw));
            if claims.is_empty() {
                return vec![Shown { name, ..Shown::default() }];
            }
            let shown = |mailbox: Mailbox| shown(name.clone(), &mailbox.local, &mailbox.domain);
            claims.into_iter().take(MOST).map(shown).collect()
        }
    }
}

fn readable(raw: &[u8]) -> Vec<Mailbox> {
    let of = |domain| Mailbox { name: String::new(), local: String::new(), domain };
    address::readable(raw).into_iter().map(of).collect()
}

fn shown(name: Arc<str>, local: &str, domain: &str) -> Shown {
    let local = local.strip_prefix('"').and_then(|local| local.strip_suffix('"')).unwrap_or(local);
    let domain = domain_name(domain).unwrap_or_else(|| end_of(domain).to_lowercase());
    Shown { name, local: beginning_of(local, LOCAL_MOST).to_owned(), domain }
}

/// Encoded words (RFC 2047) decoded, quotes taken off, white space collapsed.
fn name(written: &str) -> Arc<str> {
    let bare = written.trim().trim_matches('"');
    let name = decoded(bare.as_bytes()).split_whitespace().collect::<Vec<_>>().join(" ");
    beginning_of(&name, NAME_MOST).into()
}

fn beginning_of(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// Of what is no domain, because it is too long: its last labels, which say whose it would be.
fn end_of(domain: &str) -> &str {
    let from = domain.ceil_char_boundary(domain.len().saturating_sub(DOMAIN_MOST));
    let end = domain.get(from..).unwrap_or(domain);
    if from == 0 { end } else { end.split_once('.').map_or(end, |(_, labels)| labels) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_kept_once_and_in_part() {
        let text = format!("{}a@b.example c@d.example e@f.example", "word ".repeat(2000));
        let found = of_field(text.as_bytes(), &text);
        assert!(found.len() > 1, "{found:?}");
        for one in &found {
            assert!(Arc::ptr_eq(&one.name, &found[0].name) && one.name.len() <= NAME_MOST, "{}", one.name.len());
        }
        for written in [
            format!("x@{}evil.example", "a.".repeat(30_000)),
            format!("{} <x@{}evil.example>", "n".repeat(30_000), "a.".repeat(2_000)),
            format!("{}@evil.example", "x".repeat(30_000)),
        ] {
            for one in of_field(written.as_bytes(), &written) {
                assert!(one.name.len() <= NAME_MOST && one.local.len() <= LOCAL_MOST, "{one:?}");
                assert!(one.domain.len() <= DOMAIN_MOST && one.registered() == "evil.example", "{one:?}");
            }
        }
        let many = "a@b.example, ".repeat(3 * MOST);
        assert!(of_field(many.as_bytes(), &many).len() <= MOST);
    }

    #[test]
    fn no_label_of_a_long_domain_is_cut() {
        let fits = format!("{}example", "a.".repeat(100));
        assert_eq!(end_of(&fits), fits);
        assert_eq!(end_of(&format!("{}evil.{fits}", "x".repeat(60))), fits);
    }

    #[test]
    fn mailboxes_are_read_as_people_see_them() {
        type Read = (&'static str, &'static str, &'static str);
        let cases: [(&str, &[Read]); 8] = [
            (" PayPal <a@B.Example>", &[("PayPal", "a", "b.example")]),
            (" \"Pay, Pal\" <a@b.example>, c@d.example", &[("Pay, Pal", "a", "b.example"), ("", "c", "d.example")]),
            (" =?utf-8?B?UGF5UGFs?= <a@b.example>", &[("PayPal", "a", "b.example")]),
            (" =?utf-8?Q?P=C3=A4y?= =?utf-8?Q?Pal?= <a@b.example>", &[("PäyPal", "a", "b.example")]),
            (" \"x y\"@bücher.example", &[("", "x y", "xn--bcher-kva.example")]),
            (" friends: a@b.example, c@d.example;", &[("", "a", "b.example"), ("", "c", "d.example")]),
            (
                " PayPal service@paypal.test <a@b.example>",
                &[
                    ("PayPal service@paypal.test", "service", "paypal.test"),
                    ("PayPal service@paypal.test", "a", "b.example"),
                ],
            ),
            (" nobody", &[("nobody", "", "")]),
        ];
        for (written, expected) in cases {
            let found = of_field(written.as_bytes(), written);
            let found: Vec<_> = found.iter().map(|one| (&*one.name, &*one.local, &*one.domain)).collect();
            assert_eq!(found, expected, "{written}");
        }
    }
}

//! Mailboxes as people see them: decoded names, domains as DNS has them.

use crate::message::address::{self, Address, Mailbox, domain_name};
use crate::message::decoded;
use crate::units::registered_domain;

/// One mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// The display name, decoded; empty if there is none.
    pub(super) name: String,
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
        Some(shown(String::new(), local, domain))
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
            mailboxes.map(|mailbox| shown(name(&mailbox.name), &mailbox.local, &mailbox.domain)).collect()
        }
        Err(_) => {
            let name = name(value.rsplit_once('<').map_or(value, |(before, _)| before));
            let claims = address::claims(raw).unwrap_or_else(|| readable(raw));
            if claims.is_empty() {
                return vec![Shown { name, ..Shown::default() }];
            }
            claims.into_iter().map(|mailbox| shown(name.clone(), &mailbox.local, &mailbox.domain)).collect()
        }
    }
}

fn readable(raw: &[u8]) -> Vec<Mailbox> {
    let of = |domain| Mailbox { name: String::new(), local: String::new(), domain };
    address::readable(raw).into_iter().map(of).collect()
}

fn shown(name: String, local: &str, domain: &str) -> Shown {
    let local = local.strip_prefix('"').and_then(|local| local.strip_suffix('"')).unwrap_or(local);
    Shown { name, local: local.to_owned(), domain: domain_name(domain).unwrap_or_else(|| domain.to_lowercase()) }
}

/// Encoded words (RFC 2047) decoded, quotes taken off, white space collapsed.
fn name(written: &str) -> String {
    let bare = written.trim().trim_matches('"');
    decoded(bare.as_bytes()).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

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

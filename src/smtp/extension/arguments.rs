//! What stands behind EHLO keywords, as far as two servers must agree on it.

use super::Extension;
use crate::smtp::parameter;

/// The arguments are none that the extension has: nobody could say what is offered.
pub(super) struct Unreadable;

/// The bounds of LIMITS that we know (RFC 9422 4); servers may have others, which clients pass over.
const LIMITS: [&str; 3] = ["MAILMAX", "RCPTMAX", "RCPTDOMAINMAX"];

/// Reads the arguments of `extension`, in a form that can be compared; `None` if there are none, or none that count.
pub(super) fn read<'w>(
    extension: Extension,
    words: impl Iterator<Item = &'w str>,
) -> Result<Option<String>, Unreadable> {
    let words: Vec<&str> = words.collect();
    let text = match (extension, words.as_slice()) {
        // A fixed least time, or none (RFC 2852 4).
        (Extension::DeliverBy, []) => String::new(),
        (Extension::DeliverBy, [least]) => number(least).ok_or(Unreadable)?.to_string(),
        (Extension::FutureRelease, [interval, until]) => {
            let interval = number(interval).ok_or(Unreadable)?;
            let until = until.to_ascii_uppercase();
            if parameter::is_date_time(&until) { format!("{interval} {until}") } else { return Err(Unreadable) }
        }
        // The profile; without one it is MIXER (RFC 6710 5).
        (Extension::MtPriority, []) => String::new(),
        (Extension::MtPriority, [profile]) if profile.len() <= 20 => profile.to_ascii_uppercase(),
        (Extension::NoSoliciting, []) => String::new(),
        (Extension::NoSoliciting, [keywords]) if parameter::is_solicitation(keywords) => (*keywords).to_owned(),
        (Extension::Limits, words) => shown(words.iter().filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            let name = LIMITS.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
            Some((name, number(value).filter(|&limit| limit > 0)?))
        })),
        (Extension::DeliverBy | Extension::FutureRelease | Extension::MtPriority | Extension::NoSoliciting, _) => {
            return Err(Unreadable);
        }
        _ => String::new(),
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// What can be promised of two servers; `None` if nothing can.
pub(super) fn shared(extension: Extension, ours: &str, theirs: &str) -> Option<String> {
    match extension {
        _ if ours == theirs => Some(ours.to_owned()),
        // A time that is long enough for both.
        Extension::DeliverBy => {
            let least = |text: &str| number(text).unwrap_or(0);
            Some(least(ours).max(least(theirs)).to_string())
        }
        Extension::FutureRelease => {
            let (interval, until) = ours.split_once(' ')?;
            let (other_interval, other_until) = theirs.split_once(' ')?;
            let interval = number(interval)?.min(number(other_interval)?);
            // Times in UTC of one length are in order as texts are.
            let comparable = until.len() == other_until.len() && until.ends_with('Z') && other_until.ends_with('Z');
            (comparable || until == other_until).then(|| format!("{interval} {}", until.min(other_until)))
        }
        // The numbers of one profile mean something else in another.
        Extension::MtPriority => None,
        Extension::NoSoliciting => {
            let is_theirs = |word: &&str| theirs.split(',').any(|other| other.eq_ignore_ascii_case(word));
            Some(ours.split(',').filter(is_theirs).collect::<Vec<_>>().join(","))
        }
        Extension::Limits => {
            let closest = |name: &str| {
                let found = limits(ours).chain(limits(theirs)).filter(|(known, _)| *known == name);
                found.map(|(_, limit)| limit).min()
            };
            Some(shown(LIMITS.into_iter().filter_map(|name| Some((name, closest(name)?)))))
        }
        _ => Some(String::new()),
    }
}

/// The bounds in what [`read`] made of LIMITS.
pub(super) fn limits(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.split(' ').filter_map(|word| {
        let (name, limit) = word.split_once('=')?;
        Some((name, limit.parse().ok()?))
    })
}

fn shown<'n>(limits: impl Iterator<Item = (&'n str, u32)>) -> String {
    limits.map(|(name, limit)| format!("{name}={limit}")).collect::<Vec<_>>().join(" ")
}

/// One to nine digits.
fn number(text: &str) -> Option<u32> {
    let fits = (1..=9).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

//! Parameters of MAIL and RCPT: which extension defines each, and how it is written (RFC 5321 4.1.1.11).
//!
//! What a parameter asks for is the backend's to grant; here is only what anybody can tell by looking at it.

use super::extension::Extension;
use super::xtext;

/// The command that a parameter stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
}

/// A parameter that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The extension that defines it.
    pub extension: Extension,
    /// True if its value is written as that extension says.
    pub is_well_formed: bool,
}

/// Octets of ENVID, once decoded (RFC 3461 4.4).
const MAX_ENVID: usize = 100;
/// Octets of ORCPT (RFC 3461 4.2).
const MAX_ORCPT: usize = 500;
/// Octets of SOLICIT (RFC 3865 2.3).
const MAX_SOLICIT: usize = 1000;

/// The parameter `name` (any case) with this value; `None` if we do not know it there.
pub fn known(place: Place, name: &str, value: Option<&str>) -> Option<Known> {
    let (extension, is_well_formed) = match place {
        Place::Mail => of_mail(&name.to_ascii_uppercase(), value)?,
        Place::Rcpt => of_rcpt(&name.to_ascii_uppercase(), value)?,
    };
    Some(Known { extension, is_well_formed })
}

fn of_mail(name: &str, value: Option<&str>) -> Option<(Extension, bool)> {
    let fits = |test: fn(&str) -> bool| value.is_some_and(test);
    let one_of = |words: &[&str]| value.is_some_and(|value| words.iter().any(|word| word.eq_ignore_ascii_case(value)));
    Some(match name {
        "SIZE" => (Extension::Size, fits(|value| is_digits(value, 20))),
        "BODY" if one_of(&["BINARYMIME"]) => (Extension::BinaryMime, true),
        "BODY" => (Extension::EightBitMime, one_of(&["7BIT", "8BITMIME"])),
        "SMTPUTF8" => (Extension::SmtpUtf8, value.is_none()),
        "RET" => (Extension::Dsn, one_of(&["FULL", "HDRS"])),
        "ENVID" => (Extension::Dsn, fits(|value| xtext::len(value).is_some_and(|len| (1..=MAX_ENVID).contains(&len)))),
        "AUTH" => (Extension::Auth, fits(|value| xtext::len(value).is_some())),
        "BY" => (Extension::DeliverBy, fits(is_by)),
        "HOLDFOR" => (Extension::FutureRelease, fits(|value| is_digits(value, 9) && !value.starts_with('0'))),
        "HOLDUNTIL" => (Extension::FutureRelease, fits(is_date_time)),
        "MT-PRIORITY" => (Extension::MtPriority, fits(is_priority)),
        "REQUIRETLS" => (Extension::RequireTls, value.is_none()),
        "SOLICIT" => (Extension::NoSoliciting, fits(is_solicitation)),
        _ => return None,
    })
}

fn of_rcpt(name: &str, value: Option<&str>) -> Option<(Extension, bool)> {
    match name {
        "NOTIFY" => Some((Extension::Dsn, value.is_some_and(is_notify))),
        "ORCPT" => Some((Extension::Dsn, value.is_some_and(is_original_recipient))),
        _ => None,
    }
}

fn is_digits(value: &str, most: usize) -> bool {
    (1..=most).contains(&value.len()) && value.bytes().all(|octet| octet.is_ascii_digit())
}

/// by-time ";" by-mode [by-trace] (RFC 2852 4). What must be returned by then needs a time to come.
fn is_by(value: &str) -> bool {
    let Some((time, mode)) = value.split_once(';') else { return false };
    let digits = time.strip_prefix(['+', '-']).unwrap_or(time);
    let positive = !time.starts_with('-') && digits.bytes().any(|octet| octet != b'0');
    is_digits(digits, 9)
        && match mode.to_ascii_uppercase().as_str() {
            "N" | "NT" => true,
            "R" | "RT" => positive,
            _ => false,
        }
}

/// A number from -9 to 9 (RFC 6710 4).
fn is_priority(value: &str) -> bool {
    let digit = value.strip_prefix('-').unwrap_or(value);
    matches!(digit.as_bytes(), [b'1'..=b'9']) || value == "0"
}

/// NEVER, or reasons to tell (RFC 3461 4.1).
fn is_notify(value: &str) -> bool {
    let reasons = ["SUCCESS", "FAILURE", "DELAY"];
    let is_reason = |word: &str| reasons.iter().any(|reason| reason.eq_ignore_ascii_case(word));
    value.eq_ignore_ascii_case("NEVER") || value.split(',').all(is_reason)
}

/// addr-type ";" xtext (RFC 3461 4.2), or UTF-8 behind the type of that name (RFC 6533 3).
fn is_original_recipient(value: &str) -> bool {
    let Some((kind, address)) = value.split_once(';') else { return false };
    let is_type = !kind.is_empty() && kind.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    let is_address = match kind.eq_ignore_ascii_case("utf-8") {
        true => !address.is_empty(),
        false => xtext::len(address).is_some_and(|len| len > 0),
    };
    value.len() <= MAX_ORCPT && is_type && is_address
}

/// Keywords of solicitation, such as `net.example:ADV` (RFC 3865 2.2).
pub(super) fn is_solicitation(value: &str) -> bool {
    let is_keyword = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_alphabetic())
            && word.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-_:".contains(&octet))
    };
    value.len() <= MAX_SOLICIT && value.split(',').all(is_keyword)
}

/// A time as RFC 3339 5.6 writes it, such as `2026-11-21T23:00:00Z`; whether the calendar has it is not asked.
pub(super) fn is_date_time(value: &str) -> bool {
    let digits_at = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(octet, wanted)| match wanted {
                b'0' => octet.is_ascii_digit(),
                other => octet.eq_ignore_ascii_case(&other),
            })
    };
    let Some((moment, rest)) = value.split_at_checked("0000-00-00T00:00:00".len()) else { return false };
    let zone_at = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at(zone_at);
    let is_fraction = fraction.is_empty() || fraction.strip_prefix('.').is_some_and(|digits| is_digits(digits, 9));
    let is_zone = zone.eq_ignore_ascii_case("Z") || digits_at(zone, "+00:00") || digits_at(zone, "-00:00");
    digits_at(moment, "0000-00-00T00:00:00") && is_fraction && is_zone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(place: Place, word: &str) -> Option<(Extension, bool)> {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        known(place, name, value).map(|known| (known.extension, known.is_well_formed))
    }

    #[test]
    fn parameters_of_mail_are_written_as_their_extensions_say() {
        use Extension::*;
        let envid = |len: usize| format!("ENVID={}", "A".repeat(len));
        let (long, too_long) = (envid(100), envid(101));
        for (extension, good, bad) in [
            (Size, &["SIZE=0", "size=52428800"][..], &["SIZE", "SIZE=1k", "SIZE=-1", "SIZE=+1"][..]),
            (EightBitMime, &["BODY=7bit", "BODY=8BITMIME"], &["BODY", "BODY=9BIT"]),
            (BinaryMime, &["BODY=binarymime"], &[]),
            (SmtpUtf8, &["SMTPUTF8"], &["SMTPUTF8=yes"]),
            (
                Dsn,
                &["RET=FULL", "RET=hdrs", "ENVID=QQ+2B314", &long],
                &["RET", "RET=ALL", "ENVID", "ENVID=a+2b", "ENVID=a+", "ENVID=\u{e4}", &too_long],
            ),
            (Auth, &["AUTH=<>", "AUTH=a+40b"], &["AUTH", "AUTH=a+4"]),
            (
                DeliverBy,
                &["BY=120;R", "BY=+1;rt", "BY=-60;N", "BY=0;NT", "BY=999999999;R"],
                &["BY", "BY=120", "BY=0;R", "BY=-1;R", "BY=+00;RT", "BY=;N", "BY=1;X", "BY=1;TR", "BY=1000000000;N"],
            ),
            (
                FutureRelease,
                &[
                    "HOLDFOR=1",
                    "HOLDFOR=999999999",
                    "HOLDUNTIL=2026-11-21T23:00:00Z",
                    "HOLDUNTIL=2026-11-21t23:00:00.5+01:00",
                ],
                &["HOLDFOR", "HOLDFOR=0", "HOLDFOR=-1", "HOLDFOR=1000000000", "HOLDUNTIL", "HOLDUNTIL=2026-11-21"],
            ),
            (
                MtPriority,
                &["MT-PRIORITY=0", "MT-PRIORITY=-9", "mt-priority=3"],
                &["MT-PRIORITY", "MT-PRIORITY=10", "MT-PRIORITY=-0", "MT-PRIORITY=+1", "MT-PRIORITY=-"],
            ),
            (RequireTls, &["REQUIRETLS"], &["REQUIRETLS=1"]),
            (
                NoSoliciting,
                &["SOLICIT=net.example:ADV", "SOLICIT=a,b_c-d"],
                &["SOLICIT", "SOLICIT=,", "SOLICIT=1a", "SOLICIT=a;b"],
            ),
        ] {
            for word in good {
                assert_eq!(judged(Place::Mail, word), Some((extension, true)), "{word}");
            }
            for word in bad {
                assert_eq!(judged(Place::Mail, word), Some((extension, false)), "{word}");
            }
        }
        for word in ["NOTIFY=NEVER", "ORCPT=rfc822;a@b", "FROB", "X-Y=1"] {
            assert_eq!(judged(Place::Mail, word), None, "{word}");
        }
    }

    #[test]
    fn parameters_of_rcpt_are_those_of_delivery_reports() {
        let long = format!("ORCPT=rfc822;{}", "a".repeat(494));
        for (word, fits) in [
            ("NOTIFY=NEVER", true),
            ("notify=success,Failure,DELAY", true),
            ("NOTIFY", false),
            ("NOTIFY=NEVER,DELAY", false),
            ("NOTIFY=SUCCESS,", false),
            ("NOTIFY=ALWAYS", false),
            ("ORCPT=rfc822;a+2Btag@b.example", true),
            ("ORCPT=utf-8;j\u{fc}rgen@b.example", true),
            ("ORCPT=X-Y;z", true),
            ("ORCPT", false),
            ("ORCPT=a@b.example", false),
            ("ORCPT=;a@b", false),
            ("ORCPT=rfc822;", false),
            ("ORCPT=rfc822;a+tag@b", false),
            ("ORCPT=rfc822;j\u{fc}rgen@b", false),
            (long.as_str(), false),
        ] {
            assert_eq!(judged(Place::Rcpt, word), Some((Extension::Dsn, fits)), "{word}");
        }
        for word in ["RET=FULL", "SIZE=1", "BY=1;R", "RRVS=2026-11-21T23:00:00Z"] {
            assert_eq!(judged(Place::Rcpt, word), None, "{word}");
        }
    }

    #[test]
    fn a_time_has_a_date_and_a_zone() {
        for (text, fits) in [
            ("2026-11-21T23:00:00Z", true),
            ("2026-11-21t23:00:00z", true),
            ("2026-11-21T23:00:00.123-08:00", true),
            ("2026-11-21T23:00:00", false),
            ("2026-11-21 23:00:00Z", false),
            ("2026-11-21T23:00Z", false),
            ("2026-11-21T23:00:00.Z", false),
            ("2026-11-21T23:00:00+0100", false),
            ("26-11-21T23:00:00Z", false),
            ("2026-11-21T23:00:00Zz", false),
            ("\u{e4}026-11-21T23:00:00Z", false),
            ("", false),
        ] {
            assert_eq!(is_date_time(text), fits, "{text}");
        }
    }
}

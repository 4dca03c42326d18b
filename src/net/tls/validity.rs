//! When a certificate ends to be valid: as much of X.509 as that takes (RFC 5280 4.1).

/// Tags of DER (X.690).
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;

/// The end of a certificate's validity in seconds since 1970; `None` if it cannot be read.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (fields, _) = tagged(SEQUENCE, certificate)?;
    let (fields, _) = tagged(SEQUENCE, fields)?;
    let fields = tagged(VERSION, fields).map_or(fields, |(_, rest)| rest);
    let (_serial, fields) = tagged(INTEGER, fields)?;
    let (_algorithm, fields) = tagged(SEQUENCE, fields)?;
    let (_issuer, fields) = tagged(SEQUENCE, fields)?;
    let (validity, _) = tagged(SEQUENCE, fields)?;
    let (_, _begin, validity) = element(validity)?;
    let (tag, end, _) = element(validity)?;
    time(tag, std::str::from_utf8(end).ok()?)
}

/// The contents of the first element, if it has that tag, and what stands behind it.
fn tagged(wanted: u8, octets: &[u8]) -> Option<(&[u8], &[u8])> {
    element(octets).filter(|(tag, ..)| *tag == wanted).map(|(_, contents, rest)| (contents, rest))
}

/// Tag and contents of the first element, and what stands behind it.
fn element(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = octets.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        // So many octets hold the length; four are more than any certificate has.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (length.iter().fold(0, |sum, &octet| sum << 8 | usize::from(octet)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// `YYMMDDHHMMSSZ`, which means 1950 to 2049, or with four digits of the year (RFC 5280 4.1.2.5).
fn time(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(|octet| octet.is_ascii_digit()))?;
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<i64>().ok();
    let (year, at) = match (tag, digits.len()) {
        (UTC_TIME, 12) => (number(0, 2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        (GENERALIZED_TIME, 14) => (number(0, 4)?, 4),
        _ => return None,
    };
    let part = |index: usize| number(at + 2 * index, at + 2 * index + 2);
    let (month, day) = (part(0).filter(|month| (1..=12).contains(month))?, part(1)?);
    Some(days(year, month, day) * 86_400 + part(2)? * 3600 + part(3)? * 60 + part(4)?)
}

/// Days since 1970 in the Gregorian calendar. Years are counted from March, so that the odd day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month < 3 { year - 1 } else { year };
    let since_march = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // Day 0 of this count is the last of February before the year 0; 719468 of them lie before 1970.
    year * 365 + leap_days + (since_march * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate_until(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(["mx.example".to_owned()]).expect("names");
        params.not_before = rcgen::date_time_ymd(1975, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, month, day);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        for (year, month, day, seconds) in [
            (2026, 11, 21, 1_795_219_200),
            (2024, 2, 29, 1_709_164_800),
            (2000, 3, 1, 951_868_800),
            (2049, 12, 31, 2_524_521_600),
            (2050, 1, 1, 2_524_608_000),
            (2100, 3, 1, 4_107_542_400),
        ] {
            let certificate = certificate_until(year, month, day);
            assert_eq!(not_after(&certificate), Some(seconds), "{year}-{month}-{day}");
            for length in 0..certificate.len().min(150) {
                assert_eq!(not_after(&certificate[..length]), None, "cut at {length}");
            }
        }
    }

    #[test]
    fn a_time_has_two_forms() {
        assert_eq!(time(UTC_TIME, "700101000001Z"), Some(1));
        assert_eq!(time(GENERALIZED_TIME, "19700102000000Z"), Some(86_400));
        for (tag, text) in [
            (UTC_TIME, "19700102000000Z"),
            (GENERALIZED_TIME, "700101000001Z"),
            (UTC_TIME, "7001010000Z"),
            (UTC_TIME, "700101000001"),
            (UTC_TIME, "70010100000xZ"),
            (UTC_TIME, "701301000000Z"),
            (0x04, "700101000001Z"),
        ] {
            assert_eq!(time(tag, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_file_holds_nothing_breaks(octets in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..400) {
            let _ = not_after(&octets);
            let mut certificate = certificate_until(2030, 1, 1);
            if let Some(octet) = certificate.get_mut(at) {
                *octet ^= 0x41;
            }
            let _ = not_after(&certificate);
        }
    }
}

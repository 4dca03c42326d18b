//! Dates as they stand in mail.

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Seconds since 1970 of the date in a text, wherever it begins: `3 Oct 2002 10:11:12 +0200`.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let words: Vec<&str> = text.split([' ', '\t', ',', '\n', '-']).filter(|word| !word.is_empty()).collect();
    let month_at = words
        .iter()
        .position(|word| word.get(..3).is_some_and(|start| MONTHS.contains(&start.to_ascii_lowercase().as_str())))?;
    let month = MONTHS.iter().position(|month| words[month_at][..3].eq_ignore_ascii_case(month))? as i64 + 1;
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<i64>().ok());
    let day = number(month_at.checked_sub(1)?).filter(|day| (1..=31).contains(day))?;
    let year = match number(month_at + 1)? {
        year @ 0..=49 => year + 2000,
        year @ 50..=99 => year + 1900,
        year @ 1900..=9999 => year,
        _ => return None,
    };
    let time = words.get(month_at + 2)?;
    let mut parts = time.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().flatten().unwrap_or(0);
    if hour > 24 || minute > 59 || second > 61 {
        return None;
    }
    // The sign of the zone was taken for a separator where it is a minus.
    let behind = text.find(time).map(|at| text[at + time.len()..].trim_start()).unwrap_or_default();
    let offset = zone(behind.split([' ', '\t', '\n']).next().unwrap_or_default());
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset)
}

fn zone(text: &str) -> i64 {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.trim_start_matches(['+', '-']);
    if digits.len() == 4 && digits.bytes().all(|octet| octet.is_ascii_digit()) {
        let number: i64 = digits.parse().unwrap_or_default();
        return sign * (number / 100 * 3_600 + number % 100 * 60);
    }
    let hours = match text.to_ascii_uppercase().as_str() {
        "EST" | "CDT" => -5,
        "EDT" => -4,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "BST" | "CET" | "MET" => 1,
        "CEST" | "EET" => 2,
        "JST" => 9,
        _ => 0,
    };
    hours * 3_600
}

/// Days since 1970 of a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

//! The text of messages.

use super::{Context, Eval, is_from_to, number};

pub(super) const TESTS: &[(&str, Eval)] = &[
    ("check_blank_line_ratio", blank_lines),
    ("tvd_vertical_words", vertical_words),
    ("check_body_length", body_length),
];

fn blank_lines(context: &Context<'_>, arguments: &[String]) -> bool {
    let lines = context.read.texts.raw.iter().flat_map(|chunk| chunk.split_inclusive(|octet| *octet == b'\n'));
    let (mut all, mut blank) = (0_usize, 0_usize);
    for line in lines {
        all += 1;
        blank += usize::from(line.iter().all(u8::is_ascii_whitespace));
    }
    let least_lines = number(arguments, 2).unwrap_or(1.0).max(1.0);
    let percent = if (all as f64) < least_lines { -1.0 } else { 100.0 * blank as f64 / all as f64 };
    let (least, most) = (number(arguments, 0).unwrap_or_default(), number(arguments, 1).unwrap_or(100.0));
    percent <= most && (least == 0.0 || percent > least)
}

fn vertical_words(context: &Context<'_>, arguments: &[String]) -> bool {
    let percents = context.read.texts.body.iter().filter(|line| line.len() > 5).map(|line| {
        let spaces = line.iter().filter(|octet| **octet == b' ').count();
        let others = line.len() - spaces;
        if spaces > others || others == 0 { 100 } else { 100 * spaces / others }
    });
    let most = percents.max().map_or(-1.0, |most| most as f64);
    let ceiling = [
        arguments.first().cloned().unwrap_or_default(),
        match number(arguments, 1) {
            Some(most) if most >= 100.0 => "101".to_owned(),
            _ => arguments.get(1).cloned().unwrap_or_default(),
        },
    ];
    is_from_to(most, &ceiling, 0)
}

fn body_length(context: &Context<'_>, arguments: &[String]) -> bool {
    let mail = &context.read.mail;
    let length = mail.octets.len().saturating_sub(mail.body);
    number(arguments, 0).is_some_and(|most| length as f64 <= most)
}

//! Header fields.

use super::super::dates;
use super::super::relays::Relays;
use super::{Context, Eval, freemail, is_from_to, number};

/// Recipients from which on their likeness tells something.
const SIMILAR_FROM: usize = 5;
/// Recipients from which on their order tells something.
const SORTED_FROM: usize = 7;
/// Octets of names that are compared.
const SIMILAR_LENGTH: usize = 2;
/// Recipients that are compared.
const RECIPIENTS_MOST: usize = 256;

pub(super) const TESTS: &[(&str, Eval)] = &[
    ("check_for_shifted_date", shifted_date),
    ("check_illegal_chars", illegal),
    ("check_for_missing_to_header", |context, _| {
        context.joined("To").is_empty() && context.joined("Apparently-To").is_empty()
    }),
    ("subject_is_all_caps", shouts),
    ("sorted_recipients", sorted),
    ("similar_recipients", similar),
    ("check_equal_from_domains", different_domains),
    ("check_for_matching_env_and_hdr_from", |context, _| {
        context.first("EnvelopeFrom:addr").eq_ignore_ascii_case(&context.first("From:addr"))
    }),
    ("check_outlook_message_id", outlook_id),
    ("check_ratware_name_id", name_id),
    ("check_ratware_envelope_from", ratware_envelope),
    ("check_for_to_in_subject", to_in_subject),
    ("check_unresolved_template", template),
    ("gated_through_received_hdr_remover", |context, _| is_gated(context)),
    ("check_for_forged_yahoo_received_headers", forged_yahoo),
    ("check_for_forged_gmail_received_headers", forged_gmail),
    ("check_header_count_range", count_range),
    ("check_from_in_list", |context, arguments| in_list(context, arguments, "From:addr")),
    ("check_replyto_in_list", |context, arguments| in_list(context, arguments, "Reply-To:addr")),
    ("check_from_in_welcomelist", |context, _| from_in(context, "welcomelist_from")),
    ("check_from_in_whitelist", |context, _| from_in(context, "welcomelist_from")),
    ("check_from_in_blocklist", |context, _| from_in(context, "blocklist_from")),
    ("check_from_in_blacklist", |context, _| from_in(context, "blocklist_from")),
    ("check_from_in_default_welcomelist", |_, _| false),
    ("check_from_in_default_whitelist", |_, _| false),
    ("check_to_in_welcomelist", |context, _| to_in(context, "welcomelist_to")),
    ("check_to_in_whitelist", |context, _| to_in(context, "welcomelist_to")),
    ("check_to_in_blocklist", |context, _| to_in(context, "blocklist_to")),
    ("check_to_in_blacklist", |context, _| to_in(context, "blocklist_to")),
    ("check_to_in_more_spam", |context, _| to_in(context, "more_spam_to")),
    ("check_to_in_all_spam", |context, _| to_in(context, "all_spam_to")),
    ("check_subject_in_welcomelist", |context, _| subject_in(context, "welcomelist_subject")),
    ("check_subject_in_whitelist", |context, _| subject_in(context, "welcomelist_subject")),
    ("check_subject_in_blocklist", |context, _| subject_in(context, "blocklist_subject")),
    ("check_subject_in_blacklist", |context, _| subject_in(context, "blocklist_subject")),
];

/// How far the Date is from when hops saw the message: hours, behind or ahead.
fn shifted_date(context: &Context<'_>, arguments: &[String]) -> bool {
    is_from_to(date_difference(context) as f64 / 3_600.0, arguments, 0)
}

fn date_difference(context: &Context<'_>) -> i64 {
    let dates = ["Resent-Date", "Date"].iter().flat_map(|name| context.values(name));
    let Some(date) = dates.into_iter().find_map(|date| dates::seconds(&date)) else { return 0 };
    let mut received: Vec<i64> = context.values("Received").iter().filter_map(|hop| received_time(hop)).collect();
    if received.is_empty() && context.read.envelope.client.is_some() {
        received.push(context.read.now);
    }
    let mut differences: Vec<i64> = received.into_iter().map(|time| date - time).collect();
    if differences.len() > 1 && differences.last() == Some(&0) {
        differences.pop();
    }
    differences.into_iter().min_by_key(|difference| difference.abs()).unwrap_or_default()
}

fn received_time(hop: &str) -> Option<i64> {
    dates::seconds(hop.rsplit_once(';').map_or(hop, |(_, date)| date))
}

fn illegal(context: &Context<'_>, arguments: &[String]) -> bool {
    let Some(name) = arguments.first() else { return false };
    let request = if name.ends_with(":raw") { name.clone() } else { format!("{name}:raw") };
    let text = super::request::value(context.read, &request).unwrap_or_default();
    if text.iter().all(u8::is_ascii_whitespace) {
        return false;
    }
    let is_control = |octet: &u8| matches!(octet, 0..=8 | 0x0b | 0x0c | 0x0e..=0x1f);
    if !text.is_ascii() && std::str::from_utf8(&text).is_ok() && !text.iter().any(is_control) {
        return false;
    }
    let mut count = text.iter().filter(|octet| is_control(octet) || **octet >= 0x7f).count();
    if request.eq_ignore_ascii_case("subject:raw") && count > 0 {
        let signs = text.iter().filter(|octet| matches!(octet, 0xa2 | 0xa3 | 0xae)).count();
        count -= usize::from(signs == 1);
    }
    let (ratio, least) = (number(arguments, 1).unwrap_or_default(), number(arguments, 2).unwrap_or_default());
    count as f64 / text.len() as f64 >= ratio && count as f64 >= least
}

fn shouts(context: &Context<'_>, _: &[String]) -> bool {
    let subject = context.joined("Subject");
    let mut subject = subject.trim();
    while let Some((start, rest)) = subject.split_once(':') {
        let prefixes = ["re", "fwd", "fw", "aw", "antwort", "wg", "sv", "vb", "vs", "vl"];
        if !prefixes.contains(&start.to_ascii_lowercase().as_str()) {
            break;
        }
        subject = rest.trim_start();
    }
    let raw = context.joined("Subject:raw").to_ascii_lowercase();
    let has_other_letters = [
        "=?koi",
        "=?big5",
        "=?euc",
        "=?gb",
        "=?iso-2022",
        "=?shift",
        "=?ks_c",
        "=?iso-8859-5",
        "=?iso-8859-7",
        "=?iso-8859-8",
        "=?windows-125",
        "=?tis",
        "=?cp125",
    ];
    if !subject.contains(char::is_whitespace)
        || subject.len() < 10
        || has_other_letters.iter().any(|start| raw.contains(start))
    {
        return false;
    }
    let letters: Vec<char> = subject.chars().filter(char::is_ascii_alphabetic).collect();
    !letters.is_empty() && letters.iter().all(char::is_ascii_uppercase)
}

fn recipients(context: &Context<'_>) -> Vec<String> {
    let mut all = context.values("ToCc:addr");
    if all.len() < SIMILAR_FROM {
        all.extend(context.values("Bcc:addr"));
    }
    all.dedup_by(|next, before| next.eq_ignore_ascii_case(before));
    all.truncate(RECIPIENTS_MOST);
    all
}

fn sorted(context: &Context<'_>, _: &[String]) -> bool {
    let all = recipients(context);
    all.len() >= SORTED_FROM && all.is_sorted()
}

fn similar(context: &Context<'_>, arguments: &[String]) -> bool {
    let all = recipients(context);
    let mut likeness = 0.0;
    if all.len() >= SIMILAR_FROM {
        let start = |text: &str| text.as_bytes().get(..SIMILAR_LENGTH.min(text.len())).map(<[u8]>::to_vec);
        let parts: Vec<_> = all
            .iter()
            .map(|address| {
                let host = address.split_once('@').map_or("", |(_, host)| host);
                (start(address), start(host), host)
            })
            .collect();
        let (mut hits, mut pairs) = (0_u32, 0_u32);
        for (at, (user, host, name)) in parts.iter().enumerate() {
            for (other_user, other_host, other_name) in &parts[at + 1..] {
                hits += u32::from(user == other_user);
                hits += u32::from(host == other_host && name != other_name);
                pairs += 1;
            }
        }
        likeness = f64::from(hits) / f64::from(pairs.max(1));
    }
    is_from_to(likeness, arguments, 0)
}

/// The last two labels of the host of an address.
fn domain(address: &str) -> String {
    let Some((_, host)) = address.rsplit_once('@') else { return String::new() };
    let labels: Vec<&str> = host.rsplitn(3, '.').collect();
    let two = labels.iter().take(2).rev().copied().collect::<Vec<_>>().join(".");
    two.to_ascii_lowercase()
}

fn different_domains(context: &Context<'_>, _: &[String]) -> bool {
    let (from, envelope) = (domain(&context.first("From:addr")), domain(&context.first("EnvelopeFrom:addr")));
    !from.is_empty() && !envelope.is_empty() && from != envelope
}

/// An id that Outlook would have made at another time than the message says.
fn outlook_id(context: &Context<'_>, _: &[String]) -> bool {
    let id = context.joined("MESSAGEID");
    let Some(inside) = id.strip_prefix('<') else { return false };
    let parts: Vec<&str> = inside.splitn(4, ['$', '@']).collect();
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'))
    };
    let [first, second, third, _] = parts[..] else { return false };
    if !is_hex(first, 12) || !is_hex(second, 8) || !is_hex(third, 8) || inside.find('@').is_none_or(|at| at != 30) {
        return false;
    }
    let Ok(token) = i64::from_str_radix(&first[4..], 16) else { return false };
    // The token counts in 429.4967296 seconds from 1601, as a file time shifted by 32 bits does.
    let expected = |seconds: i64| (seconds as f64 * 0.002_328_306_436_538_7 + 27_111_902.832_984_9) as i64;
    let is_far = |seconds: i64| (token - expected(seconds)).abs() >= 250;
    let date = dates::seconds(&context.joined("Date")).unwrap_or_default();
    let received = context.values("Received").first().and_then(|hop| received_time(hop)).unwrap_or_default();
    is_far(date) && is_far(received)
}

fn name_id(context: &Context<'_>, _: &[String]) -> bool {
    let id = context.joined("MESSAGEID");
    let from = context.joined("From");
    id.match_indices('<').any(|(at, _)| {
        let Some((inside, _)) = id[at + 1..].split_once('>') else { return false };
        let Some((letters, address)) = inside.split_once('.') else { return false };
        let is_made = letters.len() == 28 && letters.bytes().all(|octet| octet.is_ascii_uppercase());
        is_made && !address.is_empty() && from.contains('"') && from.contains(&format!("<{address}>"))
    })
}

fn ratware_envelope(context: &Context<'_>, _: &[String]) -> bool {
    let (to, from) = (context.first("To:addr"), context.first("EnvelopeFrom:addr").to_ascii_lowercase());
    let Some((user, host)) = to.split_once('@') else { return false };
    let Some(domain) = super::registered(host) else { return false };
    let needle = (domain.to_string(), format!("{}@", user.to_ascii_lowercase()));
    from.find(&needle.0).is_some_and(|at| {
        let behind = &from[at + needle.0.len()..];
        behind.chars().next().is_some_and(|c| behind[c.len_utf8()..].starts_with(&needle.1))
    })
}

fn to_in_subject(context: &Context<'_>, arguments: &[String]) -> bool {
    let to = context.first("To:addr");
    let subject = context.joined("Subject");
    if to.is_empty() {
        return false;
    }
    if arguments.first().is_some_and(|what| what == "address") {
        return subject.to_ascii_lowercase().contains(&to.to_ascii_lowercase());
    }
    let user = to.split('@').next().unwrap_or_default();
    let (lower, name) = (subject.to_ascii_lowercase(), user.to_ascii_lowercase());
    if name.is_empty() || lower == name {
        return lower == name;
    }
    let addresses_it = subject.strip_prefix(user).map(str::trim_start).is_some_and(|rest| {
        rest.starts_with([',', ':', ';', '!', '?', '-']) && rest[1..].chars().next().is_none_or(char::is_whitespace)
    });
    let answers_it = ["re:", "fw:"].iter().filter_map(|start| lower.strip_prefix(start)).any(|rest| {
        let words: Vec<&str> = rest.split_whitespace().collect();
        words.last() == Some(&name.as_str()) && words.len() <= 2
    });
    let ends_with_it = lower.strip_suffix([',', ':', ';', '!', '?', '-']).and_then(|rest| rest.strip_suffix(&name));
    let ends_with_it = lower.starts_with(',') && ends_with_it.is_some_and(|rest| rest.trim() == ",");
    addresses_it || answers_it || ends_with_it
}

/// Fields where a percent sign is nothing unusual.
const FREE_FIELDS: &[&str] = &[
    "x-vms-to",
    "x-uidl",
    "x-face",
    "to",
    "cc",
    "from",
    "subject",
    "references",
    "in-reply-to",
    "message-id",
    "x-message-id",
    "resent-message-id",
    "x-original-message-id",
];

fn template(context: &Context<'_>, _: &[String]) -> bool {
    let fields = context.read.mail.fields().iter();
    let others = fields.filter(|field| !FREE_FIELDS.contains(&field.name.to_ascii_lowercase().as_str()));
    others.into_iter().any(|field| {
        let text = [field.name.as_bytes(), b": ", &field.value].concat();
        text.windows(3).any(|three| {
            three[0] == b'%' && three[1].is_ascii_uppercase() && matches!(three[2], b'A'..=b'Z' | b'_' | b'-')
        })
    })
}

fn is_gated(context: &Context<'_>) -> bool {
    let hops = context.joined("Received");
    hops.is_empty()
        || hops.contains("from groups.msn.com (")
        || context.joined("Mailing-List").contains("; run by ezmlm")
}

fn forged_yahoo(context: &Context<'_>, _: &[String]) -> bool {
    let from = context.first("From:addr").to_ascii_lowercase();
    if !(from.ends_with("@yahoo.com") || from.ends_with(".yahoo.com")) || is_gated(context) {
        return false;
    }
    let relays = &context.read.relays;
    let is_theirs = |relay: &super::super::relays::Relay| relay.rdns.ends_with(".yahoo.com");
    if relays.trusted.iter().any(is_theirs) || relays.untrusted.first().is_some_and(is_theirs) {
        return false;
    }
    let hops = context.joined("Received").split_whitespace().collect::<Vec<_>>().join(" ");
    let theirs = [".yahoo.com via HTTP", ".yahoo.com with HTTP", ".yahoo.com with SMTP", ".yahoo.com with NNFMP"];
    let is_from_theirs = theirs.iter().any(|sign| hops.contains(sign)) || hops.contains(".yahoo.com (8.");
    !is_from_theirs
}

fn forged_gmail(context: &Context<'_>, _: &[String]) -> bool {
    let from = context.first("From:addr").to_ascii_lowercase();
    if !from.ends_with("@gmail.com") {
        return false;
    }
    let fields = ["X-Google-Smtp-Source", "X-Gm-Message-State", "X-Google-DKIM-Signature", "DKIM-Signature"];
    let is_signed = fields.iter().any(|name| !context.joined(name).is_empty());
    let hops = Relays::text(&context.read.relays.trusted) + &Relays::text(&context.read.relays.untrusted);
    !is_signed && !hops.contains(".google.com ") && !context.joined("Received").contains("by 10.")
}

fn count_range(context: &Context<'_>, arguments: &[String]) -> bool {
    let Some(name) = arguments.first() else { return false };
    let mut values: Vec<Vec<u8>> = context.read.mail.named(name).map(|field| field.raw.clone()).collect();
    values.sort();
    values.dedup();
    let count = values.len() as f64;
    number(arguments, 1).is_none_or(|least| count >= least) && number(arguments, 2).is_none_or(|most| count <= most)
}

fn in_list(context: &Context<'_>, arguments: &[String], request: &str) -> bool {
    let list = format!("enlist_addrlist:{}", arguments.first().map_or("", String::as_str));
    let addresses: Vec<String> = if request == "From:addr" {
        freemail::all_from(context).into_iter().collect()
    } else {
        context.values(request).into_iter().map(|address| address.to_ascii_lowercase()).collect()
    };
    let patterns: Vec<&str> = context.settings.list(&list).collect();
    addresses.iter().any(|address| patterns.iter().any(|pattern| freemail::glob(pattern, address)))
}

fn from_in(context: &Context<'_>, list: &str) -> bool {
    let patterns: Vec<&str> = context.settings.list(list).collect();
    let addresses = freemail::all_from(context);
    addresses.iter().any(|address| patterns.iter().any(|pattern| freemail::glob(pattern, address)))
}

fn to_in(context: &Context<'_>, list: &str) -> bool {
    let patterns: Vec<&str> = context.settings.list(list).collect();
    let addresses = context.values("ToCc:addr");
    let mut addresses = addresses.iter().map(|address| address.to_ascii_lowercase());
    addresses.any(|address| patterns.iter().any(|pattern| freemail::glob(pattern, &address)))
}

fn subject_in(context: &Context<'_>, list: &str) -> bool {
    let subject = context.joined("Subject").to_lowercase();
    context.settings.list(list).any(|pattern| freemail::glob(&format!("*{pattern}*"), &subject))
}

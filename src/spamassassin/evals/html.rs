//! HTML.

use super::super::html::Page;
use super::{Context, Eval, is_from_to, is_within, number, registered};
use crate::spamassassin::uris;

pub(super) const TESTS: &[(&str, Eval)] = &[
    ("html_test", test),
    ("html_range", range),
    ("html_eval", compare),
    ("html_tag_exists", tag_exists),
    ("html_tag_balance", tag_balance),
    ("html_image_only", image_only),
    ("html_image_ratio", image_ratio),
    ("html_text_match", text_match),
    ("html_title_subject_ratio", title_ratio),
    ("html_charset_faraway", |_, _| false),
    ("check_iframe_src", |context, _| pages(context).iter().any(|page| page.facts.contains_key("iframe_src"))),
    ("check_https_http_mismatch", https_mismatch),
];

/// What `html_test` can be asked for.
pub(super) const FACTS: &[&str] = &["html", "embeds", "font_face_bad", "font_invalid_color", "form_action_mailto"];
/// What `html_range` and `html_eval` can be asked for.
pub(super) const NUMBERS: &[&str] = &[
    "length",
    "closed_extra_ratio",
    "bad_tag_ratio",
    "non_element_ratio",
    "obfuscation_ratio",
    "min_size",
    "max_size",
    "image_area",
];

fn pages<'c>(context: &'c Context<'_>) -> &'c [Page] {
    &context.read.texts.pages
}

fn test(context: &Context<'_>, arguments: &[String]) -> bool {
    let Some(name) = arguments.first() else { return false };
    pages(context).iter().any(|page| name == "html" || page.facts.contains_key(name.as_str()))
}

fn value(page: &Page, name: &str) -> Option<f64> {
    let ratio = |part: u32, whole: u32| (whole > 0).then(|| f64::from(part) / f64::from(whole));
    match name {
        "length" => Some(page.length as f64),
        "closed_extra_ratio" => ratio(page.closed_extra, page.tags),
        "bad_tag_ratio" => ratio(page.tags.saturating_sub(page.elements), page.tags).filter(|_| page.elements > 0),
        "non_element_ratio" => {
            let others = page.tags_seen.saturating_sub(page.elements_seen);
            ratio(others, page.tags_seen).filter(|_| page.elements_seen > 0)
        }
        "obfuscation_ratio" => ratio(page.obfuscation, page.tags).filter(|_| page.obfuscation > 0),
        "min_size" => Some(f64::from(page.min_size)),
        "max_size" => Some(f64::from(page.max_size)),
        "image_area" => Some(page.image_area),
        _ => None,
    }
}

fn range(context: &Context<'_>, arguments: &[String]) -> bool {
    let Some(name) = arguments.first() else { return false };
    pages(context).iter().filter_map(|page| value(page, name)).any(|value| is_within(value, arguments, 1))
}

/// `< 512`, `!= 0`.
fn holds(value: f64, comparison: &str) -> bool {
    let digits = comparison.find(|c: char| c.is_ascii_digit() || c == '-').unwrap_or(comparison.len());
    let (sign, number) = comparison.split_at(digits);
    let Ok(number) = number.trim().parse::<f64>() else { return false };
    match sign.trim() {
        "<" => value < number,
        ">" => value > number,
        "<=" => value <= number,
        ">=" => value >= number,
        "==" => value == number,
        "!=" => value != number,
        _ => false,
    }
}

fn compare(context: &Context<'_>, arguments: &[String]) -> bool {
    let [name, comparison] = arguments else { return false };
    pages(context).iter().filter_map(|page| value(page, name)).any(|value| holds(value, comparison))
}

fn tag_exists(context: &Context<'_>, arguments: &[String]) -> bool {
    let Some(name) = arguments.first() else { return false };
    pages(context).iter().any(|page| page.inside.contains_key(name))
}

fn tag_balance(context: &Context<'_>, arguments: &[String]) -> bool {
    let [name, comparison] = arguments else { return false };
    let mut open = pages(context).iter().filter_map(|page| page.inside.get(name));
    open.any(|count| holds(f64::from(*count), comparison))
}

fn image_only(context: &Context<'_>, arguments: &[String]) -> bool {
    let with_pictures = pages(context).iter().filter(|page| page.inside.contains_key("img"));
    with_pictures.into_iter().any(|page| is_within(page.length as f64, arguments, 0))
}

fn image_ratio(context: &Context<'_>, arguments: &[String]) -> bool {
    let with_pictures = pages(context).iter().filter(|page| page.image_area > 0.0);
    with_pictures.into_iter().any(|page| {
        let letters = page.text.chars().filter(|c| !c.is_whitespace()).count();
        is_within(letters as f64 / page.image_area, arguments, 0)
    })
}

fn text_match(context: &Context<'_>, arguments: &[String]) -> bool {
    let texts = |page: &Page| match arguments.first().map(String::as_str) {
        Some("comment") => page.comments.clone(),
        Some("anchor") => page.anchors.clone(),
        _ => page.titles.clone(),
    };
    pages(context).iter().flat_map(texts).any(|text| context.matches(&text))
}

fn title_ratio(context: &Context<'_>, arguments: &[String]) -> bool {
    let subject = context.joined("Subject").len();
    let longest = pages(context).iter().flat_map(|page| &page.titles).map(String::len).max().unwrap_or_default();
    subject > 0 && number(arguments, 0).is_some_and(|most| longest as f64 / subject as f64 > most)
}

/// An anchor that shows one `https://` and leads to another domain.
fn https_mismatch(context: &Context<'_>, arguments: &[String]) -> bool {
    pages(context).iter().any(|page| {
        let targets = page.links.iter().filter_map(|(target, shown)| {
            let host = uris::host(target).filter(|host| host.parse::<std::net::IpAddr>().is_err())?;
            Some((registered(&host)?, shown))
        });
        let (mut anchors, mut differs) = (std::collections::BTreeSet::new(), false);
        for (domain, shown) in targets {
            let lower = shown.to_ascii_lowercase();
            let shown = lower.find("https://").and_then(|at| uris::host(lower[at..].split_whitespace().next()?));
            differs |= shown.and_then(|host| registered(&host)).is_some_and(|shown| shown != domain);
            anchors.insert(domain);
        }
        differs && is_from_to(anchors.len() as f64, arguments, 0)
    })
}

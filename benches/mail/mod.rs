//! Messages to measure by: such as there are many, hostile ones, and those of a directory.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Different messages.
pub(crate) const MESSAGES: usize = 60;
/// Octets of each, about.
pub(crate) const LENGTH: usize = 10 * 1024;

/// The files of a directory, in order.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// The messages of a directory whose size comes nearest to [`LENGTH`].
pub(crate) fn nearest(directory: &Path) -> Vec<Vec<u8>> {
    let distance = |path: &PathBuf| fs::metadata(path).map_or(u64::MAX, |found| found.len().abs_diff(LENGTH as u64));
    let mut files = files(directory);
    files.sort_by_cached_key(distance);
    files.iter().take(MESSAGES).filter_map(|path| fs::read(path).ok()).collect()
}

/// Words of usual lengths, some of them often.
fn words(random: &mut StdRng, octets: usize) -> String {
    let mut words = String::new();
    while words.len() < octets {
        let rank = (3000.0_f64).powf(random.random::<f64>()) as u64;
        let mut letters = StdRng::seed_from_u64(rank);
        let length = letters.random_range(2..10);
        words.extend((0..length).map(|_| char::from(letters.random_range(b'a'..=b'z'))));
        words.push_str(match random.random_range(0..20) {
            0 => ", ",
            1 => ".\n",
            _ => " ",
        });
    }
    words
}

/// Every third is plain, one HTML, one both; every sixth with an attachment, every fifth from a list.
pub(crate) fn message(number: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(number);
    let mut out = format!(
        "Return-Path: <sender{number}@mail{number}.example>\n\
         Received: from mail{number}.example (mail{number}.example [198.51.100.{}])\n\tby mx.there.example with ESMTPS \
         id {number}x for <bob@there.example>; Fri, 6 Mar 2020 10:00:00 +0000\n\
         From: \"{}\" <sender{number}@mail{number}.example>\nTo: Bob <bob@there.example>\nSubject: {}\n\
         Date: Fri, 6 Mar 2020 09:59:58 +0000\nMessage-ID: <{number}.1@mail{number}.example>\nMIME-Version: 1.0\n",
        number % 250 + 1,
        words(&mut random, 12).trim().replace(['\n', ',', '.'], ""),
        words(&mut random, 40).replace('\n', " "),
    );
    if number.is_multiple_of(5) {
        let _ = writeln!(out, "List-Id: <list{number}.example>\nList-Unsubscribe: <https://list{number}.example/u/1>");
    }
    let plain = |random: &mut StdRng, octets| {
        format!(
            "Content-Type: text/plain; charset=utf-8\n\n{}\nhttps://www{number}.example/page?x={number}\n",
            words(random, octets)
        )
    };
    let body = match number % 3 {
        0 => plain(&mut random, LENGTH),
        1 => format!("Content-Type: text/html; charset=utf-8\n\n{}", html(&mut random, number, LENGTH)),
        _ => {
            let (one, other) = (plain(&mut random, LENGTH / 4), html(&mut random, number, LENGTH * 3 / 4));
            format!(
                "Content-Type: multipart/alternative; boundary=\"b{number}\"\n\n--b{number}\n{one}\n--b{number}\n\
                 Content-Type: text/html; charset=utf-8\n\n{other}\n--b{number}--\n"
            )
        }
    };
    if number.is_multiple_of(6) {
        let file: String =
            (0..40).map(|_| "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg==\n").collect();
        let _ = write!(
            out,
            "Content-Type: multipart/mixed; boundary=\"m{number}\"\n\n--m{number}\n{body}\n--m{number}\n\
             Content-Type: application/pdf; name=\"a{number}.pdf\"\nContent-Transfer-Encoding: base64\n\
             Content-Disposition: attachment; filename=\"a{number}.pdf\"\n\n{file}\n--m{number}--\n"
        );
    } else {
        out.push_str(&body);
    }
    out.into_bytes()
}

fn html(random: &mut StdRng, number: u64, octets: usize) -> String {
    let mut out =
        "<html><head><style>p { color: #333; font-size: 12px } .x { display: none }</style></head><body>".to_owned();
    let mut paragraph = 0;
    while out.len() < octets {
        paragraph += 1;
        let _ = writeln!(
            out,
            "<table width=\"100%\"><tr><td style=\"padding:4px;color:#222\"><p class=\"c{paragraph}\">{}</p>\
             <a href=\"https://www{number}.example/{paragraph}?u={number}\">{}</a><img src=\"https://img.example/{paragraph}.png\" \
             width=\"20\" height=\"20\"></td></tr></table>",
            words(random, 300),
            words(random, 20).trim(),
        );
    }
    out.push_str("</body></html>\n");
    out
}

/// About so many octets of what costs most, each.
pub(crate) fn hostile(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let filled = |head: &str, piece: &str| {
        let mut out = head.to_owned();
        while out.len() < size {
            out.push_str(piece);
        }
        out.into_bytes()
    };
    let nested = |count: usize| {
        let mut out = "MIME-Version: 1.0\n".to_owned();
        for depth in 0..count {
            let _ = write!(out, "Content-Type: multipart/mixed; boundary=\"b{depth}\"\n\n--b{depth}\n");
        }
        out.into_bytes()
    };
    let html = "Content-Type: text/html\n\n";
    let links = (0..100_000).fold(html.to_owned(), |mut out, number| {
        let _ = write!(out, "<a href=http://www{number}.a{}.example/>b</a>", number % 1000);
        out
    });
    vec![
        ("a hundred thousand links", links.into_bytes()),
        (
            "words of several languages",
            filled("Content-Type: text/plain; charset=utf-8\n\n", "fre\u{e9} freed \u{e4}money "),
        ),
        ("letters apart", filled("A: b\n\n", "a b c d e f ")),
        ("figures and letters", filled("A: b\n\n", "1a1a1a1bcdf ")),
        ("names without addresses", filled("A: b\n\n", "full name country ")),
        ("what could be a wallet", filled("A: b\n\n", "bc1aaaaaaaaaaaaaaaaaaaaaa. 1AAAAAAAAAAAAAAAAAAAAAAAA. ")),
        ("phrases", filled("A: b\n\n", "this is the free money back in your account number ")),
        ("a long subject", filled("Subject: ", "free money 123 !!! ")),
        ("header fields", filled("", "X-A: b\n")),
        ("one long field", filled("Subject: ", "=?utf-8?q?a?= ")),
        ("words that never end", filled("", &format!("X-A: {}\n", "=?a?b?x".repeat(4600)))),
        ("addresses", filled("From: ", "\"a\" <a@b.example>, ")),
        ("nested parts", nested(10_000)),
        ("many parts", filled("Content-Type: multipart/mixed; boundary=b\n\n", "--b\n\na\n")),
        ("nested elements", filled(html, "<div>")),
        ("attributes", filled(&format!("{html}<a "), "a=b ")),
        ("links", filled(html, "<a href=http://a.example/>b</a>")),
        ("links in text", filled("A: b\n\n", "http://a.example/ ")),
        ("style", filled(&format!("{html}<style>"), "a>b,c:not(d){color:#fff}")),
        ("entities", filled(html, "&amp;&#x41;&lt")),
        ("one long line", filled("A: b\n\n", "a")),
        ("open angles", filled(html, "<")),
        ("base64", filled("Content-Transfer-Encoding: base64\n\n", "====QQ\n")),
        ("quoted-printable", filled("Content-Transfer-Encoding: quoted-printable\n\n", "=3D=\n=")),
        ("dots and dashes", filled("A: b\n\n", "a.b-c.")),
        ("signatures", filled("", "DKIM-Signature: v=1; d=a.example; s=b; h=from; bh=AA==; b=AA==\n")),
    ]
}

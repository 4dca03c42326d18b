//! What a person sees of a message.

use proptest::prelude::*;

use super::*;

fn text(octets: impl Into<Vec<u8>>) -> Text {
    let octets = octets.into();
    let len = octets.len() as u64;
    Text::of(&Message::new(octets, len))
}

fn shown(octets: &str) -> String {
    text(octets).shown.replace("\r\n", "\n").trim().to_owned()
}

fn of_html(html: &str) -> String {
    shown(&format!("Content-Type: text/html; charset=utf-8\r\n\r\n{html}"))
}

#[test]
fn html_is_read_as_it_is_seen() {
    for (html, expected) in [
        ("plain", "plain"),
        ("a &amp; b &#98;", "a & b b"),
        ("<p>one<p>two", "one\ntwo"),
        ("one<br>two<hr>three", "one\ntwo\nthree"),
        ("o<b>n</b>e <i> two</i>", "one two"),
        ("a \r\n  b\t&nbsp;c", "a b c"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>d", "a b\nc\nd"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<title>no</title><style>p{}</style><script>no</script>yes", "yes"),
        ("a<!-- no -->b<i></i>c", "abc"),
        ("<noscript>yes</noscript>", "yes"),
        ("<a href='http://example.com'>here</a>, <img alt='a picture' src=x>there", "here, a picture there"),
        ("<img alt='no' width=1 src=x>yes", "yes"),
        ("<input value=one> <input type=hidden value=no><input placeholder=two>", "one two"),
        ("<textarea>yes</textarea><template>no</template>", "yes"),
        (
            "Via<x></x>gra <label>Via</label>gra V<o:p>ia</o:p>gra <q>V</q>iagra <nobr>V</nobr>iagra",
            "Viagra Viagra Viagra Viagra Viagra",
        ),
        (
            "Via<input type=hidden>gra<div style='display:inline'>!</div> a<span style='display:block'>b</span>c",
            "Viagra! a\nb\nc",
        ),
        ("<xml>yes</xml>", "yes"),
        ("<svg><style>p{}</svg>yes", "yes"),
        ("<svg><style><p>yes", "yes"),
        ("a<blockquote>b</blockquote><blockquote type=cite>c<br>d</blockquote>e", "a\nb\n> c\n> d\ne"),
        ("a<div class=gmail_quote>b<div>c</div></div>d", "a\n> b\n> c\nd"),
    ] {
        assert_eq!(of_html(html), expected, "{html}");
    }
}

#[test]
fn what_is_hidden_is_not_seen() {
    for (html, expected) in [
        ("a<span style='display:none'>no</span>b", "ab"),
        ("<div style='display:none'>no<b>no</b><div>no</div></div>yes", "yes"),
        ("<div style='display:none'>no<span>no</div>yes", "yes"),
        ("<p style='display:none'>no<p>yes", "yes"),
        ("<p hidden>no</p>yes", "yes"),
        ("<font color=#ffffff>no</font>yes", "yes"),
        ("<font color='#fffffe'>no</font>yes", "yes"),
        ("<td bgcolor=black><font color=white>yes</font></td>", "yes"),
        ("<div style='background:#000;color:#fff'>yes<font color=black>no</font></div>", "yes"),
        ("<body text=white>no<font color=red>yes</font>", "yes"),
        ("<span style='font-size:0'>no</span>yes", "yes"),
        (
            "<p style='font-size:0'>no<span style='font-size:12px'>yes<i style='font-size:2em'> yes</i></span>no</p>",
            "yes yes",
        ),
        ("<p style='font-size:0'><i style='font-size:100%'>no</i></p>yes", "yes"),
        ("<img style='display:none'>yes", "yes"),
        ("<table><tr bgcolor=black><td>no<tr><td>yes</table>", "yes"),
        ("<table><tr><td style='display:none'>no<table><tr><td>no</table>no<td>yes</table>", "yes"),
        ("<div style='display:none'><table><tr><td>no</div>no</table>no</div>yes", "yes"),
        ("<table background=x.png><tr><td>yes<font color=white> yes</font></table>", "yes yes"),
        ("<br hidden>yes", "yes"),
        ("<style>.x{display:none}</style><span class='y x'>no</span><span class=y>yes</span>", "yes"),
        ("<style>.x{font-size:0}</style><div class=x>no<p style='font-size:9pt'>yes</div>", "yes"),
        ("<div style='display:none'>the rest is lost", ""),
        ("<p style='display:none'>no<i>no<p>yes", "yes"),
        ("<p style='display:none'>no<div>yes</div>", "yes"),
        ("<p><font color=white>no<div>no</div>", ""),
        ("<style>i{display:none}</style><i>no</i>yes", "yes"),
        ("<style>i{display:none}</style><i style='display:inline'>yes</i>", "yes"),
        ("<style media=print>i{display:none}</style><i>yes</i>", "yes"),
        ("<style>.k{background:#000}</style><div class=k><font color=white>yes</font></div>", "yes"),
        ("<i style='color:transparent'>no</i><i style='color:rgba(0,0,0,0)'>no</i>yes", "yes"),
        ("<i style='visibility:hidden'>no<b style='visibility:visible'>yes</b></i>", "yes"),
        ("<i style='width:0;overflow:hidden'>yes</i>", "yes"),
        ("<table><tr><td style='width:0;overflow:hidden'>yes</table>", "yes"),
        ("<p hidden style='display:block'>yes", "yes"),
        ("<i style='mso-hide:all'>yes</i>", "yes"),
        ("<table bgcolor=maroon><tr><td><font color=white>yes</font></table>", "yes"),
        ("<table bgcolor=peachpuff><tr><td><font color=white>yes</font></table>", "yes"),
        ("<td style='background-color: rgb(0, 0, 0); color:#fff'>yes</td>", "yes"),
        ("<td style='background:linear-gradient(#000,#111);color:#fff'>yes</td>", "yes"),
    ] {
        assert_eq!(of_html(html), expected, "{html}");
    }
}

#[test]
fn what_may_be_seen_is_seen() {
    for html in [
        "<td style=display:none>yes",
        "<div style=display:none><td></div>yes",
        "<head style=display:none><body>yes",
        "<form><form style=display:none>yes",
        "<div><form></div><form style=display:none>yes",
        "<table><form style=display:none><tr><td>yes",
        "<a style=display:none>x<a href=y>yes",
        "<a style=display:none><div>x<a href=y>yes",
        "<h1 style=display:none>x<h2>yes",
        "<h1 style=display:none>x</h2>yes",
        "<li style=display:none>x<b><li>yes",
        "<li style=display:none><div>x<li>yes",
        "<dt style=display:none><b>x<dd>yes",
        "<button style=display:none><b>x<button>yes",
        "<div style=display:none><button>x</div>yes",
        "<p style=display:none>x<search>yes",
        "<ruby><rt style=display:none>x<rt>yes",
        "<select style=display:none><input>yes",
        "<select style=display:none><select>yes",
        "<optgroup style=display:none><option>x<optgroup>yes",
        "<table style=display:none>yes",
        "<table style=display:none><tr><b>yes",
        "<table style=display:none><table>yes",
        "<table style=display:none><tr><table><tr><td>yes",
        "<table><div style=display:none><tr><td>yes",
        "<table><tbody style=display:none><tr><td>x<tbody><tr><td>yes",
        "<table><tr><td><div style=display:none><tr><td>yes",
        "<table><colgroup style=display:none><tr><td>yes",
        "<svg style=display:none><font color=red>yes",
        "<svg style=display:none></p>yes",
        "<svg><font color=red><style><!--</style>yes",
        "<image style=display:none>yes",
        "<param style=display:none>yes",
        "<font color=white><a href=x>yes</a></font>",
        "<font color=white><mark>yes</mark></font>",
        "<font color=fff>yes</font>",
        "<font color=transparent>yes</font>",
        "<div bgcolor=black>yes</div>",
        "<span color=white>yes</span>",
        "<i style='color:ffffff'>yes</i>",
        "<div style='background:#000'><i style='background:#ffffff00;color:#fff'>yes</i></div>",
        "<div style='font-size:0'><table><tr><td>yes</table></div>",
        "<div style='font-size:0'><textarea>yes</textarea></div>",
        "<style type=text/x>.c{display:none}</style><i class=c>yes</i>",
        "<template><style>.c{display:none}</style></template><i class=c>yes</i>",
        "<style>@media (min-width:100px){.c{display:none}}</style><i class=c>yes</i>",
        "<style>.c{display:none}</style><i class=c>yes</i><STYLE >.c{display:inline}</style>",
    ] {
        let seen = of_html(html);
        assert!(seen.ends_with("yes"), "{html}: {seen}");
    }
}

#[test]
fn what_stands_too_deep_to_be_known_is_seen() {
    let deep = |open: &str| format!("{}{open}", "<b>".repeat(200));
    for (html, expected) in [
        (deep("yes"), "yes"),
        (deep("<i style='display:none'>yes</i> yes<script>no</script>"), "yes yes"),
        (format!("<div style='display:none'>no{}", deep("yes</div> yes")), "yes yes"),
    ] {
        assert_eq!(of_html(&html), expected, "{html}");
    }
}

#[test]
fn what_one_tag_says_is_bounded_and_the_rest_is_read() {
    let words = "random words / ".repeat(3000);
    for html in [
        format!("yes<!-- {words} -->"),
        format!("<p title=\"{words}\">yes"),
        format!("<img src=\"data:image/png;base64,{}\">yes", "ab/cd/".repeat(20_000)),
    ] {
        assert_eq!(of_html(&html), "yes");
    }
    let many: String = (0..20_000).map(|at| format!("a{at} ")).collect();
    assert_eq!(of_html(&format!("<p {many}>yes")), "yes");
}

#[test]
fn of_many_parts_those_are_read_that_are_shown() {
    let part = |fields: &str, body: &str| format!("--b\r\n{fields}\r\n\r\n{body}\r\n");
    let mail = |kind: &str, parts: &[String]| {
        shown(&format!("Content-Type: multipart/{kind}; boundary=b\r\n\r\n{}--b--\r\n", parts.concat()))
            .replace('\n', " ")
    };
    let html = |body: &str| part("Content-Type: text/html", body);
    let plain = |body: &str| part("Content-Type: text/plain", body);
    let words = "a word and another ".repeat(10);
    for (kind, parts, expected) in [
        ("alternative", vec![html("one"), html("two")], "two"),
        ("alternative", vec![plain("one"), html("two"), plain("three")], "two"),
        ("alternative", vec![plain("one"), plain("two")], "two"),
        ("alternative", vec![plain(&"one ".repeat(80_000)), html("two")], "two"),
        ("related", vec![html("one"), html("two")], "one"),
        ("related", vec![plain("one"), html("two")], "two"),
        (
            "related; start=\"<x@y>\"",
            vec![html("one"), part("Content-Type: text/html\r\nContent-ID: <x@y>", "two")],
            "two",
        ),
        ("mixed", vec![html("one"), html("two")], "one two"),
        ("mixed", vec![plain("one"), part("Content-Type: message/rfc822", "\r\ntwo")], "one  two"),
        ("mixed", vec![plain(&words), part("Content-Type: message/rfc822", "\r\ntwo")], words.trim()),
        (
            "mixed",
            vec![plain("one"), part("Content-Type: message/rfc822\r\nContent-Disposition: attachment", "\r\ntwo")],
            "one",
        ),
        (
            "mixed",
            vec![
                plain("one"),
                part(
                    "Content-Type: application/pdf; name=a.eml",
                    "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\ntwo\r\n--c--",
                ),
            ],
            "one",
        ),
    ] {
        assert_eq!(
            mail(kind, &parts).split_whitespace().collect::<Vec<_>>(),
            expected.split_whitespace().collect::<Vec<_>>(),
            "{kind}"
        );
    }
    assert_eq!(shown("Content-Disposition: attachment\r\n\r\nyes"), "yes");
}

#[test]
fn of_alternatives_the_html_is_shown() {
    let mail = |plain: &str, html: &str| {
        text(format!(
            "Content-Type: multipart/mixed; boundary=m\r\n\r\npreamble\r\n--m\r\n\
             Content-Type: multipart/alternative; boundary=a\r\n\r\n\
             --a\r\n\r\n{plain}\r\n--a\r\nContent-Type: text/html\r\n\r\n{html}\r\n--a--\r\nepilogue\r\n\
             --m\r\n\r\nsignature\r\n--m\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nattached\r\n--m--\r\n"
        ))
    };
    let lines = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let both = mail("plain", "<p>html</p>");
    assert_eq!((lines(&both.shown), lines(&both.other)), ("html signature".into(), "plain".into()));
    let empty = mail("plain", "<img src=x>");
    assert_eq!((lines(&empty.shown), lines(&empty.other)), ("plain signature".into(), String::new()));
}

#[test]
fn encodings_are_undone() {
    for (fields, body, expected) in [
        ("Content-Transfer-Encoding: base64", "aGVsbG8=", "hello"),
        ("Content-Transfer-Encoding: quoted-printable", "hel=\r\nl=6F", "hello"),
        (
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable",
            "gr=FC=DFe",
            "grüße",
        ),
        ("Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64", "8NLJ18XU", "Привет"),
    ] {
        assert_eq!(shown(&format!("{fields}\r\n\r\n{body}")), expected, "{fields}");
    }
}

#[test]
fn tags_are_told_whatever_the_text() {
    let tags = |html: &str| text(format!("Content-Type: text/html\r\n\r\n{html}")).tags;
    assert_eq!(tags("<table><tr><td>one<b>!</b></table>"), tags("<TABLE class=x><tr><td>two</table>"));
    assert_ne!(tags("<table><tr><td>one</table>"), tags("<div>one</div>"));
}

#[test]
fn a_large_message_is_read_in_part() {
    let text = text(format!("Content-Type: text/html\r\n\r\n{}", "<p>word</p>".repeat(200_000)));
    assert!(text.truncated && text.shown.len() <= MAX_TEXT && text.tags.len() == MAX_TAGS);
}

proptest! {
    #[test]
    fn whatever_it_is_it_is_read_within_bounds(
        html in proptest::collection::vec(
            prop_oneof![
                Just("<p>"), Just("</p>"), Just("<div style='display:none'>"), Just("</div>"), Just("<td>"), Just("<"),
                Just("word "), Just("&#0;"), Just("<style>.a{"), Just("</style>"), Just("<!--"), Just("-->"), Just("ü"),
            ],
            0..200,
        )
    ) {
        let text = text(format!("Content-Type: text/html; charset=utf-8\r\n\r\n{}", html.concat()));
        prop_assert!(text.shown.len() <= MAX_TEXT && text.tags.len() <= MAX_TAGS);
        prop_assert!(!text.shown.contains("<p>"));
    }
}

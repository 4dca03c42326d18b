//! What is known of a message: a table for each thing.

use proptest::prelude::*;

use super::*;

fn model(octets: impl Into<Vec<u8>>) -> Model {
    let octets = octets.into();
    let len = octets.len() as u64;
    Model::of(&Message::new(octets, len))
}

/// A message with these lines of MIME fields, and this body.
fn with(fields: &str, body: &str) -> Model {
    model(
        format!("From: a@b.example\r\nSubject: x\r\n{fields}\r\n\r\n{body}\r\n")
            .replace('\n', "\r\n")
            .replace("\r\r\n", "\r\n"),
    )
}

fn html(source: &str) -> Model {
    with("Content-Type: text/html; charset=utf-8", source)
}

fn oddities(model: &Model) -> Vec<Oddity> {
    model.oddities.iter().map(|(oddity, _)| *oddity).collect()
}

const MIXED: &str = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b";

#[test]
fn fields_are_decoded_and_found_again() {
    let octets = b"From: =?utf-8?q?J=C3?= =?utf-8?q?=A4?= <a@b>\r\nSUBJECT:\r\n folded\r\n  twice \r\nX\xff: \r\n\r\n";
    let read = model(octets.to_vec());
    let fields: Vec<(&str, &str)> = read.fields.iter().map(|field| (&*field.name, &*field.value)).collect();
    assert_eq!(fields, [("From", "J\u{e4} <a@b>"), ("SUBJECT", "folded twice")]);
    let raw: Vec<&[u8]> = read.fields.iter().map(|field| &octets[field.raw.clone()]).collect();
    assert_eq!(raw, [&b" =?utf-8?q?J=C3?= =?utf-8?q?=A4?= <a@b>"[..], b"\r\n folded\r\n  twice "]);
    assert_eq!(read.fields_named("subject").count(), 1);
}

#[test]
fn parts_say_what_they_are() {
    let read = with(
        MIXED,
        "--b\nContent-Type: multipart/alternative; boundary=\"c d\"\n\n--c d\n\nplain\n--c d\n\
         Content-Type: Text/HTML; charset=ISO-8859-1\nContent-Transfer-Encoding: Quoted-Printable\nContent-ID: <x>\n\n\
         <p>h=E4</p>\n--c d--\n--b\nContent-Type: application/pdf; name=n.pdf\n\
         Content-Disposition: Attachment; filename*=utf-8''%C3%A4.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0x\n--b--",
    );
    let parts: Vec<_> =
        read.parts.iter().map(|part| (part.depth, part.parent, &*part.content_type, &*part.encoding)).collect();
    assert_eq!(
        parts,
        [
            (0, 0, "multipart/mixed", ""),
            (1, 0, "multipart/alternative", ""),
            (2, 1, "text/plain", ""),
            (2, 1, "text/html", "quoted-printable"),
            (1, 0, "application/pdf", "base64"),
        ]
    );
    assert_eq!(read.parts[3].charset.as_deref(), Some("iso-8859-1"));
    assert!(read.parts[3].has_content_id);
    assert_eq!((&*read.parts[4].disposition, read.parts[4].name.as_deref()), ("attachment", Some("\u{e4}.pdf")));
    assert_eq!(read.shown, "h\u{e4}\n");
    let texts: Vec<_> = read.texts.iter().map(|text| (text.part, text.is_html, text.is_shown)).collect();
    assert_eq!(texts, [(2, false, false), (3, true, true)]);
    let [file] = &read.attachments[..] else { panic!("{:?}", read.attachments) };
    assert_eq!((file.part, &*file.declared, file.detected, file.octets), (4, "application/pdf", "pdf", 6));
    assert_eq!(oddities(&read), []);
}

#[test]
fn text_that_is_not_seen_is_told_apart() {
    for (source, shown, hidden) in [
        ("<p>seen</p>", "seen\n", ""),
        ("<p>seen<span style='display:none'>not  <b>se</b>en</span></p>", "seen\n", "not seen"),
        ("a<font color=white>b</font><div style='font-size:0'>c&amp;d</div>e", "a\ne", "b c&d"),
        ("<title>t</title><script>s</script><style>p{}</style>a", "a", ""),
        ("<div style='position:absolute;left:-9999px'>far<br>off</div>a", "a", "far off"),
    ] {
        let read = html(source);
        assert_eq!((read.shown.trim_end(), &*read.hidden), (shown.trim_end(), hidden), "{source}");
    }
}

#[test]
fn links_know_where_they_stand() {
    let read = html(
        "<a href='http://a.example/x'><b>Click</b><br>here <span style='display:none'>no</span></a> http://b.example, \
         <a href=\"https://c.example\">http://bank.example</a> <img src=http://d.example/p.gif width=1 height=1>\
         <form action='http://e.example/'></form><iframe src=//f.example></iframe>\
         <div style=\"background:url(http://g.example/)\"><a href='#x'>y</a><img src='cid:z'>",
    );
    let links: Vec<_> = read.links.iter().map(|link| (link.origin, &*link.target, &*link.shown)).collect();
    assert_eq!(
        links,
        [
            (Origin::Anchor, "http://a.example/x", "Click here"),
            (Origin::Text, "http://b.example", ""),
            (Origin::Anchor, "https://c.example", "http://bank.example"),
            (Origin::Picture, "http://d.example/p.gif", ""),
            (Origin::Form, "http://e.example/", ""),
            (Origin::Other, "http://f.example", ""),
            (Origin::Other, "http://g.example/", ""),
        ]
    );
    let read = model(
        "Subject: see www.a.com/x\r\nList-Unsubscribe: <http://l.example>\r\n\r\nwww.b.com/y?z=1, (http://c.example/d).\r\n",
    );
    let links: Vec<_> = read.links.iter().map(|link| (link.origin, &*link.target)).collect();
    assert_eq!(
        links,
        [
            (Origin::Header, "http://www.a.com/x"),
            (Origin::Text, "http://www.b.com/y?z=1"),
            (Origin::Text, "http://c.example/d"),
        ]
    );
}

#[test]
fn html_is_counted() {
    let read = html(
        "<html><body onload='x()'><!-- c --><form><input type=password><input name=a><input type=hidden></form>\
         <img src=http://a.example/1 width=1><img src=cid:x><img src='data:x'><script>y</script></b><iframe></iframe>\
         <meta http-equiv=refresh content='0;url=http://b.example/'><div>",
    );
    let facts = HtmlFacts {
        octets: read.html.octets,
        tags: 13,
        remote_pictures: 1,
        own_pictures: 2,
        pixels: 1,
        forms: 1,
        password_fields: 1,
        input_fields: 1,
        scripts: 2,
        frames: 1,
        refreshes: 1,
        comments: 1,
        faults: 2,
    };
    assert_eq!(read.html, facts);
}

#[test]
fn what_is_unusual_is_told() {
    const TWO: &str = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b; boundary=c";
    let long = "a".repeat(1100);
    for (fields, body, expected) in [
        ("Content-Type: text/plain", "hello", &[][..]),
        (MIXED, "This is a message in MIME format.\n--b\n\nhello\n--b--\n", &[]),
        ("To: a@b\nTo: c@d", "x", &[Oddity::DuplicateField]),
        ("Content-Type: text/plain\nContent-Type: text/html", "x", &[Oddity::DuplicateMimeField]),
        (TWO, "--b\n\nx\n--b--\n", &[Oddity::DuplicateParameter]),
        ("Content-Type: multipart/mixed", "x", &[Oddity::NoBoundary]),
        (MIXED, "x", &[Oddity::NoBoundary]),
        (MIXED, "--b\n\nx\n", &[Oddity::UnclosedBoundary]),
        (MIXED, &format!("{long}\n--b\n\nx\n--b--"), &[Oddity::LongLine, Oddity::TextOutside]),
        (MIXED, "--b\n\nx\n--b--\nand more than a few words of it", &[Oddity::TextOutside]),
        (MIXED, "see http://a.example/\n--b\n\nx\n--b--\n", &[Oddity::TextOutside]),
        (
            MIXED,
            "--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\nx\n--bb--\n--b--",
            &[Oddity::AmbiguousBoundary],
        ),
        ("Content-Transfer-Encoding: x-uuencode", "x", &[Oddity::OddEncoding]),
        ("Content-Transfer-Encoding: base64, base64", "eA==", &[Oddity::OddEncoding]),
        (&format!("{MIXED}\nContent-Transfer-Encoding: base64"), "--b\n\nx\n--b--", &[Oddity::OddEncoding]),
        ("Content-Transfer-Encoding: base64", "aGVs*bG8=", &[Oddity::BrokenBase64]),
        ("Content-Transfer-Encoding: base64", "aGVsb", &[Oddity::BrokenBase64]),
        ("Content-Type: text/plain; charset=utf-8", "\u{e4}", &[]),
        ("Content-Type: text/plain; charset=us-ascii", "\u{e4}", &[Oddity::BrokenCharset]),
        ("Content-Type: text/plain; charset=nobody", "x", &[Oddity::BrokenCharset]),
        (
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable",
            "=E4",
            &[Oddity::BrokenCharset],
        ),
        ("Content-Type: text/(plain)html", "x", &[Oddity::Comments]),
        ("X-A: \u{e4}", "x", &[Oddity::EightBitHeader]),
        ("X-A: =?utf-8?q?=E4?=", "x", &[Oddity::BrokenEncodedWord]),
        ("X-A : b", "x", &[Oddity::BrokenField]),
        ("X-A: b\nno field\nX-B: c", "x", &[Oddity::BrokenField]),
        ("X-A: b\nno field", "x", &[Oddity::NoHeaderEnd]),
        ("X-A: b", "a\u{1}b", &[Oddity::ControlCharacters]),
        ("Content-Type: message/partial; id=x; number=1", "x", &[Oddity::Elsewhere]),
        ("Content-Type: message/external-body; access-type=URL", "x", &[Oddity::Elsewhere]),
    ] {
        let read = with(fields, body);
        assert_eq!(oddities(&read), expected, "{fields} {body} {:?}", read.oddities);
    }
}

#[test]
fn every_reading_is_read() {
    const LINK: &str = "http://evil.example/";
    const HIDDEN: &str = "aHR0cDovL2V2aWwuZXhhbXBsZS8=";
    for (fields, body) in [
        // Two boundaries, in one field or in two.
        (
            "Content-Type: multipart/mixed; boundary=b; boundary=c".to_owned(),
            format!("--c\nContent-Transfer-Encoding: base64\n\n{HIDDEN}\n--c--"),
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\nContent-Type: multipart/mixed; boundary=c".to_owned(),
            format!("--c\nContent-Transfer-Encoding: base64\n\n{HIDDEN}\n--c--"),
        ),
        (
            "Content-Type: multipart/mixed; boundary=c d".to_owned(),
            format!("--c\nContent-Transfer-Encoding: base64\n\n{HIDDEN}\n--c--"),
        ),
        // Two encodings.
        ("Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64".to_owned(), HIDDEN.to_owned()),
        // A comment.
        ("Content-Transfer-Encoding: (x) base64".to_owned(), HIDDEN.to_owned()),
        (
            "Content-Type: (x)multipart/(y)mixed (z); boundary=(w)c".to_owned(),
            format!("--c\nContent-Transfer-Encoding: base64\n\n{HIDDEN}\n--c--"),
        ),
        // Behind the end.
        (MIXED.to_owned(), format!("--b\n\nx\n--b--\n--b\n\n{LINK}\n--b--\n")),
        // Clear text within base64.
        ("Content-Transfer-Encoding: base64".to_owned(), format!("aGVs {LINK}")),
        // Behind a line that is no field.
        ("Content-Type: text/plain\nno field\nContent-Transfer-Encoding: base64".to_owned(), HIDDEN.to_owned()),
        // In continued parameters.
        (
            "Content-Type: multipart/mixed; boundary*0=\"c\"; boundary*1=d".to_owned(),
            format!("--cd\nContent-Transfer-Encoding: base64\n\n{HIDDEN}\n--cd--"),
        ),
    ] {
        let read = with(&fields, &body);
        assert!(read.links.iter().any(|link| &*link.target == LINK), "{fields}\n{body}\n{:?}", read.links);
        assert!(read.found.hosts.iter().any(|host| &**host == "evil.example"));
    }
}

#[test]
fn files_are_looked_into() {
    const ZIP: &str = "UEsDBBQAAQAAAAAAAAAAAAAAAAAAAAAAAAAKAAAAaW52b2ljZS5qcw==";
    for (fields, body, expected) in [
        (
            "Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64",
            ZIP,
            "a.zip zip application/zip zip 40 encrypted [invoice.js]",
        ),
        ("Content-Type: text/plain; name=\"=?utf-8?b?w6Q=?=.txt\"", "x", "\u{e4}.txt txt text/plain  1 []"),
        ("Content-Disposition: attachment; filename*0=a; filename*1=.pdf", "MZ.", "a.pdf pdf text/plain exe 3 []"),
        ("Content-Type: image/png\nContent-ID: <x>", "x", "  image/png  1 picture []"),
        ("Content-Type: message/rfc822", "Subject: y\n\nz", ""),
        ("Content-Type: text/html\nContent-Disposition: inline", "<p>", ""),
    ] {
        let read = with(MIXED, &format!("--b\n{fields}\n\n{body}\n--b--"));
        let told: Vec<String> = read
            .attachments
            .iter()
            .map(|file| {
                let flags =
                    [(file.is_encrypted, " encrypted"), (file.has_macros, " macros"), (file.is_picture, " picture")];
                let flags: String = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name).collect();
                // The line end before a delimiter is counted where nothing encodes it.
                let octets = file.octets - usize::from(!fields.contains("base64")) * 2;
                let Attachment { name, extension, declared, detected, .. } = file;
                format!("{name} {extension} {declared} {detected} {octets}{flags} [{}]", file.entries.join(" "))
            })
            .collect();
        assert_eq!(told.join("\n"), expected, "{fields}");
    }
    let whole = model("Content-Type: application/pdf\r\n\r\n%PDF-1");
    assert_eq!(whole.attachments.iter().map(|file| file.detected).collect::<Vec<_>>(), ["pdf"]);
}

#[test]
fn alternatives_that_say_different_things() {
    let of = |plain: &str, page: &str| {
        let body = format!("--b\n\n{plain}\n--b\nContent-Type: text/html\n\n<p>{page}</p>\n--b--");
        oddities(&with("Content-Type: multipart/alternative; boundary=b", &body)).contains(&Oddity::AlternativesDiffer)
    };
    let one = "seven little words about gardens flowers trees bushes and birds that sing";
    let other = "cheap pills without prescription ordered online shipped worldwide within three days guaranteed";
    for (plain, page, expected) in
        [(one, one, false), (one, other, true), ("short note", other, false), (one, "", false)]
    {
        assert_eq!(of(plain, page), expected, "{plain} {page}");
    }
}

#[test]
fn bounds_hold() {
    let nested = "Content-Type: message/rfc822\n\n".repeat(100);
    let read = with("Content-Type: message/rfc822", &nested);
    assert!(read.is_cut && oddities(&read).contains(&Oddity::TooMuch) && read.parts.len() < 30);
    let many = format!("{}--b--", "--b\n\nx\n".repeat(1000));
    let read = with(MIXED, &many);
    assert!(read.is_cut && read.parts.len() <= 200);
    let read = with(&"X-A: b\n".repeat(3000), "x");
    assert!(read.is_cut && read.fields.len() <= 2000);
    let read = html(&"<a href=http://a.example/>".repeat(3000));
    assert_eq!(read.links.len(), 1);
    let links: String = (0..2000).map(|at| format!("<a href=http://a.example/{at}>")).collect();
    let read = html(&links);
    assert!(read.is_cut && read.links.len() <= 500);
}

proptest! {
    #[test]
    fn any_octets_are_read(octets in pieces()) {
        let read = model(octets.clone());
        for field in &read.fields {
            prop_assert!(octets.get(field.raw.clone()).is_some());
        }
        for part in &read.parts {
            prop_assert!(part.parent < read.parts.len());
        }
        for text in &read.texts {
            prop_assert!(text.part < read.parts.len());
        }
    }
}

/// Octets that look like a message now and then.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"Content-Type: multipart/mixed; boundary=b\r\n".to_vec()),
        Just(b"Content-Type: text/html\r\n".to_vec()),
        Just(b"Content-Type: message/rfc822\r\n".to_vec()),
        Just(b"Content-Type: application/zip; name=\"a.zip\"\r\n".to_vec()),
        Just(b"Content-Transfer-Encoding: base64\r\n".to_vec()),
        Just(b"\r\n--b\r\n".to_vec()),
        Just(b"\r\n--b--\r\n".to_vec()),
        Just(b"PK\x03\x04".to_vec()),
        Just(b"PK\x05\x06".to_vec()),
        Just(b"UEsDBA".to_vec()),
        Just(b"<a href=\"http://a.example/?u=http%3a//b.example".to_vec()),
        Just(b"\"><p style=\"display:none\">".to_vec()),
        Just(b"</a>".to_vec()),
        Just(b"=?utf-8?q?=C3?=".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

//! What was tried to hide something from the model.

use super::{Message, Model, Oddity, Origin};
use crate::message::model::files::tests::archive;

fn model(octets: impl Into<Vec<u8>>) -> Model {
    let octets = octets.into();
    let len = octets.len() as u64;
    Model::of(&Message::new(octets, len))
}

/// A message with these fields and this body.
fn with(fields: &str, body: &str) -> Model {
    model(format!("From: a@b.example\n{fields}\n\n{body}\n").replace('\n', "\r\n"))
}

fn has(model: &Model, oddity: Oddity) -> bool {
    model.oddities.iter().any(|(known, _)| *known == oddity)
}

const MIXED: &str = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b";

#[test]
fn of_several_names_the_one_of_the_disposition_counts_and_one_that_runs() {
    for (fields, expected) in [
        ("Content-Type: text/plain; name=a.txt\nContent-Disposition: attachment; filename=b.pdf", "b.pdf"),
        ("Content-Type: text/plain; name=a.txt\nContent-Disposition: attachment; filename=a.exe", "a.exe"),
        ("Content-Type: text/plain; name=a.exe\nContent-Disposition: attachment; filename=a.txt", "a.exe"),
        ("Content-Type: text/plain\nContent-Disposition: attachment; filename=a; filename=b; filename=c.js", "c.js"),
    ] {
        let read = with(MIXED, &format!("--b\n{fields}\n\nx\n--b--"));
        assert_eq!(read.attachments.iter().map(|file| &*file.name).collect::<Vec<_>>(), [expected], "{fields}");
    }
    let whole = with("Content-Type: text/plain; name=a.js\nContent-Disposition: attachment", "x");
    assert_eq!(whole.attachments.iter().map(|file| &*file.extension).collect::<Vec<_>>(), ["js"]);
}

#[test]
fn of_too_many_readings_the_last_is_read() {
    let encodings = "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: quoted-printable\n\
                     Content-Transfer-Encoding: base64";
    let read = with(encodings, "aGVsbG8=");
    assert!(read.texts.iter().any(|text| &*text.shown == "hello"));
    let read = with(
        MIXED,
        "--b\nContent-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: 7bit\n\
         Content-Transfer-Encoding: base64\n\nTVqQAAMAAAA=\n--b--",
    );
    assert_eq!(read.attachments.iter().map(|file| file.detected).collect::<Vec<_>>(), ["exe"]);
    assert!(has(&read, Oddity::TypeMismatch));
}

#[test]
fn files_within_a_text_are_attachments() {
    let read = with("Subject: x", "hello\nbegin 644 a.exe\n#35J0\n`\nend\nbegin 644 b.txt\n#0V%T\n`\nend");
    let files: Vec<_> = read.attachments.iter().map(|file| (&*file.name, file.octets, file.detected)).collect();
    assert_eq!(files, [("a.exe", 3, "exe"), ("b.txt", 3, "")]);
    let encoded = with(
        "Content-Type: application/octet-stream; name=a.txt\nContent-Transfer-Encoding: x-uuencode",
        "begin 644 a.exe\n#35J0\n`\nend",
    );
    assert_eq!(encoded.attachments.iter().map(|file| file.detected).collect::<Vec<_>>(), ["exe"]);
}

#[test]
fn fields_that_matter_are_kept_behind_any_number_of_others() {
    let read = with(&format!("{}Subject: here", "X-A: b\n".repeat(3000)), "x");
    assert!(read.is_cut && has(&read, Oddity::TooMuch));
    assert_eq!(read.fields_named("subject").map(|field| &*field.value).collect::<Vec<_>>(), ["here"]);
    let read = with(&"Subject: x\n".repeat(3000), "x");
    assert!(read.fields.len() <= 2100);
}

#[test]
fn the_last_links_are_kept() {
    let links: String = (0..600).map(|at| format!("<a href=http://a.example/{at}></a>")).collect();
    let read = with("Content-Type: text/html", &format!("{links}<a href=http://evil.example/>http://bank.example</a>"));
    let last = read.links.last().expect("links");
    assert_eq!((&*last.target, &*last.shown), ("http://evil.example/", "http://bank.example"));
    assert!(read.is_cut && read.links.len() <= 500);
}

#[test]
fn what_runs_is_found_among_any_number_of_files() {
    let file = |octets: &[u8]| {
        let mut message = b"Content-Type: application/zip; name=a.zip\r\n\r\n".to_vec();
        message.extend(octets);
        model(message)
    };
    let many = |last: &str| {
        let names: Vec<String> = (0..600).map(|at| format!("doc{at}.txt")).chain([last.to_owned()]).collect();
        archive(&names.iter().map(String::as_str).collect::<Vec<_>>(), 0)
    };
    let read = file(&many("invoice.js"));
    assert!(read.is_cut);
    assert!(read.attachments.iter().all(|file| file.entries.iter().any(|entry| &**entry == "invoice.js")));
    let pictures: Vec<String> = (0..600).map(|at| format!("word/media/{at}.png")).collect();
    let names = ["[Content_Types].xml"].into_iter().chain(pictures.iter().map(String::as_str));
    let names: Vec<&str> = names.chain(["word/vbaProject.bin"]).collect();
    assert!(file(&archive(&names, 0)).attachments.iter().all(|file| file.detected == "docx" && file.has_macros));
    for (octets, expected) in [
        ([b"any octets before it".to_vec(), archive(&["a.js"], 0)].concat(), "a.js"),
        (archive(&["a.js."], 0), "a.js"),
        (archive(&["a.js. ."], 0), "a.js"),
    ] {
        let read = file(&octets);
        let [file] = &read.attachments[..] else { panic!("one") };
        assert_eq!((file.detected, file.entries.join(" ")), ("zip", expected.to_owned()));
    }
}

#[test]
fn links_start_where_the_page_says() {
    let read = with(
        "Content-Type: text/html",
        "<a href=before>x</a><base href='http://evil.example/d/'><base href='http://other.example/'>\
         <a href=login.html>x</a><a href='/x?y'>x</a><a href='#top'>x</a><a href='http://a.example/'>x</a>\
         <form action=send></form>",
    );
    let links = |origin| -> Vec<&str> {
        read.links.iter().filter(|link| link.origin == origin).map(|link| &*link.target).collect()
    };
    assert_eq!(
        links(Origin::Anchor),
        [
            "http://evil.example/d/before",
            "http://evil.example/d/login.html",
            "http://evil.example/x?y",
            "http://a.example/"
        ]
    );
    assert_eq!(links(Origin::Form), ["http://evil.example/d/send"]);
}

#[test]
fn what_others_show_stands_beside() {
    for (fields, body) in [
        (MIXED, "words of a stranger\n--b\n\nhello\n--b--"),
        (MIXED, "--b\n\nhello\n--b--\nwords of a stranger"),
        (MIXED, "--b\n\nhello\n--b\nContent-Disposition: attachment; filename=a.txt\n\nwords of a stranger\n--b--"),
        (
            MIXED,
            "--b\n\nso many words of a cover that nothing else is shown, word after word, one more word and another \
             word, word upon word upon word, until there are enough of them to be a text\n--b\n\
             Content-Type: message/rfc822\n\nSubject: x\n\nwords of a stranger\n--b--",
        ),
        ("Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: quoted-printable", "=77ords of a stranger"),
    ] {
        let read = with(fields, body);
        assert!(read.beside.contains("words of a stranger"), "{body}");
        assert!(!read.shown.contains("words of a stranger"), "{body}");
    }
    let plain = with("Subject: x", "hello");
    assert_eq!(plain.beside, "");
}

#[test]
fn what_is_signed_is_read() {
    // Signed data with `Content-Type: text/html`, an empty line and `<b>hel` in it.
    let signed = "MEYGCSqGSIb3DQEHAqA5MDcCAQExADAuBgkqhkiG9w0BBwGgIQQfQ29udGVudC1UeXBlOiB0ZXh0L2h0bWwKCjxiPmhlbDEA";
    let read = with(
        "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\n\
         Content-Disposition: attachment; filename=smime.p7m\nContent-Transfer-Encoding: base64",
        signed,
    );
    assert_eq!(read.shown.trim(), "hel");
}

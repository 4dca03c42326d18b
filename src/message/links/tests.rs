//! What messages show, and how they hide it.

use proptest::prelude::*;

use super::*;

fn links(octets: impl Into<Vec<u8>>) -> Links {
    let octets = octets.into();
    let len = octets.len() as u64;
    Links::of(&Message::new(octets, len))
}

/// Hosts and addresses, in one line.
fn shown(links: &Links) -> String {
    let mut all: Vec<&str> = links.hosts.iter().chain(&links.addresses).map(|one| &**one).collect();
    if links.truncated {
        all.push("...");
    }
    all.join(" ")
}

fn in_text(text: &str) -> String {
    shown(&links(format!("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n")))
}

fn in_html(html: &str) -> String {
    shown(&links(format!("Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n")))
}

#[test]
fn links_in_text() {
    for (text, expected) in [
        ("see http://example.com/x for more", "example.com"),
        ("see HTTPS://EXAMPLE.COM.", "example.com"),
        ("http://example.com. Next", "example.com"),
        ("(http://example.com/a)", "example.com"),
        ("<http://example.com>", "example.com"),
        ("\"http://example.com\",'http://b.example.org'", "example.com b.example.org"),
        ("http://a.example.com,http://b.example.com;http://c.example.com", "a.example.com b.example.com c.example.com"),
        ("http://example.com:8080/x", "example.com"),
        ("http://user:pass@example.com/", "example.com"),
        ("http://good.example.com@evil.example.net/x", "evil.example.net"),
        ("http://good.com:80@a@evil.net", "evil.net"),
        ("http://2130706433/", "127.0.0.1"),
        ("http://0x7f.1/", "127.0.0.1"),
        ("http://0300.0.2.1/x", "192.0.2.1"),
        ("http://192.0.2.1:8080/x", "192.0.2.1"),
        ("http://[2001:DB8::1]:80/x", "2001:db8::1"),
        ("http://[::ffff:192.0.2.7]/", "192.0.2.7"),
        ("http://%65xample.com/", "example.com"),
        ("http://exam\u{ad}ple.com/", "example.com"),
        ("http://exam\u{200b}ple.com/", "example.com"),
        ("http://b\u{fc}cher.example/", "xn--bcher-kva.example"),
        ("http://example\u{3002}com/", "example.com"),
        ("http:\\\\example.com\\x", "example.com"),
        ("http:////example.com/", "example.com"),
        ("clickhttp://example.com/", "example.com"),
        ("ftp://files.example.com/a", "files.example.com"),
        ("hxxp://example.com/", "example.com"),
        ("hXXps[:]//example[.]com/x", "example.com"),
        ("h**p://example.com", "example.com"),
        ("example[.]com and evil(dot)net", "example.com evil.net"),
        ("evil (dot) com/x", "evil.com"),
        ("(not a dot) [.] (dot) [dot", ""),
        ("www.example.com", "www.example.com"),
        ("go to example.com/offer now", "example.com"),
        ("example.com?x=1", "example.com"),
        ("visit Example.COM!", "example.com"),
        ("\u{8bbf}\u{95ee}www.example.com\u{83b7}\u{53d6}", "www.example.com"),
        ("http://example.com\u{83b7}\u{53d6}", "example.com"),
        ("\u{1d41e}\u{1d42f}\u{1d422}\u{1d425}.\u{1d41c}\u{1d428}\u{1d426}", "evil.com"),
        ("b\u{fc}cher.de", "xn--bcher-kva.de"),
        ("A sentence.It goes on. e.g. this, i.e. that, v1.2.3 and 3.14", ""),
        ("run main.rs and setup.py in /usr/lib/foo.so", ""),
        ("if (port.dev(x) = my_port.name) a.name[0]; x%40example.com", ""),
        ("example.rs/x", "example.rs"),
        ("index.html config.toml a.b.nosuchtld", ""),
        ("http://a.nosuchtld/x", "a.nosuchtld"),
        ("http://localhost/ http://intranet:80/x http:// http://. ://x", ""),
        ("http://-._.-/ http://a..b.com/ http://exa mple.c_m", ""),
        ("write to User.Name+tag@Example.COM.", "user.name+tag@example.com"),
        ("<o'neil@example.com>, 'x@example.org'", "o'neil@example.com x@example.org"),
        ("user[at]example[dot]com or user (at) example (dot) org", "user@example.com user@example.org"),
        ("email=user@example.com&x=1", "user@example.com"),
        ("a@b@example.com", "b@example.com"),
        ("@handle user@ @example.com user@localhost user@host.nosuchtld", ""),
        ("mailto:user@example.com", "user@example.com"),
        ("http://one.example.com/ http://one.example.com/x", "one.example.com"),
        ("https://www.google.com/url?q=https%3A%2F%2Fevil.example.net%2Fx&sa=D", "www.google.com evil.example.net"),
        ("https://l.facebook.com/l.php?u=https%3A%2F%2Fevil.net%2F", "l.facebook.com evil.net"),
        (
            "https://eur01.safelinks.protection.outlook.com/?url=http%3A%2F%2Fevil.net%2Fa&data=05",
            "eur01.safelinks.protection.outlook.com evil.net",
        ),
        ("https://urldefense.com/v3/__https://evil.net/x__;!!a$", "urldefense.com evil.net"),
        (
            "https://urldefense.proofpoint.com/v2/url?u=http-3A__www.evil.net_x&d=DwMF",
            "urldefense.proofpoint.com www.evil.net",
        ),
        ("https://r.example.com/?u=https%253A%252F%252Fevil.net%252F", "r.example.com evil.net"),
        ("https://r.example.com/?u=aHR0cHM6Ly9ldmlsLm5ldC94&x", "r.example.com evil.net"),
        ("https://r.example.com/http://a.net/http://b.net", "r.example.com a.net b.net"),
    ] {
        assert_eq!(in_text(text), expected, "{text}");
    }
}

#[test]
fn links_in_html() {
    for (html, expected) in [
        ("<a href=\"http://example.com/x\">click</a>", "example.com"),
        ("<A HREF=http://example.com/x>click", "example.com"),
        ("<a href='http://evil.net'>https://bank.example.com</a>", "evil.net bank.example.com"),
        ("<a href='http://exam&#112;le.com'>", "example.com"),
        ("<a href='ht\ntp://exa\tmple.com/'>", "example.com"),
        ("<a href=' \u{1}http://example.com'>", "example.com"),
        ("<a href='//example.com/x'>", "example.com"),
        ("<a href='/\\example.com/x'>", "example.com"),
        ("<a href='http:example.com/x'>", "example.com"),
        ("<a href='http:/\\/example.com/x'>", "example.com"),
        ("<a href='example.com/x'> <a href='www.example.org'> <a href='page.html'>", "example.com www.example.org"),
        ("<a href='example.com:8080/x'>", "example.com"),
        ("<a href='mailto:A@Example.com?cc=b%40example.org&subject=x'>", "a@example.com b@example.org"),
        ("<a href='mailto:Name%20%3Ca@example.com%3E,b@example.com'>", "a@example.com b@example.com"),
        ("<a href='javascript:location=\"http://evil.net/\"'>", "evil.net"),
        ("<img src=http://a.example.com/x.gif><img src='cid:x@example.com'>", "a.example.com"),
        ("<img src='data:image/png;base64,aHR0cDovL2V2aWwubmV0'>", ""),
        ("<form action=http://a.example.com><button formaction='http://b.example.com'>", "a.example.com b.example.com"),
        ("<body background='http://a.example.com/b.gif'>", "a.example.com"),
        ("<video poster='http://a.example.com/p'>", "a.example.com"),
        ("<svg><a xlink:href='http://a.example.com'/></svg>", "a.example.com"),
        ("<base href='http://a.example.com/'><a href=x.html>", "a.example.com"),
        ("<img srcset='http://a.example.com/1 1x, //b.example.com/2 2x'>", "a.example.com b.example.com"),
        ("<meta http-equiv=refresh content='0; URL=http://a.example.com/'>", "a.example.com"),
        ("<div style='background:url(http://a.example.com/x.png)'>", "a.example.com"),
        (
            "<style>td.im { background: url(\"http://a.example.com/x\") }</style>b.example.org",
            "a.example.com b.example.org",
        ),
        ("<script>if (a<b) document.location='http://evil.net'</script><a href=http://a.net>", "evil.net a.net"),
        ("<title>http://a.net <a href=x></title><a href=http://b.net>", "a.net b.net"),
        ("<noscript><a href=http://a.net></noscript>", "a.net"),
        ("<textarea><a href='http://a.net'></textarea>", "a.net"),
        ("<!-- http://hidden.net --><!--[if mso]><a href=http://a.net><![endif]-->", "a.net"),
        ("<!--><a href=http://a.net>-->", "a.net"),
        ("<a\0 href=http://a.net>", "a.net"),
        ("<a/href=http://a.net/x/>", "a.net"),
        ("<a b='>' href=http://a.net>", "a.net"),
        ("<a href=\"http://a.net", "a.net"),
        ("ev<b>il</b>.n<wbr>et", "evil.net"),
        ("evil<span style='font-size:0'></span>.net<br>other.net", "evil.net other.net"),
        ("<a href=x>a.net</a><a href=y>b.net</a>", "a.net b.net"),
        ("<td>a.net</td><td>b.net</td>", "a.net b.net"),
        ("us&#101;r&commat;example&period;com", "user@example.com"),
        ("<a href='http://good.com&#64;evil.net'>", "evil.net"),
        ("<v:roundrect href='http://a.net'>", "a.net"),
        ("<object data='http://a.net/x.swf'><embed src='http://b.net'>", "a.net b.net"),
        ("<plaintext><a href='http://a.net'>", "a.net"),
        ("<iframe src='http://a.net'>http://b.net</iframe>", "a.net b.net"),
    ] {
        assert_eq!(in_html(html), expected, "{html}");
    }
}

#[test]
fn parts_of_a_message() {
    const MIXED: &str = "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n";
    for (name, message, expected) in [
        ("no header section", "Hello!\r\nhttp://a.net".to_owned(), "a.net"),
        ("no content type", "A: b\r\n\r\nhttp://a.net".to_owned(), "a.net"),
        ("reply-to", "Reply-To: \"B, A\" <A@B.Test>, c@d.test\r\n\r\n".to_owned(), "a@b.test c@d.test"),
        ("subject", "Subject: =?utf-8?B?aHR0cDovL2EubmV0?=\r\n\r\n".to_owned(), "a.net"),
        ("base64", "Content-Transfer-Encoding: base64\r\n\r\naHR0cDovL2\r\nEubmV0L3g=\r\n".to_owned(), "a.net"),
        ("broken base64", "Content-Transfer-Encoding: base64\r\n\r\naHR0c*DovL2E#ubmV0L3g=\r\n".to_owned(), "a.net"),
        (
            "clear text said to be base64",
            "Content-Transfer-Encoding: base64\r\n\r\nGo to http://a.net/\r\n".to_owned(),
            "a.net",
        ),
        (
            "quoted-printable",
            "Content-Transfer-Encoding: Quoted-Printable\r\n\r\nhttp://exam=\r\nple=2Ecom/=".to_owned(),
            "example.com",
        ),
        (
            "two encodings",
            "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\naHR0cDovL2EubmV0L3g=".to_owned(),
            "a.net",
        ),
        (
            "two types",
            "Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n<a href='http&#58;//a.net'>".to_owned(),
            "a.net",
        ),
        (
            "charset",
            "Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\n\
             aAB0AHQAcAA6AC8ALwBhAC4AbgBlAHQALwA="
                .to_owned(),
            "a.net",
        ),
        (
            "alternatives",
            format!("{MIXED}pre.net\r\n--b\r\n\r\na.net\r\n--b\r\nContent-Type: text/html\r\n\r\n<a href=//b.net>\r\n--b--\r\npost.net"),
            "pre.net a.net b.net post.net",
        ),
        ("no delimiter", format!("{MIXED}<a href='http&#58;//a.net'>"), "a.net"),
        ("no end", format!("{MIXED}--b\r\n\r\na.net"), "a.net"),
        ("bare LF", format!("{MIXED}--b\n\na.net\n--b\n\nb.net\n--b--\n").replace("\r\n", "\n"), "a.net b.net"),
        (
            "boundary in the middle of a line",
            format!("{MIXED}--b\r\n\r\na.net text --b\r\n\r\nhttp://b.net\r\n--b--\r\n"),
            "a.net b.net",
        ),
        ("longer delimiter", format!("{MIXED}--b\r\n\r\na.net\r\n--bb\r\n\r\nb.net\r\n--b--\r\n"), "a.net b.net"),
        (
            "an attachment is not shown",
            format!("{MIXED}--b\r\nContent-Type: application/pdf\r\n\r\nhttp://a.net\r\n--b--\r\n"),
            "",
        ),
        (
            "but a page is",
            format!("{MIXED}--b\r\nContent-Type: application/octet-stream; name=\"Invoice.HTML\"\r\n\r\n<a href='http&#58;//a.net'>\r\n--b--\r\n"),
            "a.net",
        ),
        (
            "a page by the name that it is saved under",
            format!("{MIXED}--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n \
                     filename=\"invoice.html\"\r\n\r\n<a href='http&#58;//a.net'>\r\n--b--\r\n"),
            "a.net",
        ),
        (
            "a page by an encoded name",
            format!("{MIXED}--b\r\nContent-Disposition: attachment; filename*=utf-8''invoice%2Ehtml\r\n\
                     Content-Type: text/plain\r\n\r\n<a href='http&#58;//a.net'>\r\n--b--\r\n"),
            "a.net",
        ),
        (
            "a message by its name",
            format!("{MIXED}--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; \
                     filename=fwd.eml\r\nContent-Transfer-Encoding: base64\r\n\r\n\
                     QTogYg0KQ29udGVudC1UeXBlOiB0ZXh0L2h0bWwNCg0KPGEgaHJlZj0naHR0cCYjNTg7Ly9hLm5ldCc+\r\n--b--\r\n"),
            "a.net",
        ),
        (
            "a message within",
            format!("{MIXED}--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\nContent-Type: text/html\r\n\r\n<a href='//a.net'>\r\n--b--\r\n"),
            "a.net",
        ),
        (
            "an encoded message within",
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTogYg0KDQpodHRwOi8vYS5uZXQv".to_owned(),
            "a.net",
        ),
        (
            "a digest",
            "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\nContent-Transfer-Encoding: base64\r\n\r\naHR0cDovL2EubmV0\r\n--b--"
                .to_owned(),
            "a.net",
        ),
        (
            "within each other",
            format!("{MIXED}--b\r\nContent-Type: multipart/alternative; boundary=\"b-1\"\r\n\r\n--b-1\r\n\r\na.net\r\n--b-1--\r\n--b\r\n\r\nb.net\r\n--b--"),
            "a.net b.net",
        ),
        (
            "a continued boundary",
            "Content-Type: multipart/mixed;\r\n boundary*0=\"b\";\r\n boundary*1=\"c\"\r\n\r\n--bc\r\n\r\na.net\r\n--bc--".to_owned(),
            "a.net",
        ),
    ] {
        assert_eq!(shown(&links(message)), expected, "{name}");
    }
}

#[test]
fn bounds_hold_and_are_told() {
    let many = |count: usize, one: fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(" ");
    let hosts = links(format!("\r\n{}", many(MAX_HOSTS, |n| format!("http://h{n}.example.com"))));
    assert_eq!((hosts.hosts.len(), hosts.truncated), (MAX_HOSTS, false));
    let hosts = links(format!("\r\n{}", many(MAX_HOSTS + 1, |n| format!("http://h{n}.example.com"))));
    assert_eq!((hosts.hosts.len(), hosts.truncated), (MAX_HOSTS, true));
    assert_eq!(&*hosts.hosts[1], "h1.example.com");
    let addresses = links(format!("\r\n{}", many(MAX_ADDRESSES + 1, |n| format!("u{n}@example.com"))));
    assert_eq!((addresses.addresses.len(), addresses.truncated), (MAX_ADDRESSES, true));

    let repeated = links(format!("\r\n{}", many(25_000, |_| "http://a.net".to_owned())));
    assert_eq!(shown(&repeated), "a.net ...");

    let long = links(format!("\r\n{}http://a.net", "word ".repeat(1 << 18)));
    assert_eq!(shown(&long), "...");
    let nested = |depth: usize| {
        let depths = (0..depth).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"));
        format!("{}\r\nhttp://a.net", depths.collect::<String>())
    };
    assert_eq!(shown(&links(nested(20))), "a.net");
    assert_eq!(shown(&links(nested(21))), "...");
    let parts = |count| {
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b\r\n\r\na.net", "--b\r\n\r\n".repeat(count))
    };
    assert_eq!(shown(&links(parts(100))), "a.net");
    assert_eq!(shown(&links(parts(300))), "...");
}

#[test]
fn what_is_not_in_memory_is_left_out() {
    let head = Message::new(b"A: b\r\n\r\nhttp://a.net http://b.n".to_vec(), 1 << 30);
    assert_eq!(shown(&Links::of(&head)), "a.net b.n ...");
}

/// Each of these takes seconds to hours, or the stack, where the work is not bounded.
#[test]
fn hostile_messages_end_soon() {
    let html = |body: String| format!("Content-Type: text/html\r\n\r\n{body}");
    let many = 1 << 15;
    for message in [
        "Content-Type: message/rfc822\r\n\r\n".repeat(1 << 18),
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(many / 4),
        format!("Content-Type: multipart/mixed; boundary=-\r\n\r\n{}", "-".repeat(many)),
        format!("\r\n{}", "a._".repeat(many)),
        format!("\r\n{}", "a@".repeat(many)),
        format!("\r\n{}", "a.b@".repeat(many)),
        format!("\r\n{}", "http:/".repeat(many)),
        format!("\r\n{}", "http://".repeat(many)),
        format!("\r\n{}", "http://a.net?".repeat(many / 4)),
        format!("\r\n{}", "[dot](at)".repeat(many / 4)),
        format!("\r\n{}", "\u{fc}".repeat(many)),
        format!("\r\nhttp://{}.com", "\u{fc}".repeat(many)),
        format!("\r\n{}", "http://\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}.com ".repeat(many / 16)),
        html(format!("<a {}", (0..many / 4).map(|n| format!("{n:x} ")).collect::<String>())),
        html(format!("<a {}", (0..many / 4).map(|n| format!("a{n:x}='>'")).collect::<String>())),
        html("<a ".repeat(many)),
        html("<!--[if ".repeat(many / 4)),
        html("<div><b>".repeat(many / 4)),
        html("<style>".repeat(many / 4)),
        html("&amp".repeat(many)),
        html(format!("<a href='http://a.net/{}", "%2525".repeat(many / 4))),
        html("<a href=http://a.net/?u=aHR0cDovL2EubmV0aHR0c>".repeat(many / 32)),
    ] {
        let start = message.get(..60.min(message.floor_char_boundary(60))).unwrap_or_default().to_owned();
        let began = std::time::SystemTime::now();
        let links = links(message);
        let took = began.elapsed().unwrap_or_default();
        assert!(links.hosts.len() <= MAX_HOSTS && took.as_secs() < 30, "{start}: {took:?}");
    }
}

proptest! {
    #[test]
    fn any_octets_are_read(octets in pieces()) {
        let links = links(octets);
        prop_assert!(links.hosts.len() <= MAX_HOSTS && links.addresses.len() <= MAX_ADDRESSES);
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.:".contains(&byte);
        for host in &links.hosts {
            prop_assert!(host.len() <= 253 && host.bytes().all(fits) && !host.ends_with('.'), "{host}");
        }
        for address in &links.addresses {
            let (local, domain) = address.rsplit_once('@').expect("an address");
            prop_assert!(!local.is_empty() && domain.bytes().all(fits), "{address}");
            prop_assert_eq!(&address.to_lowercase(), &**address);
        }
        let distinct: std::collections::HashSet<_> = links.hosts.iter().chain(&links.addresses).collect();
        prop_assert_eq!(distinct.len(), links.hosts.len() + links.addresses.len());
    }

    #[test]
    fn a_link_is_found_in_any_surroundings(before in "[ -~]{0,20}", after in "[ -~]{0,20}") {
        let text = in_text(&format!("{before} http://evil.example.net/ {after}"));
        prop_assert!(text.split(' ').any(|host| host == "evil.example.net"), "{text}");
    }
}

/// Octets that look like mail here and there.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        proptest::sample::select(vec![
            "Content-Type: ",
            "multipart/mixed; boundary=b",
            "text/html",
            "message/rfc822",
            "; charset=utf-16",
            "\r\n",
            "\r\n\r\n",
            "--b\r\n",
            "--b--",
            "Content-Transfer-Encoding: base64\r\n",
            "Reply-To: ",
            "Subject: =?utf-8?Q?",
            "http://",
            "http:",
            "//",
            "@",
            ".com",
            "www.",
            "a",
            "[.]",
            "(at)",
            "[",
            "]",
            "%",
            "%2F",
            "<a href='",
            "'>",
            "<!--",
            "<style>",
            "</",
            "&#",
            ";",
            "mailto:",
            "=\r\n",
            "=3D",
            "\u{fc}",
            "\u{3002}",
            "xn--",
            "?u=",
            "aHR0c",
            "1.",
            "0x",
            "::1",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

use proptest::prelude::*;

use super::html::Page;
use super::interval::Interval;
use super::markup::Tokenizer;
use super::meta::Expression as Meta;
use super::perl;
use super::text::Texts;
use super::uris;
use super::*;
use crate::pattern::Budget;

fn set(text: &str) -> RuleSet {
    let mut none = |name: &str| Err(format!("{name} is not there"));
    RuleSet::read(&[("local.cf".to_owned(), text.as_bytes().to_vec())], &mut none)
}

fn hits(rules: &str, message: &str) -> Vec<String> {
    let set = set(rules);
    let report = set.report();
    assert!(report.unsupported.is_empty() && report.problems.is_empty(), "{report:#?}");
    let hits = set.hits(message.as_bytes(), &Envelope::default(), 0, &mut Budget::default());
    hits.into_iter().map(|hit| hit.name.to_owned()).collect()
}

const MESSAGE: &str = "Return-Path: <bounce@lists.example>\n\
    Received: from mx.example (mx.example [192.0.2.1]) by here.example with ESMTP id 1; Thu, 3 Oct 2002 10:00:00 +0000\n\
    From: \"Joe Doe\" <joe@Shop.example>\n\
    To: a@b.example, c@d.example\n\
    Subject: =?utf-8?q?Buy_n=C3=B6w?=\n\
    Date: Thu, 3 Oct 2002 18:00:00 +0200\n\
    Message-ID: <1@shop.example>\n\
    Content-Type: text/html; charset=iso-8859-1\n\
    \n\
    <html><body><p>Cheap   <b>pills</b></p><p>at www.pills-shop.com today</p>\n\
    <a href=\"http://x.pills.com/%41?u=1\">https://bank.com/</a></body>\n";

#[test]
fn rules_hit_what_they_are_about() {
    let table = [
        ("header T Subject =~ /^Buy n\\xc3\\xb6w$/", true),
        ("header T Subject:raw =~ /=\\?utf-8/", true),
        ("header T subject =~ /buy/i", true),
        ("header T Subject !~ /sell/", true),
        ("header T X-None =~ /./", false),
        ("header T X-None !~ /./", true),
        ("header T X-None =~ /^UNSET$/ [if-unset: UNSET]", true),
        ("header T exists:Message-Id", true),
        ("header T exists:X-None", false),
        ("header T From:addr =~ /^joe\\@Shop.example$/", true),
        ("header T From:name =~ /^Joe Doe$/", true),
        ("header T ToCc =~ /a@b.*c@d/", true),
        ("header T MESSAGEID =~ /shop/", true),
        ("header T EnvelopeFrom =~ /^bounce@/", true),
        ("header T ALL =~ /^Date: Thu/m", true),
        ("header T X-Spam-Relays-Untrusted =~ /^\\[ ip=192\\.0\\.2\\.1 rdns=mx\\.example helo=mx\\.example /", true),
        ("body T /Cheap pills/", true),
        ("body T /^Buy n/", true),
        ("body T /<b>/", false),
        ("body T /Cheap.*today/", false),
        ("rawbody T /<b>pills/", true),
        ("full T /^Subject: .*<html>/ms", true),
        ("uri T m{^http://www\\.pills-shop\\.com$}", true),
        ("uri T m,/A\\?u=1,", true),
        ("mimeheader T Content-Type =~ /iso-8859/", true),
        ("body __A /pills/\nmeta T __A && !__B", true),
        ("body __A /pills/\ntflags __A multiple\nmeta T __A > 1", true),
        ("body __A /pills/\ntflags __A multiple maxhits=1\nmeta T __A > 1", false),
        ("body T eval:html_tag_exists('body')", true),
        ("header T eval:check_for_shifted_date('undef', '-5')", false),
        ("header T eval:check_for_shifted_date('5', '7')", true),
        ("body T eval:check_https_http_mismatch('1', '10')", true),
        ("header T eval:check_equal_from_domains()", true),
        ("body T /pills/\nscore T 0", false),
        ("if (version >= 3.004 && !plugin(Mail::SpamAssassin::Plugin::None))\nbody T /pills/\nendif", true),
        ("ifplugin Mail::SpamAssassin::Plugin::None\nbody T /pills/\nelse\nbody T /nothing/\nendif", false),
        ("replace_tag L [il1]\nreplace_inter I _?\nreplace_rules T\nbody T /<inter I>p<L><L>ls/", true),
        ("replace_tag I [i1!]\nreplace_rules T\nbody T /p<I>lls/", true),
    ];
    for (rules, expected) in table {
        let found = hits(rules, MESSAGE).contains(&"T".to_owned());
        assert_eq!(found, expected, "{rules}");
    }
}

#[test]
fn perl_becomes_ours() {
    let table = [
        ("/a\\/b/", "a\\x2fb"),
        ("/\\223x/i", "(?i)\\x93x"),
        ("m{a{2,}b}x", "a{2,}b"),
        ("/a b # c/x", "ab"),
        ("/[\\w-.]/", "[\\w\\x2d\\x2e]"),
        ("/[]a]/", "[\\x5da]"),
        ("/x{,y/", "x\\{,y"),
        ("/\\x{20ac}/", "\\xe2\\x82\\xac"),
        ("/(?^i:a)b$/", "(?i-ms:a)b(?:\\n?\\z)"),
        ("/\u{e4}/", "\\xe4"),
        ("/a$/m", "(?m)a$"),
        ("/(a)\\1/", "(a)(?:\\1)"),
        ("/(a)\\g1{2}/", "(a)(?:\\1){2}"),
        ("/(a)\\g{1}2/", "(a)(?:\\1)2"),
        ("/\\Qa.b\\E./", "a\\x2eb."),
    ];
    for (written, expected) in table {
        let (body, flags) = perl::delimited(written).expect(written);
        assert_eq!(perl::translated(body, flags).as_deref(), Ok(expected), "{written}");
    }
    for written in ["/(a)\\g{1/", "/\\p{Han}/", "/(?{ system })/", "/[b-a]/", "/a\\/"] {
        let (body, flags) = perl::delimited(written).expect(written);
        assert!(perl::translated(body, flags).is_err(), "{written}");
    }
    assert_eq!(perl::delimited("no"), None);
}

#[test]
fn arithmetic_is_that_of_the_files() {
    let table = [
        ("A && B", 1.0),
        ("A + C * 2 >= 7", 1.0),
        ("(A + B + C) > 5", 0.0),
        ("!(A && NONE)", 1.0),
        ("!A || NONE", 0.0),
        ("C - 1", 2.0),
        ("-C + 4 == 1", 1.0),
        ("C / 0", 0.0),
        ("A and not NONE", 1.0),
    ];
    for (text, expected) in table {
        let value = Meta::parse(text).expect(text).value(&mut Vec::new(), &mut |name| {
            Interval::of(match name.as_str() {
                "A" | "B" => 1.0,
                "C" => 3.0,
                _ => 0.0,
            })
        });
        assert_eq!(value, Interval::of(expected), "{text}");
    }
    for text in ["", "A B", "(A", "A)", "A &&", "A ; B", &"(".repeat(10_000)] {
        assert!(Meta::parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_not_known_stays_open_as_far_as_it_matters() {
    // A and B are none or one, C is two to five, Z is nothing.
    let table = [
        ("A", 0.0, 1.0),
        ("!(A && !B)", 0.0, 1.0),
        ("A || 1", f64::MIN_POSITIVE, 1.0),
        ("1 || A", 1.0, 1.0),
        ("Z && A", 0.0, 0.0),
        ("A >= 0", 1.0, 1.0),
        ("A + B > 2", 0.0, 0.0),
        ("A + C >= 2", 1.0, 1.0),
        ("C - A * 2", 0.0, 5.0),
        ("-C", -5.0, -2.0),
        ("C == 7", 0.0, 0.0),
        ("C != 3", 0.0, 1.0),
        ("C && A", 0.0, 1.0),
        ("C || A", 2.0, 5.0),
        ("12 / C", 2.4, 6.0),
        ("A | C", 2.0, 6.0),
        ("A & C", 0.0, 1.0),
        ("C % 2", f64::NEG_INFINITY, f64::INFINITY),
    ];
    for (text, least, most) in table {
        let value = Meta::parse(text).expect(text).value(&mut Vec::new(), &mut |name| match name.as_str() {
            "A" | "B" => Interval::between(0.0, 1.0),
            "C" => Interval::between(2.0, 5.0),
            _ => Interval::of(0.0),
        });
        assert_eq!(value, Interval::between(least, most), "{text}");
    }
}

#[test]
fn what_hangs_on_what_was_not_run_does_not_hit() {
    let rules = "body __A /Cheap(?= )/\nbody __B /today(?!x)/\nbody __C /pills/\n\
        body E eval:html_text_match('anchor', 'bank(?=.com)')\n\
        meta N !(__A && !__B)\nmeta D __A || __C\nmeta U !E\nmeta V E\n";
    let of = |budget: &mut Budget| {
        let set = set(rules);
        let hits = set.hits(MESSAGE.as_bytes(), &Envelope::default(), 0, budget);
        hits.into_iter().filter(|hit| !hit.is_inner).map(|hit| hit.name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(&mut Budget::default()), ["D", "E", "N", "V"]);
    assert_eq!(of(&mut Budget::of_steps(0)), ["D"]);
}

#[test]
fn a_page_is_read_once() {
    let signs = |page: &str| page.matches('<').count();
    for (page, tokens) in [
        ("<a<a<a<a=\"x>y\"".repeat(100), 100),
        (format!("{}>", "<a".repeat(1_000)), 1),
        (format!("<p{}>text", " x=1".repeat(100)), 1),
        ("<!--a>".repeat(100), 100),
        (format!("{}-->", "<!--a".repeat(100)), 1),
    ] {
        let mut tokenizer = Tokenizer::new(&page);
        let (mut at, mut found) = (0, 0);
        while let Some(open) = page[at..].find('<') {
            let (_, length) = tokenizer.token(at + open).unwrap_or_else(|| panic!("at {at} of {page}"));
            (at, found) = (at + open + length, found + 1);
        }
        assert!(found <= tokens, "{found} of {}: {}", signs(&page), &page[..40]);
    }
    let comments = "<!--a>".repeat(3);
    let mut tokenizer = Tokenizer::new(&comments);
    assert!(tokenizer.token(0).is_some() && tokenizer.has_no_comment_end());
    assert!(tokenizer.can_end(12) && !tokenizer.can_end(comments.len()));
}

#[test]
fn what_a_page_points_to_is_bounded() {
    let base = format!("<base href=\"http://a.example/{}\">", "b/".repeat(125_000));
    let links: String = (0..5_000).map(|number| format!("<a href=c{number}>x</a>")).collect();
    let page = Page::of(&format!("{base}{links}"), &mut Budget::default());
    assert!(page.uris.iter().all(|uri| uri.len() <= uris::LONGEST), "of the base only so much is kept");
    assert!(page.uris.len() <= 2, "and what differs behind that does not differ: {}", page.uris.len());
    assert!(
        page.links.len() <= uris::MOST
            && page.links.iter().all(|(uri, shown)| uri.len() <= uris::LONGEST && shown == "x")
    );
    let page = Page::of(&links, &mut Budget::default());
    assert_eq!(page.uris.len(), uris::MOST);
    let texts = Texts { pages: vec![page], ..Texts::default() };
    assert!(uris::of(&texts).len() <= uris::MOST + 8);
}

#[test]
fn who_is_late_reads_no_further() {
    let mut budget = Budget::default().until(|| true);
    let page = Page::of("<p>one</p><a href=http://a.example>two</a>", &mut budget);
    assert_eq!((page.tags, page.uris.len(), budget.stopped()), (0, 0, 1));
    assert!(page.text.contains("two"));
    let set = set("body A eval:html_tag_exists('body')\nmeta B !A\nrawbody C /x/\n");
    assert_eq!(set.hits(MESSAGE.as_bytes(), &Envelope::default(), 0, &mut budget), []);
}

#[test]
fn many_paragraphs_are_few_texts() {
    let body = format!("{}end\n", "a\n\n".repeat(16_000));
    let mail = super::mail::Mail::of(format!("Subject: a\n\n{body}").as_bytes());
    let texts = Texts::of(&mail, &mut Budget::default());
    assert!(texts.body.len() < 9_000, "{}", texts.body.len());
    assert!(memchr::memmem::find(&texts.body.concat(), b"a\nend").is_some(), "and nothing is missing");
}

#[test]
fn what_is_too_long_for_a_host_is_in_no_list() {
    let rules = "enlist_uri_host (BLOCK) evil.example\nbody T eval:check_uri_host_in_blocklist()";
    for (labels, expected) in [(3, 1), (300, 0)] {
        let page = format!("<a href=\"http://{}evil.example/\">x</a>", "a.".repeat(labels));
        let message = format!("Content-Type: text/html\n\n{page}\n");
        assert_eq!(hits(rules, &message).len(), expected, "{labels}");
    }
}

#[test]
fn what_does_not_run_is_told() {
    let set = set("body A /a/\nheader B eval:check_rbl('x', 'y')\nscore B 2.5 3 4 5\nbody C /(a/\nnonsense here\n\
        meta D A && B\nscore A 0.5\ndescribe A Says a\nbody E eval:unheard_of()\nif (\n");
    let report = set.report();
    let reasons: Vec<(&str, &str)> =
        report.unsupported.iter().map(|rule| (rule.name.as_str(), rule.reason.as_str())).collect();
    assert_eq!(reasons[0].0, "B");
    assert!(reasons[0].1.starts_with("covered elsewhere: DNS lists"), "{reasons:?}");
    assert!(reasons[1].1.contains("unclosed group"), "{reasons:?}");
    assert!(reasons[2].1.contains("unheard_of"), "{reasons:?}");
    assert_eq!(report.kinds[&Kind::Body], (1, 3));
    assert_eq!((report.mass, report.lost), (6.0, 4.5));
    assert_eq!(report.ignored["nonsense"], 1);
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
    let symbols: Vec<_> = set.symbols().collect();
    assert_eq!(symbols, [("A", 0.5, "Says a"), ("D", 1.0, "")]);
}

#[test]
fn files_include_files_but_not_themselves_for_ever() {
    let mut open = |name: &str| match name {
        "a.cf" => Ok(b"include a.cf\nbody A /a/\n".to_vec()),
        name => Err(format!("{name} is not there")),
    };
    let set = RuleSet::read(&[("local.cf".to_owned(), b"include a.cf\ninclude b.cf\n".to_vec())], &mut open);
    assert_eq!(set.symbols().count(), 1);
    assert_eq!(set.report().problems.len(), 2);
}

#[test]
fn the_envelope_stands_where_a_mail_server_would_have_put_it() {
    let set = set("header A X-Spam-Relays-External =~ /^\\[ ip=198\\.51\\.100\\.7 rdns=mx\\.test helo=me\\.test /\n\
        header B EnvelopeFrom =~ /^x\\@y\\.test$/");
    let envelope = Envelope {
        client: "198.51.100.7".parse().ok(),
        client_name: "mx.test".to_owned(),
        helo: "me.test".to_owned(),
        from: Some("x@y.test".to_owned()),
    };
    let hits = set.hits(b"Subject: a\r\n\r\nb\r\n", &envelope, 0, &mut Budget::default());
    assert_eq!(hits.len(), 2, "{hits:?}");
}

#[test]
fn hops_are_read_in_the_forms_of_many_servers() {
    let table = [
        // Postfix, sendmail: HELO, the name that was looked up, the address.
        (
            "from h.test (n.test [198.51.100.7]) by m.test (Postfix) with ESMTP id A1B2C3; 3 Oct 2002 1:2:3 +0000",
            "ip=198.51.100.7 rdns=n.test helo=h.test by=m.test ident= envfrom= intl=0 id=A1B2C3 auth= ",
        ),
        (
            "from h.test (unknown [198.51.100.7]) by m.test (Postfix) with ESMTPSA id A1B2C3",
            "ip=198.51.100.7 rdns= helo=h.test by=m.test ident= envfrom= intl=1 id=A1B2C3 auth=ESMTPSA ",
        ),
        (
            "from h.test (u@n.test [198.51.100.7] (may be forged)) by m.test (8.11.6/8.11.6) with ESMTP id g89",
            "ip=198.51.100.7 rdns=n.test helo=h.test by=m.test ident=u envfrom= intl=0 id=g89 auth= ",
        ),
        (
            "from h.test ([198.51.100.7]) by m.test (8.11.6/8.11.6) with SMTP id g89",
            "ip=198.51.100.7 rdns= helo=h.test by=m.test ident= envfrom= intl=0 id=g89 auth= ",
        ),
        // Exim.
        (
            "from n.test ([198.51.100.7] helo=h.test) by m.test with esmtp (Exim 4.69) (envelope-from <a@b.test>) id 1O7-0",
            "ip=198.51.100.7 rdns=n.test helo=h.test by=m.test ident= envfrom=a@b.test intl=0 id=1O7-0 auth= ",
        ),
        (
            "from [198.51.100.7] (helo=h.test) by m.test with smtp (Exim 3.35 #1) id 18tq",
            "ip=198.51.100.7 rdns= helo=h.test by=m.test ident= envfrom= intl=0 id=18tq auth= ",
        ),
        // Qmail: the name, HELO only where it differs.
        (
            "from n.test (HELO h.test) (u@198.51.100.7) by m.test with SMTP",
            "ip=198.51.100.7 rdns=n.test helo=h.test by=m.test ident=u envfrom= intl=0 id= auth= ",
        ),
        (
            "from n.test (198.51.100.7) by m.test with SMTP",
            "ip=198.51.100.7 rdns=n.test helo=n.test by=m.test ident= envfrom= intl=0 id= auth= ",
        ),
        // Exchange.
        (
            "from h.test (198.51.100.7) by m.test with Microsoft SMTP Server (version=TLS1_2) id 15.20.6111.18",
            "ip=198.51.100.7 rdns=h.test helo=h.test by=m.test ident= envfrom= intl=0 id=15.20.6111.18 auth= ",
        ),
        (
            "from [198.51.100.7] by m.test via HTTP",
            "ip=198.51.100.7 rdns= helo= by=m.test ident= envfrom= intl=0 id= auth= ",
        ),
        // Nothing between machines.
        ("from mail pickup service by m.test with Microsoft SMTPSVC", ""),
        ("from localhost by m.test with local (Exim 4.69)", ""),
        ("by m.test (Postfix, from userid 1000) id A1B2C3", ""),
        ("from x [127.0.0.1] by localhost with IMAP (fetchmail-5.9.0)", ""),
    ];
    for (line, expected) in table {
        let mail = super::mail::Mail::of(format!("Received: {line}\n\nx").as_bytes());
        let relays = super::relays::Relays::of(&mail);
        let hops = super::relays::Relays::text(&[relays.trusted, relays.untrusted].concat());
        assert!(hops.contains(expected) && hops.is_empty() == expected.is_empty(), "{line}: {hops}");
        assert_eq!(relays.unparseable, 0, "{line}");
    }
    let mail = super::mail::Mail::of(b"Received: from mars\n\nx");
    assert_eq!(super::relays::Relays::of(&mail).unparseable, 1);
}

#[test]
fn addresses_are_found_in_text_and_opened() {
    let table: [(&str, &[&str]); 9] = [
        ("see http://a.example.com/x, now", &["http://a.example.com/x"]),
        ("see:example.com/x or example.com, no", &["http://example.com/x"]),
        ("www.example.com.", &["http://www.example.com"]),
        ("me@example.com", &["mailto:me@example.com"]),
        ("me@nowhere a.b x@ @x example.invalidtld", &[]),
        ("http:\\\\example.com?a", &[]),
        ("http://example.com?a=%41%20", &["http://example.com/?a=A%20", "http://example.com?a=%41%20"]),
        (
            "http://example.com:80/r?u=http://x.example.org/&y",
            &[
                "http://example.com/r?u=http://x.example.org/&y",
                "http://example.com:80/r?u=http://x.example.org/&y",
                "http://x.example.org/",
            ],
        ),
        ("mailto:me@example.com?subject=x", &["mailto:me@example.com", "mailto:me@example.com?subject=x"]),
    ];
    for (text, expected) in table {
        let texts = Texts { body: vec![text.as_bytes().to_vec()], ..Default::default() };
        let found: Vec<String> = uris::of(&texts).into_iter().collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn nothing_hostile_is_fatal() {
    let rules = "body A /a/\nfull B /(x+x+)+y(?=z)/\nuri C /x/\nmimeheader D Content-Type =~ /x/";
    let set = set(rules);
    let deep = "Content-Type: multipart/mixed; boundary=a\n\n--a\n".repeat(5_000);
    let page = format!("Content-Type: text/html\n\n{}", "<a href=".repeat(20_000));
    let angles = format!("Content-Type: text/html\n\n{}", "<".repeat(20_000));
    for message in ["", "\n", ":", "a:", deep.as_str(), page.as_str(), angles.as_str(), &"x".repeat(5_000)] {
        set.hits(message.as_bytes(), &Envelope::default(), 0, &mut Budget::default());
    }
}

#[test]
fn numbers_and_addresses_of_any_kind_are_read() {
    let table = [
        ("<font size=+2147483647>x", "body T eval:html_eval('max_size', '> 1000')"),
        ("<font size=-2147483648>x", "body T eval:html_eval('min_size', '< -1000')"),
        ("<font size=2147483648>x", "body T eval:html_eval('max_size', '== 3')"),
        ("<font size=+2>x", "body T eval:html_eval('max_size', '== 5')"),
        ("<img width=99999999999999999999 height=1>", "body T eval:html_eval('image_area', '> 1000')"),
        // Where only the escapes make a scheme of it, no host need follow.
        ("<a href=\"%68ttp:a\u{e4}x\">y</a>", "uri T /^http:a\u{e4}x$/"),
        ("<a href=\"%68ttp://a.test/\">y</a>", "uri T m{^http://a\\.test/$}"),
    ];
    for (page, rule) in table {
        let message = format!("Content-Type: text/html; charset=utf-8\n\n{page}");
        assert_eq!(hits(rule, &message), ["T"], "{page}");
    }
}

proptest! {
    #[test]
    fn any_page_is_read(page in "(<font size=|<a href=\"|<img width=|%68ttp:|http:|/|@|\\+|-|[0-9]{1,20}|%|[&]#x?|\"|>|<|\\PC){0,30}") {
        let message = format!("Content-Type: text/html; charset=utf-8\n\n{page}");
        hits("uri U /x/\nbody B eval:html_eval('max_size', '> 6')", &message);
    }

    #[test]
    fn any_field_is_read(field in "(from |by |[(]|[)]|\\[|\\]|;| id |HELO |with |1\\.2\\.3\\.4|, |[0-9]{1,20}|:|[+]| Oct | |<|>|@|=\\?utf-8\\?q\\?|\\?=|\"|\\PC){0,30}") {
        let message = format!("Received: {field}\nDate: {field}\nTo: {field}\nSubject: {field}\n\n");
        let rules = "header D eval:check_for_shifted_date('3', '6')\nheader R X-Spam-Relays-Untrusted =~ /x/\n\
                     header T ToCc:addr =~ /x/\nheader S Subject =~ /x/";
        hits(rules, &message);
    }
}

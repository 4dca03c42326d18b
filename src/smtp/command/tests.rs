use proptest::prelude::*;

use super::*;

fn helo(name: &str) -> HeloName {
    HeloName(name.to_owned())
}

fn mail(path: &str, params: &[(&str, Option<&str>)]) -> Command {
    Command::Mail { path: ReversePath::parse(path).unwrap(), params: params.iter().copied().collect() }
}

fn rcpt(path: &str, params: &[(&str, Option<&str>)]) -> Command {
    Command::Rcpt { path: ForwardPath::parse(path).unwrap(), params: params.iter().copied().collect() }
}

#[test]
fn commands_are_read_in_any_case() {
    let cases: [(&[u8], Command); 36] = [
        (b"EHLO client.example", Command::Ehlo(helo("client.example"))),
        (b"helo [192.0.2.1] ", Command::Helo(helo("[192.0.2.1]"))),
        (b"EHLO  \xff_x", Command::Ehlo(helo("\u{fffd}_x"))),
        (b"MAIL FROM:<>", mail("", &[])),
        (b"mail from:<a@b>", mail("a@b", &[])),
        (b"MAIL  FROM:  <a@b>  SIZE=5  body=8BITMIME SMTPUTF8 ", {
            mail("a@b", &[("SIZE", Some("5")), ("body", Some("8BITMIME")), ("SMTPUTF8", None)])
        }),
        (b"MAIL FROM:<a@b> X-UNKNOWN=a,b:c", mail("a@b", &[("X-UNKNOWN", Some("a,b:c"))])),
        (b"MAIL FROM:<a@b> AUTH=<>", mail("a@b", &[("AUTH", Some("<>"))])),
        (b"RCPT TO:<a@b> NOTIFY=NEVER", rcpt("a@b", &[("NOTIFY", Some("NEVER"))])),
        (b"RCPT To:<@x:a@b>", rcpt("a@b", &[])),
        (b"RCPT TO:<postmaster>", rcpt("postmaster", &[])),
        (b"RCPT TO:<\xc3\xa4@b>", rcpt("\u{e4}@b", &[])),
        (b"DATA", Command::Data),
        (b"data  ", Command::Data),
        (b"BDAT 0", Command::Bdat { size: 0, last: false }),
        (b"BDAT 1000 LAST", Command::Bdat { size: 1000, last: true }),
        (b"bdat 18446744073709551615 last ", Command::Bdat { size: u64::MAX, last: true }),
        (b"RSET", Command::Rset),
        (b"NOOP", Command::Noop),
        (b"NOOP anything at all", Command::Noop),
        (b"QUIT", Command::Quit),
        (b"VRFY", Command::Vrfy(String::new())),
        (b"VRFY  a b ", Command::Vrfy("a b".into())),
        (b"EXPN list", Command::Expn("list".into())),
        (b"HELP MAIL", Command::Help),
        (b"StartTLS", Command::StartTls),
        (
            b"AUTH plain AGEAYg==",
            Command::Auth { mechanism: "PLAIN".into(), initial: Some(Response::initial(b"AGEAYg==")) },
        ),
        (b"AUTH LOGIN", Command::Auth { mechanism: "LOGIN".into(), initial: None }),
        (b"AUTH X =", Command::Auth { mechanism: "X".into(), initial: Some(Response::initial(b"=")) }),
        (b"send FROM:<a@b>", Command::Obsolete("SEND")),
        (b"SOML", Command::Obsolete("SOML")),
        (b"SAML", Command::Obsolete("SAML")),
        (b"TURN", Command::Obsolete("TURN")),
        (b"ATRN", Command::Obsolete("ATRN")),
        (b"etrn @sub.example", Command::Etrn("@sub.example".into())),
        (b"EHLO x:y", Command::Ehlo(helo("x:y"))),
    ];
    for (line, expected) in cases {
        assert_eq!(parse(line), Ok(expected), "{:?}", String::from_utf8_lossy(line));
    }
}

#[test]
fn what_is_no_command_says_why() {
    let syntax = |line: &[u8]| matches!(parse(line), Err(CommandError::Syntax(_)));
    let wrong: [&[u8]; 16] = [
        b"EHLO",
        b"EHLO ",
        b"HELO a b",
        b"EHLO a\xc2\x85b",
        b"DATA x",
        b"RSET x",
        b"QUIT now",
        b"STARTTLS x",
        b"MAIL",
        b"MAIL FROM",
        b"MAIL FROM <a@b>",
        b"MAIL TO:<a@b>",
        b"RCPT <a@b>",
        b"XCLIENT",
        b"XFORWARD ",
        b"VRFY \xff",
    ];
    for line in wrong {
        assert!(syntax(line), "{:?}: {:?}", String::from_utf8_lossy(line), parse(line));
    }
    assert!(syntax(&[b"EHLO ", &[b'a'; 256][..]].concat()) && !syntax(&[b"EHLO ", &[b'a'; 255][..]].concat()));

    // What is no UTF-8 takes three octets each as we keep it.
    assert!(syntax(&[b"EHLO ", &[0xff; 86][..]].concat()) && !syntax(&[b"EHLO ", &[0xff; 85][..]].concat()));

    use CommandError::*;
    let cases: [(&[u8], CommandError); 39] = [
        (b"", Unknown),
        (b" EHLO x", Unknown),
        (b"MAILFROM:<a@b>", Unknown),
        (b"EHLOx", Unknown),
        (b"\xff\xfe", Unknown),
        (b"VERB", Unknown),
        (b"GET", Unknown),
        (b"get / HTTP/1.1", Unknown),
        (b"GET / HTTP/1.1", Http),
        (b"POST /a HTTP/1.1", Http),
        (b"CONNECT mx:25 HTTP/1.0", Http),
        (b"PRI * HTTP/2.0", Http),
        (b"NOOP\0", Control),
        (b"EHLO\tx", Control),
        (b"MAIL FROM:<a\r@b>", Control),
        (b"QUIT\x7f", Control),
        (b"\x16\x03\x01", Control),
        (b"MAIL FROM:a@b", ReversePath(PathError::Brackets)),
        (b"MAIL FROM:<a>", ReversePath(PathError::Incomplete)),
        (b"MAIL FROM:<\xe4@b>", ReversePath(PathError::NotAscii)),
        (b"RCPT TO:<>", ForwardPath(PathError::Incomplete)),
        (b"RCPT TO:<\xe4@b>", ForwardPath(PathError::NotAscii)),
        (b"MAIL FROM:<a@b>SIZE=1", Parameter),
        (b"MAIL FROM:<a@b> =1", Parameter),
        (b"MAIL FROM:<a@b> SIZE=", Parameter),
        (b"MAIL FROM:<a@b> SIZE=1=2", Parameter),
        (b"MAIL FROM:<a@b> SIZE=1 size=1", Parameter),
        (b"MAIL FROM:<a@b> -X", Parameter),
        (b"MAIL FROM:<a@b> <c@d>", Parameter),
        (b"BDAT", ChunkSize),
        (b"BDAT x", ChunkSize),
        (b"BDAT -1", ChunkSize),
        (b"BDAT +1", ChunkSize),
        (b"BDAT 0x10", ChunkSize),
        (b"BDAT LAST", ChunkSize),
        (b"BDAT 1 FIRST", ChunkSize),
        (b"BDAT 1 LAST LAST", ChunkSize),
        (b"BDAT 18446744073709551616", ChunkSize),
        (b"BDAT 1LAST", ChunkSize),
    ];
    for (line, expected) in cases {
        assert_eq!(parse(line), Err(expected), "{:?}", String::from_utf8_lossy(line));
    }
}

#[test]
fn xclient_attributes_are_decoded_from_xtext() {
    use XclientAttribute::{Addr, Helo, Name, Other};
    let attributes = |line: &[u8]| match parse(line) {
        Ok(Command::Xclient(attributes)) => Ok(attributes),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    let line = b"XCLIENT ADDR=192.0.2.1 name=a+2Bb.example HELO=[UNAVAILABLE] PORT=1 PROTO=ESMTP";
    let expected = vec![
        Addr("192.0.2.1".parse().ok()),
        Name(Some("a+b.example".into())),
        Helo(None),
        Other("PORT".into()),
        Other("PROTO".into()),
    ];
    assert_eq!(attributes(line), Ok(expected));
    assert_eq!(attributes(b"XCLIENT ADDR=IPV6:2001:db8::1"), Ok(vec![Addr("2001:db8::1".parse().ok())]));
    assert_eq!(attributes(b"XCLIENT ADDR=ipv6:::ffff:192.0.2.1"), Ok(vec![Addr("192.0.2.1".parse().ok())]));
    assert_eq!(attributes(b"XCLIENT ADDR=[tempunavail] NAME=[TEMPUNAVAIL]"), Ok(vec![Addr(None), Name(None)]));
    for wrong in ["ADDR", "ADDR=", "ADDR=x", "NAME=+0", "NAME=+zz", "NAME=a+0D+0Ab", "HELO=+ff", "COLOUR=red"] {
        assert_eq!(attributes(format!("XCLIENT {wrong}").as_bytes()), Err(CommandError::Parameter), "{wrong}");
    }
}

#[test]
fn what_xforward_says_adds_up_until_it_is_taken_back() {
    let attributes = |text: &str| match parse(format!("XFORWARD {text}").as_bytes()) {
        Ok(Command::Xforward(attributes)) => Ok(attributes),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    let mut told = Forwarded::default();
    told.hear(attributes("NAME=spike.example addr=IPV6:2001:db8::1 PROTO=ESMTP PORT=25").expect("attributes"));
    told.hear(attributes("HELO=a+2Bb IDENT=3CF6B2AAE8 SOURCE=Remote name=[unavailable]").expect("attributes"));
    let expected = "ADDR=IPV6:2001:db8::1 PORT=25 PROTO=ESMTP HELO=a+b IDENT=3CF6B2AAE8 SOURCE=Remote";
    assert_eq!(told.to_string(), expected);
    assert_eq!(told.get(XforwardAttribute::Name), None);
    assert_eq!(told.get(XforwardAttribute::Helo), Some("a+b"));
    told.hear(attributes("ADDR=2001:DB8::2 NAME=mail_1.sender.example").expect("attributes"));
    let handed_on = [XforwardAttribute::Addr, XforwardAttribute::Name].map(|one| told.get(one));
    assert_eq!(handed_on, [Some("IPV6:2001:db8::2"), Some("mail_1.sender.example")], "as servers want it");
    let long = format!("HELO={}", "a".repeat(256));
    for wrong in [
        "NAME",
        "NAME=",
        "COLOUR=red",
        "PORT=x",
        "PORT=65536",
        "SOURCE=HERE",
        "NAME=a+20b",
        "HELO=a+0Ab",
        "HELO=+E4",
        "HELO=a(b)",
        "LOGIN=x",
        "ADDR=x",
        "ADDR=192.0.2",
        "NAME=a..b",
        "NAME=a.",
        "NAME=-a.example",
        "NAME=192.0.2.1",
        "NAME=[192.0.2.1]",
        long.as_str(),
        &format!("PROTO={}", "a".repeat(65)),
    ] {
        assert_eq!(attributes(wrong), Err(CommandError::Parameter), "{wrong}");
    }
}

#[test]
fn parameters_can_be_changed_and_printed() {
    let Ok(Command::Mail { mut params, .. }) = parse(b"MAIL FROM:<> size=5 SMTPUTF8 RET=HDRS") else { panic!() };
    assert_eq!(params.get("SIZE"), Some(Some("5")));
    assert_eq!(params.get("smtputf8"), Some(None));
    assert_eq!(params.get("BODY"), None);
    assert!(params.remove("SIZE") && !params.remove("SIZE"));
    params.push("BODY", Some("8BITMIME"));
    assert_eq!(params.to_string(), " SMTPUTF8 RET=HDRS BODY=8BITMIME");
    assert!(Params::default().is_empty() && Params::default().to_string().is_empty());
}

#[test]
fn a_declared_size_is_digits() {
    let size = |value: Option<&str>| [("SIZE", value)].into_iter().collect::<Params>().declared_size();
    assert_eq!(Params::default().declared_size(), Ok(None));
    assert_eq!(size(Some("0")), Ok(Some(0)));
    assert_eq!(size(Some("52428800")), Ok(Some(52_428_800)));
    assert_eq!(size(Some("99999999999999999999")), Ok(Some(u64::MAX)));
    for wrong in [None, Some("-1"), Some("+1"), Some("1k"), Some("100000000000000000000")] {
        assert_eq!(size(wrong), Err(CommandError::Parameter));
    }
}

#[test]
fn header_fields_are_told_from_commands() {
    for line in [&b"Subject: x"[..], b"Host:y", b"X-Mailer : z", b"MIME-Version:", b"from:"] {
        assert!(looks_like_header(line));
    }
    for line in [&b"MAIL FROM:<a@b>"[..], b"EHLO [IPv6:::1]", b"RCPT TO:<a@b>", b": x", b"", b"NOOP", b"http://a b:"] {
        assert_eq!(looks_like_header(line), line.starts_with(b"http:"), "{:?}", String::from_utf8_lossy(line));
    }
}

proptest! {
    #[test]
    fn any_line_is_a_command_or_an_error(line in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = parse(&line);
        let _ = looks_like_header(&line);
    }

    #[test]
    fn any_argument_is_read_or_refused(verb in "(?i)(EHLO|MAIL FROM:|RCPT TO:|BDAT|XCLIENT|XFORWARD|MAIL FROM:<>)", rest in "[ -~\u{e4}]{0,60}") {
        match parse(format!("{verb} {rest}").as_bytes()) {
            Ok(Command::Mail { path, params }) => {
                let again = parse(format!("MAIL FROM:<{path}>{params}").as_bytes());
                prop_assert_eq!(again, Ok(Command::Mail { path, params }));
            }
            Ok(Command::Rcpt { path, params }) => {
                let again = parse(format!("RCPT TO:<{path}>{params}").as_bytes());
                prop_assert_eq!(again, Ok(Command::Rcpt { path, params }));
            }
            _ => {}
        }
    }
}

use proptest::prelude::*;

use super::*;

fn written(reply: &Reply, enhanced: bool) -> String {
    let mut out = Vec::new();
    reply.write(enhanced, &mut out);
    String::from_utf8(out).unwrap()
}

fn ready(input: &[u8]) -> (Reply, usize) {
    match parse_reply(input) {
        Ok(Step::Ready { value, consumed }) => (value, consumed),
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(input)),
    }
}

#[test]
fn our_replies_carry_the_enhanced_status_where_it_is_in_force() {
    const REFUSED: Reply = Reply::fixed(550, EnhancedStatus(5, 7, 1), "Relaying denied");
    assert_eq!(written(&REFUSED, true), "550 5.7.1 Relaying denied\r\n");
    assert_eq!(written(&REFUSED, false), "550 Relaying denied\r\n");
    assert_eq!(written(&Reply::plain(250, "mx\nPIPELINING\nSIZE"), true), "250-mx\r\n250-PIPELINING\r\n250 SIZE\r\n");
    let two = Reply::new(421, Some(EnhancedStatus(4, 3, 2)), "one\ntwo");
    assert_eq!(written(&two, true), "421-4.3.2 one\r\n421 4.3.2 two\r\n");
    assert_eq!(written(&Reply::plain(250, ""), true), "250 \r\n");
}

#[test]
fn our_lines_are_clean_and_folded() {
    assert_eq!(written(&Reply::new(550, None, "a\rb\0c\td\x7f"), false), "550 a b c d \r\n");
    let words = Reply::new(550, Some(EnhancedStatus(5, 7, 26)), "word \u{e4}\u{f6} ".repeat(200));
    let unbroken = Reply::new(550, None, "\u{20ac}".repeat(500));
    for reply in [words, unbroken] {
        let text = written(&reply, true);
        let lines: Vec<_> = text.split_inclusive("\r\n").collect();
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|line| line.len() <= 512 && line.len() > 8));
        let (last, others) = lines.split_last().unwrap();
        assert!(last.starts_with("550 ") && others.iter().all(|line| line.starts_with("550-")));
        assert_eq!(ready(text.as_bytes()).1, text.len());
    }
}

#[test]
fn a_backends_words_go_out_as_they_came() {
    let long = "x".repeat(2000);
    let wire = format!("550-5.1.1 \x1b[m{long}\r\n550\r\n");
    let (reply, consumed) = ready(wire.as_bytes());
    assert_eq!(consumed, wire.len());
    assert_eq!(written(&reply, true), format!("550-5.1.1 \x1b[m{long}\r\n550 \r\n"));
}

#[test]
fn a_reply_ends_with_its_last_line() {
    let cases: [(&[u8], u16, &str, usize); 7] = [
        (b"250 ok\r\n", 250, "ok", 8),
        (b"250\r\n", 250, "", 5),
        (b"250 \r\n", 250, "", 6),
        (b"250-\r\n250-b\r\n250 \r\n", 250, "|b|", 19),
        (b"354 go\r\n250 x\r\n", 354, "go", 8),
        (b"599 \xc3\xa4\x01\r\n", 599, "\u{e4}\u{1}", 9),
        (b"250-a\r\n250\r\nx", 250, "a|", 12),
    ];
    for (input, code, lines, consumed) in cases {
        let (reply, took) = ready(input);
        assert_eq!((reply.code(), took), (code, consumed));
        assert_eq!(reply.lines().collect::<Vec<_>>().join(&b'|'), lines.as_bytes());
        for at in 0..consumed {
            assert_eq!(parse_reply(&input[..at]), Ok(Step::NeedMore));
        }
    }
}

#[test]
fn hostile_replies_are_refused() {
    use ReplyError::*;
    let cases: [(&[u8], ReplyError); 20] = [
        (b"\r\n", Malformed),
        (b"25\r\n", Malformed),
        (b"25x ok\r\n", Malformed),
        (b"2500 ok\r\n", Malformed),
        (b"250\tok\r\n", Malformed),
        (b"250_ok\r\n", Malformed),
        (b" 250 ok\r\n", Malformed),
        (b"150 ok\r\n", Malformed),
        (b"199 ok\r\n", Malformed),
        (b"600 ok\r\n", Malformed),
        (b"HTTP/1.1 200 OK\r\n", Malformed),
        (b"250-a\r\nx\r\n", Malformed),
        (b"250-a\r\n550 b\r\n", MixedCodes),
        (b"250-a\r\n251-b\r\n", MixedCodes),
        (b"250 ok\n", BareNewline),
        (b"250 o\rk\r\n", BareNewline),
        (b"250 ok\r\r\n", BareNewline),
        (b"250 o\0k\r\n", BareNewline),
        (b"250-a\n250 b\r\n", BareNewline),
        (b"\n", BareNewline),
    ];
    for (input, error) in cases {
        assert_eq!(parse_reply(input), Err(error), "{:?}", String::from_utf8_lossy(input));
    }
}

#[test]
fn replies_are_bounded() {
    let endless = vec![b'2'; MAX_REPLY];
    assert_eq!(parse_reply(&endless[1..]), Ok(Step::NeedMore));
    assert_eq!(parse_reply(&endless), Err(ReplyError::TooLong));
    let lines = |count: usize| [b"250-a\r\n".repeat(count - 1), b"250 b\r\n".to_vec()].concat();
    assert_eq!(ready(&lines(MAX_REPLY_LINES)).0.lines().count(), MAX_REPLY_LINES);
    assert_eq!(parse_reply(&lines(MAX_REPLY_LINES + 1)), Err(ReplyError::TooLong));
}

#[test]
fn the_enhanced_status_of_a_backend_stands_first_in_its_text() {
    let status = |text: &'static str| Reply::plain(550, text).enhanced_in_text();
    assert_eq!(status("5.1.1 unknown"), Some(EnhancedStatus(5, 1, 1)));
    assert_eq!(status("5.7.509\nmore"), Some(EnhancedStatus(5, 7, 509)));
    for text in ["", "5.1 x", "5.1.1.1 x", "4.1.1 x", "5.1.x", "5.1.1000 x", "x 5.1.1", "5..1 x", "305.1.1 x"] {
        assert_eq!(status(text), None, "{text}");
    }
}

#[test]
fn the_log_line_is_one_line() {
    let reply = Reply::new(550, Some(EnhancedStatus(5, 7, 1)), "a\nb\r\x1b");
    assert_eq!(reply.to_log(), "550 5.7.1 a / b\\r\\u{1b}");
    assert_eq!(Reply::new(250, None, "\u{e4}".repeat(1000)).to_log().chars().count(), 512);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(code in 200u16..600, lines in proptest::collection::vec("[ -~\u{e4}]{0,100}", 1..20)) {
        let reply = Reply::new(code, None, lines.join("\n"));
        let mut wire = Vec::new();
        reply.write(true, &mut wire);
        wire.extend_from_slice(b"250 next\r\n");
        let (read, consumed) = ready(&wire);
        prop_assert_eq!(&read, &reply);
        prop_assert_eq!(&wire[consumed..], b"250 next\r\n");
        let mut again = Vec::new();
        read.write(true, &mut again);
        prop_assert_eq!(&again, &wire[..consumed]);
    }

    #[test]
    fn any_bytes_give_the_same_answer_however_they_come(pieces in proptest::collection::vec(prop_oneof![
        Just(&b"250-"[..]), Just(&b"250 "[..]), Just(&b"\r\n"[..]), Just(&b"\n"[..]), Just(&b"\r"[..]), Just(&b"250"[..]),
        Just(&b"550 5.1.1"[..]), Just(&b"x"[..]), Just(&b"\0"[..])], 0..12)) {
        let input = pieces.concat();
        let whole = parse_reply(&input);
        let grown = (0..=input.len()).map(|at| parse_reply(&input[..at])).find(|step| *step != Ok(Step::NeedMore));
        prop_assert_eq!(grown.unwrap_or(Ok(Step::NeedMore)), whole);
    }
}

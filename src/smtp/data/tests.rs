use proptest::prelude::*;

use super::*;

use DataError::{BareNewline, HeaderControl, LoneDot};
use Framing::{Counted, Dot};
use NewlinePolicy::{Keep, Normalize, Reject};

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// The message, and what followed its end.
    Message(Vec<u8>, Vec<u8>),
    /// Dot framing only: the end has not come.
    Open(Vec<u8>),
    Refused(DataError),
}

/// Feeds `pieces` one after the other.
fn decode<'a>(
    framing: Framing,
    policy: NewlinePolicy,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Told, NewlineStats) {
    let mut decoder = DataDecoder::new(framing, policy);
    let (mut out, mut behind, mut ended) = (Vec::new(), Vec::new(), false);
    for piece in pieces {
        if ended {
            behind.extend_from_slice(piece);
            continue;
        }
        match decoder.decode(piece, &mut out) {
            Err(error) => return (Told::Refused(error), decoder.stats()),
            Ok(DataStep::More) => {}
            Ok(DataStep::End { consumed }) => {
                ended = true;
                behind.extend_from_slice(&piece[consumed..]);
            }
        }
    }
    let told = match framing {
        Dot if ended => Told::Message(out, behind),
        Dot => Told::Open(out),
        Counted => match decoder.finish(&mut out) {
            Ok(()) => Told::Message(out, behind),
            Err(error) => Told::Refused(error),
        },
    };
    (told, decoder.stats())
}

/// Decodes whole, in two pieces at every place, and octet by octet; all must agree.
fn decode_any_way(framing: Framing, policy: NewlinePolicy, input: &[u8]) -> Told {
    let whole = decode(framing, policy, [input]);
    for at in 0..=input.len() {
        let (left, right) = input.split_at(at);
        assert_eq!(decode(framing, policy, [left, right]), whole, "{:?} split at {at}", String::from_utf8_lossy(input));
    }
    assert_eq!(decode(framing, policy, input.chunks(1)), whole, "octet by octet");
    whole.0
}

fn message(octets: &[u8]) -> Told {
    Told::Message(octets.to_vec(), Vec::new())
}

#[test]
fn data_ends_with_a_lone_dot_between_crlfs_and_nothing_else() {
    let cases: [(&[u8], Told); 24] = [
        (b".\r\n", message(b"")),
        (b"..\r\n.\r\n", message(b".\r\n")),
        (b"...\r\n.\r\n", message(b"..\r\n")),
        (b"A: b\r\n\r\nc\r\n.\r\n", message(b"A: b\r\n\r\nc\r\n")),
        (b"\r\nc\r\n.\r\nQUIT\r\n", Told::Message(b"\r\nc\r\n".to_vec(), b"QUIT\r\n".to_vec())),
        (b"\r\n.c\r\n..d\r\n.\r\n", message(b"\r\nc\r\n.d\r\n")),
        (b"\r\nc", Told::Open(b"\r\nc".to_vec())),
        (b"\r\nc.\r\n", Told::Open(b"\r\nc.\r\n".to_vec())),
        (b"\r\nc\n.\n", Told::Refused(LoneDot)),
        (b"\r\nc\n.\r\n", Told::Refused(LoneDot)),
        (b"\r\nc\r\n.\n", Told::Refused(LoneDot)),
        (b"\r\nc\r\n.\rd", Told::Refused(LoneDot)),
        (b"\r\nc\r.\r\n", Told::Refused(LoneDot)),
        (b"\r\nc\r.\rd", Told::Refused(LoneDot)),
        (b"\r\nc\r.\nd", Told::Refused(LoneDot)),
        (b"\r\nc\r\n.\r\r\n", Told::Refused(LoneDot)),
        (b"\r\nc\r\n\0.\r\n", Told::Refused(LoneDot)),
        (b"\r\nc\r\n.\0\r\n", Told::Refused(LoneDot)),
        (b"\r\nc\r\n\0\0.\0\n", Told::Refused(LoneDot)),
        // Undone transparency must not leave what the next reader takes for a lone dot.
        (b"\r\nc\r\n.\0.\r\n", Told::Refused(LoneDot)),
        (b"\r\nc\r\n..\0\r\n", Told::Refused(LoneDot)),
        (b"\r\nc\n.\0\0.\n", Told::Refused(LoneDot)),
        (b"\r\n.\0.d\n..\n.\0..\r\n.\r\n", message(b"\r\n\0.d\r\n.\r\n\0..\r\n")),
        (b"\r\nc\r\r\n.\r\n", message(b"\r\nc \r\n")),
    ];
    for (input, expected) in cases {
        assert_eq!(decode_any_way(Dot, Normalize, input), expected, "{:?}", String::from_utf8_lossy(input));
    }
}

#[test]
fn a_lone_dot_counts_for_nothing_in_chunks_unless_a_line_end_is_bare_or_it_has_nuls() {
    let cases: [(&[u8], Told); 11] = [
        (b".\r\n", message(b".\r\n")),
        (b"\r\nc\r\n.\r\nd\r\n", message(b"\r\nc\r\n.\r\nd\r\n")),
        (b"\r\n..c\r\n", message(b"\r\n..c\r\n")),
        (b"\r\nc\r\n.", message(b"\r\nc\r\n.")),
        (b"\r\nc\n.", Told::Refused(LoneDot)),
        (b"\r\nc\n.\n", Told::Refused(LoneDot)),
        (b"\r\nc\r\n.\n", Told::Refused(LoneDot)),
        (b"\r\nc\r\n.\r", Told::Refused(LoneDot)),
        (b"\r\nc\r\n\0.\r\n", Told::Refused(LoneDot)),
        (b"\r\nc\r", message(b"\r\nc ")),
        (b"", message(b"")),
    ];
    for (input, expected) in cases {
        assert_eq!(decode_any_way(Counted, Normalize, input), expected, "{:?}", String::from_utf8_lossy(input));
    }
}

#[test]
fn bare_line_ends_are_normalized_and_counted() {
    let cases: [(&[u8], &[u8], u64, u64); 5] = [
        (b"A: b\n\ne\r\n.\r\n", b"A: b\r\n\r\ne\r\n", 2, 0),
        (b"\r\na\rb\r\n.\r\n", b"\r\na b\r\n", 0, 1),
        (b"\r\na\r\r\r\n.\r\n", b"\r\na  \r\n", 0, 2),
        (b"\r\na\n..b\r\n.\r\n", b"\r\na\r\n.b\r\n", 1, 0),
        (b"\r\na\r..b\r\n.\r\n", b"\r\na ..b\r\n", 0, 1),
    ];
    for (input, expected, bare_lf, bare_cr) in cases {
        assert_eq!(decode_any_way(Dot, Normalize, input), message(expected), "{:?}", String::from_utf8_lossy(input));
        assert_eq!(decode(Dot, Normalize, [input]).1, NewlineStats { bare_lf, bare_cr });
    }
}

#[test]
fn the_policy_may_refuse_bare_line_ends() {
    let cases: [(&[u8], DataError); 5] = [
        (b"A: b\nC: d\r\n", BareNewline),
        (b"\r\na\rb", BareNewline),
        (b"\r\na\n.\r\n", LoneDot),
        (b"\r\na\n\n", BareNewline),
        (b"\r\na\n.b", BareNewline),
    ];
    for (input, expected) in cases {
        assert_eq!(decode_any_way(Dot, Reject, input), Told::Refused(expected), "{:?}", String::from_utf8_lossy(input));
    }
    assert_eq!(decode_any_way(Counted, Reject, b"\r\na\n"), Told::Refused(BareNewline));
    assert_eq!(decode_any_way(Counted, Reject, b"\r\na\r"), Told::Refused(BareNewline));
}

#[test]
fn a_bare_cr_or_a_nul_in_the_header_section_is_refused_under_every_policy() {
    let header: [&[u8]; 8] =
        [b"A: b\0\r\n", b"\0A: b", b"A: b\rC: d", b"A: b\r\r\n", b"\r\r\n", b"A: b\n\0\r\nx", b"\ra", b".\0x"];
    for input in header {
        for framing in [Dot, Counted] {
            for policy in [Normalize, Reject, Keep] {
                let told = decode_any_way(framing, policy, input);
                let Told::Refused(error) = told else { panic!("{:?}: {told:?}", String::from_utf8_lossy(input)) };
                assert_ne!(error, LoneDot);
            }
        }
    }
    assert_eq!(decode_any_way(Dot, Normalize, b"A: b\r.\r\n"), Told::Refused(LoneDot));
    assert_eq!(decode_any_way(Dot, Normalize, b"\0.\r\n"), Told::Refused(LoneDot));
    assert_eq!(decode_any_way(Dot, Normalize, b"A: b\rC"), Told::Refused(HeaderControl));
    assert_eq!(decode_any_way(Dot, Normalize, b"A: b\r\n\r\nc\0\r\n.\r\n"), message(b"A: b\r\n\r\nc\0\r\n"));
}

#[test]
fn a_counted_binary_body_is_left_alone() {
    for body in [&b"\n.\n\0\r\r\n.\r\n\0.\r\n"[..], b"\r", b"\n", b".", b"\r.\r"] {
        let input = [b"A: b\r\n\r\n", body].concat();
        assert_eq!(decode_any_way(Counted, Keep, &input), message(&input));
    }
    // A field behind a bare LF would be one to some readers only.
    for header in [&b"A: b\nX: c\r\n\r\n"[..], b"A: b\r\n\nc", b"\nc", b"A: b\n\nc"] {
        assert_eq!(decode_any_way(Counted, Keep, header), Told::Refused(BareNewline));
    }
    assert_eq!(decode_any_way(Dot, Keep, b"\r\na\n.\r\n"), Told::Refused(LoneDot));
    assert_eq!(decode_any_way(Dot, Keep, b"\r\na\n.b\rc\r\n.\r\n"), message(b"\r\na\n.b\rc\r\n"));
}

#[test]
fn octets_behind_the_end_stay_untouched() {
    let mut decoder = DataDecoder::new(Dot, Normalize);
    let mut out = Vec::new();
    assert_eq!(decoder.decode(b".\r\nMAIL", &mut out), Ok(DataStep::End { consumed: 3 }));
    assert_eq!(decoder.decode(b"MAIL", &mut out), Ok(DataStep::End { consumed: 0 }));
    assert!(out.is_empty());
}

/// Octets that matter here, far more often than chance would have it.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"\r\n"[..]),
        Just(&b"."[..]),
        Just(&b"\r"[..]),
        Just(&b"\n"[..]),
        Just(&b"\0"[..]),
        Just(&b"\r\n.\r\n"[..]),
        Just(&b"a"[..]),
        Just(&b"A: b\r\n\r\n"[..]),
        Just(&b"some longer text, with \xff"[..]),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn framing() -> impl Strategy<Value = Framing> {
    prop_oneof![Just(Dot), Just(Counted)]
}

fn policy() -> impl Strategy<Value = NewlinePolicy> {
    prop_oneof![Just(Normalize), Just(Reject), Just(Keep)]
}

proptest! {
    #[test]
    fn any_split_gives_the_same(input in octets(), framing in framing(), policy in policy(),
                                cuts in proptest::collection::vec(0usize..200, 0..6)) {
        let whole = decode(framing, policy, [&input[..]]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&decode(framing, policy, pieces), &whole);
        prop_assert_eq!(&decode(framing, policy, input.chunks(1)), &whole);
    }

    #[test]
    fn what_passed_has_no_bare_line_end(input in octets(), framing in framing()) {
        if let Told::Message(octets, _) = decode(framing, Normalize, [&input[..]]).0 {
            for (at, &octet) in octets.iter().enumerate() {
                match octet {
                    b'\r' => prop_assert_eq!(octets.get(at + 1), Some(&b'\n')),
                    b'\n' => prop_assert!(at > 0 && octets[at - 1] == b'\r'),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn encoding_is_undone_by_decoding(input in octets(), cut in 0usize..200) {
        // Whatever BDAT lets through is what DATA must carry.
        if let Told::Message(original, _) = decode(Counted, Normalize, [&input[..]]).0 {
            let mut wire = Vec::new();
            encode(&original, &mut wire);
            let mut expected = original.clone();
            if !original.is_empty() && !original.ends_with(b"\r\n") {
                expected.extend_from_slice(b"\r\n");
            }
            // A line of one dot and NULs between two CRLFs never passes, so that nothing is refused here.
            prop_assert_eq!(decode(Dot, Normalize, [&wire[..]]).0, message(&expected));

            let mut encoder = DataEncoder::new();
            let mut blockwise = Vec::new();
            let (left, right) = original.split_at(cut.min(original.len()));
            encoder.encode(left, &mut blockwise);
            encoder.encode(right, &mut blockwise);
            encoder.finish(&mut blockwise);
            prop_assert_eq!(&blockwise, &wire);
        }
    }
}

#[test]
fn encoding_stuffs_dots_and_closes_the_last_line() {
    let cases: [(&[u8], &[u8]); 8] = [
        (b"", b".\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n.\r\n", b"..\r\n..\r\n.\r\n"),
        (b"a\r\n.b\r\n", b"a\r\n..b\r\n.\r\n"),
        (b"a.b\n.c\r\n", b"a.b\n.c\r\n.\r\n"),
        (b"a\r", b"a\r\r\n.\r\n"),
    ];
    for (original, expected) in cases {
        let mut wire = Vec::new();
        encode(original, &mut wire);
        assert_eq!(wire, expected, "{:?}", String::from_utf8_lossy(original));
    }
    assert_eq!(stuffing_points(b".a\r\n.b", false).collect::<Vec<_>>(), [4]);
}

use super::*;

fn offered(text: &'static str) -> Extensions {
    Extensions::from_reply(&Reply::plain(250, text))
}

#[test]
fn keywords_are_read_in_any_case_and_the_greeting_line_is_not_one() {
    let extensions = offered("DSN\npipelining\nSIZE 1000\nXCLIENT NAME addr\nX-UNKNOWN\n8BITMIME ");
    let found: Vec<_> = extensions.iter().collect();
    assert_eq!(found, [Extension::Pipelining, Extension::Size, Extension::EightBitMime, Extension::Xclient]);
    assert_eq!(extensions.size_limit(), Some(1000));
    assert_eq!(extensions.xclient_attributes(), ["NAME", "ADDR"]);
}

#[test]
fn mechanisms_that_work_through_us_are_known_and_shared() {
    let one = offered("a\nAUTH PLAIN login EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-256\nAUTH=PLAIN\nAUTH PLAIN");
    assert_eq!(one.mechanisms(), ["PLAIN", "LOGIN", "SCRAM-SHA-256"]);
    let other = offered("b\nAUTH LOGIN PLAIN CRAM-MD5");
    assert_eq!(one.intersection(&other).mechanisms(), ["PLAIN", "LOGIN"]);
    assert!(one.has(Extension::Auth) && !one.intersection(&offered("c")).has(Extension::Auth));
}

#[test]
fn size_without_a_number_is_no_limit() {
    for text in ["mx\nSIZE", "mx\nSIZE 0", "mx\nSIZE lots", "mx\nSIZE 99999999999999999999"] {
        let extensions = offered(text);
        assert!(extensions.has(Extension::Size));
        assert_eq!(extensions.size_limit(), None, "{text}");
    }
}

#[test]
fn the_intersection_takes_the_larger_size() {
    let small = offered("a\nSIZE 100\nDSN\nXCLIENT ADDR NAME");
    let large = offered("b\nSIZE 200\nCHUNKING\nXCLIENT ADDR PORT");
    let both = small.intersection(&large);
    assert_eq!(both.iter().collect::<Vec<_>>(), [Extension::Size, Extension::Xclient]);
    assert_eq!(both.size_limit(), Some(200));
    assert_eq!(both.xclient_attributes(), ["ADDR"]);
    assert_eq!(small.intersection(&offered("c\nSIZE")).size_limit(), None);
    assert!(!small.intersection(&offered("d")).has(Extension::Size));
}

#[test]
fn removing_takes_the_arguments_along() {
    let mut extensions = Extensions::from_reply(&Reply::plain(250, "a\nSIZE 5"));
    extensions.remove(Extension::Size);
    assert_eq!(extensions, Extensions::default());
    let set: Extensions = [Extension::Dsn].into_iter().collect();
    assert!(set.has(Extension::Dsn) && !set.has(Extension::Size));
}

#[test]
fn every_extension_has_its_own_bit_and_keyword() {
    for extension in Extension::ALL {
        assert_eq!(Extension::from_keyword(extension.keyword()), Some(extension));
    }
}

#[test]
fn what_two_servers_say_of_one_extension_is_what_holds_for_both() {
    let both = |ours: &'static str, theirs: &'static str, extension: Extension| {
        let shared = offered(ours).intersection(&offered(theirs));
        shared.has(extension).then(|| shared.arguments(extension).to_owned())
    };
    use Extension::*;
    for (extension, ours, theirs, expected) in [
        (DeliverBy, "a\nDELIVERBY 60", "b\nDELIVERBY 240", Some("240")),
        (DeliverBy, "a\nDELIVERBY", "b\nDELIVERBY 60", Some("60")),
        (DeliverBy, "a\nDELIVERBY", "b\nDELIVERBY", Some("")),
        (DeliverBy, "a\nDELIVERBY soon", "b\nDELIVERBY", None),
        (
            FutureRelease,
            "a\nFUTURERELEASE 100 2027-01-01T00:00:00Z",
            "b\nFUTURERELEASE 90 2028-01-01t00:00:00z",
            Some("90 2027-01-01T00:00:00Z"),
        ),
        (
            FutureRelease,
            "a\nFUTURERELEASE 1 2027-01-01T00:00:00Z",
            "b\nFUTURERELEASE 1 2027-01-01T00:00:00+01:00",
            None,
        ),
        (FutureRelease, "a\nFUTURERELEASE", "b\nFUTURERELEASE", None),
        (MtPriority, "a\nMT-PRIORITY", "b\nMT-PRIORITY", Some("")),
        (MtPriority, "a\nMT-PRIORITY nsep", "b\nMT-PRIORITY NSEP", Some("NSEP")),
        (MtPriority, "a\nMT-PRIORITY", "b\nMT-PRIORITY NSEP", None),
        (NoSoliciting, "a\nNO-SOLICITING a.b:ADV,c.d:X", "b\nNO-SOLICITING C.D:x,e.f:Y", Some("c.d:X")),
        (NoSoliciting, "a\nNO-SOLICITING", "b\nNO-SOLICITING a.b:ADV", Some("")),
        (NoSoliciting, "a\nNO-SOLICITING 1", "b\nNO-SOLICITING", None),
        (
            Limits,
            "a\nLIMITS MAILMAX=50 rcptmax=100 SPEED=9",
            "b\nLIMITS RCPTMAX=20 RCPTDOMAINMAX=1",
            Some("MAILMAX=50 RCPTMAX=20 RCPTDOMAINMAX=1"),
        ),
        (Limits, "a\nLIMITS", "b\nLIMITS MAILMAX=0", Some("")),
        (BinaryMime, "a\nBINARYMIME", "b\nBINARYMIME x", Some("")),
        (RequireTls, "a\nREQUIRETLS", "b", None),
    ] {
        assert_eq!(both(ours, theirs, extension).as_deref(), expected, "{ours:?} {theirs:?}");
        assert_eq!(both(theirs, ours, extension).is_some(), expected.is_some(), "{theirs:?} {ours:?}");
    }
    assert_eq!(offered("a\nLIMITS RCPTMAX=20").limit("RCPTMAX"), Some(20));
    assert_eq!(offered("a\nLIMITS RCPTMAX=20").limit("MAILMAX"), None);
}

#[test]
fn keywords_that_nobody_knows_pass_if_they_are_not_private() {
    let one =
        offered("mx\nRRVS\nMtrk\nCONNEG a b\nX-EXPS GSSAPI\nXEXCH50\nX-ANONYMOUSTLS\nxrdst\nTURN\nOK\nVERB\nA_B\nTLS");
    let unknown: Vec<_> = one.unknown().collect();
    assert_eq!(unknown, [("RRVS", ""), ("MTRK", ""), ("CONNEG", "a b")]);
    assert!(one.takes("rrvs") && one.takes("MTRK") && !one.takes("XRDST") && !one.takes("TURN") && !one.takes("SIZE"));
    let both = one.intersection(&offered("b\nrrvs\nCONNEG a c"));
    assert_eq!(both.unknown().collect::<Vec<_>>(), [("RRVS", "")]);
}

#[test]
fn keywords_that_nobody_knows_are_bounded() {
    let mut text = "mx".to_owned();
    for number in 0..40 {
        text.push_str(&format!("\nK{number}"));
    }
    let many = Extensions::from_reply(&Reply::new(250, None, text));
    assert_eq!(many.unknown().count(), MAX_UNKNOWN);
    let long =
        Extensions::from_reply(&Reply::new(250, None, format!("mx\nLONG {}\nSHORT", "a".repeat(MAX_UNKNOWN_LINE))));
    assert_eq!(long.unknown().collect::<Vec<_>>(), [("SHORT", "")]);
}

use super::super::samples::Samples;
use super::*;

fn view(page: &str) -> View {
    View::new(None, &Samples::parse(page), 100.0, None)
}

fn around() -> Around {
    Around { hostname: "mx.example.org".to_owned(), clock: "12:34:56".to_owned(), ..Around::default() }
}

fn width(line: &Line) -> usize {
    line.0.iter().map(|piece| piece.text.chars().count()).sum()
}

fn text(view: &View, around: &Around, size: Size) -> Vec<String> {
    frame(view, around, size).iter().map(Line::plain).collect()
}

/// A proxy with a lot to tell: long names, large numbers, much of everything.
fn busy() -> String {
    let mut page = "process_start_time_seconds 10\ngatepost_sessions 1234567\n".to_owned();
    for number in 0..60 {
        page += &format!(
            "gatepost_findings_total{{mode=\"enforced\",symbol=\"A_SYMBOL_WITH_A_RATHER_LONG_NAME_{number:02}\"}} {number}00000\n"
        );
        page += &format!("gatepost_backend_failures_total{{kind=\"kind_{number:02}\"}} {number}\n");
        page += &format!("gatepost_refusals_total{{code=\"5{number:02}\"}} {number}\n");
        page += &format!("gatepost_backend_up{{member=\"mailbox{number:02}.internal.example.org:2525\"}} 0\n");
        page += &format!("gatepost_list_up{{list=\"list{number:02}.example\"}} 0\n");
    }
    page + "gatepost_records_waiting 5\ngatepost_verdict_seconds_bucket{le=\"10\"} 1\ngatepost_verdict_seconds_bucket{le=\"+Inf\"} 3\n"
}

#[test]
fn a_frame_never_leaves_the_terminal() {
    let keys = Around { keys: "q quit".to_owned(), ..around() };
    for page in [String::new(), busy()] {
        for (columns, rows) in [(80, 24), (100, 30), (81, 50), (211, 70)] {
            let lines = frame(&view(&page), &keys, Size { columns, rows });
            assert_eq!(lines.len(), rows, "{columns}x{rows}");
            assert!(lines.iter().all(|line| width(line) == columns), "{columns}x{rows}");
            assert_eq!(lines[rows - 1].plain(), "q quit");
        }
    }
    let small = frame(&view(&busy()), &keys, Size { columns: 20, rows: 5 });
    assert_eq!(small.len(), SMALLEST.rows, "a smaller terminal shows a part of it");
}

#[test]
fn eighty_by_twentyfour_shows_everything_of_importance() {
    let page = busy();
    let lines = text(&view(&page), &around(), SMALLEST);
    let all = lines.join("\n");
    for words in [
        "gatepost",
        "mx.example.org",
        "12:34:56",
        "ready",
        "since the start",
        "up 0:01:30",
        "VERDICTS",
        "REPLIES",
        "559: 59",
        "SYMBOLS",
        "A_SYMBOL_WITH",
        "LATENCY",
        "verdict",
        ">10.0 s",
        "STATE",
        "backends",
        "60/60 DOWN",
        "dns",
        "lists",
        "store",
        "spool",
        "records",
        "5 waiting",
        "FAILURES 1770",
        "backend kind_59: 59",
    ] {
        assert!(all.contains(words), "{words} is missing:\n{all}");
    }
}

#[test]
fn what_is_wrong_stands_out() {
    let page = "gatepost_backend_up{member=\"one\"} 0\ngatepost_records_waiting 0\ngatepost_records_total{result=\"dropped\"} 3\n\
        gatepost_store_redis_up 0\ngatepost_store_redis_failures_total{kind=\"timeout\"} 1\ngatepost_list_up{list=\"a\"} 1\ngatepost_list_alert{alert=\"slow\",list=\"a\"} 1\n\
        gatepost_spool_bytes{place=\"disk\"} 90\ngatepost_spool_limit_bytes{place=\"disk\"} 100\n";
    let around = Around { silence: Some("no proxy answers".to_owned()), ..around() };
    let lines = frame(&view(page), &around, SMALLEST);
    let bad: Vec<String> = lines
        .iter()
        .flat_map(|line| &line.0)
        .filter(|piece| piece.tone == Tone::Bad)
        .map(|piece| piece.text.trim().to_owned())
        .collect();
    assert_eq!(lines[2].plain(), "NO ANSWER: no proxy answers");
    for words in ["DOWN: one", "3 lost", "redis DOWN", "a slow", "disk 90B/100B", "records dropped: 3"] {
        assert!(bad.iter().any(|text| text.contains(words)), "{words}: {bad:?}");
    }
    let well = frame(&view("gatepost_backend_up{member=\"one\"} 1\n"), &Around::default(), SMALLEST);
    assert!(well.iter().flat_map(|line| &line.0).all(|piece| piece.tone != Tone::Bad));
}

#[test]
fn names_do_not_speak_to_the_terminal() {
    let page = "gatepost_backend_up{member=\"one\\n\u{1b}[2J\"} 0\n";
    let lines = text(&view(page), &around(), SMALLEST);
    assert!(lines.iter().all(|line| !line.contains(char::is_control)), "{lines:?}");
}

#[test]
fn numbers_keep_to_their_columns() {
    for (count, told) in [
        (0.0, "0"),
        (-0.0, "0"),
        (7.0, "7"),
        (99_999.0, "99999"),
        (100_000.0, "100k"),
        (2.5e9, "2500M"),
        (1e12, "1000G"),
    ] {
        assert_eq!(whole(count), told);
    }
    for (count, told) in
        [(0.0, "0B"), (99_999.0, "99999B"), (1_048_576.0, "1024K"), (4.0 * 1024.0 * 1024.0 * 1024.0, "4096M")]
    {
        assert_eq!(octets(count), told);
    }
    for (seconds, told) in
        [(0.0, "0 us"), (0.000_25, "250 us"), (0.0025, "2.5 ms"), (0.025, "25 ms"), (0.25, "250 ms"), (2.5, "2.5 s")]
    {
        assert_eq!(span(seconds), told);
    }
    for (seconds, told) in [(0.0, "0:00:00"), (3_725.0, "1:02:05"), (90_061.0, "1d 1:01")] {
        assert_eq!(lasting(seconds), told);
    }
    assert_eq!((rate(0.04).as_str(), rate(12.34).as_str(), rate(123.4).as_str()), ("0.0", "12.3", "123"));
}

use super::*;

const BEFORE: &str = r#"
process_start_time_seconds 1000
process_cpu_seconds_total 10
gatepost_sessions_total 100
gatepost_message_bytes_count 40
gatepost_message_bytes_sum 40000
gatepost_decisions_total{clause="none",stage="message",verdict="forward"} 30
gatepost_decisions_total{clause="score",stage="message",verdict="reject"} 5
gatepost_refusals_total{code="550"} 7
gatepost_findings_total{mode="enforced",symbol="A"} 50
gatepost_findings_total{mode="enforced",symbol="B"} 1
gatepost_records_total{result="written"} 90
gatepost_backend_failures_total{kind="connect"} 2
"#;

const AFTER: &str = r#"
process_start_time_seconds 1000
process_cpu_seconds_total 25
process_resident_memory_bytes 1048576
process_open_fds 12
process_max_fds 1024
gatepost_build_info{version="1.2.3"} 1
gatepost_ruleset_info{rules="old"} 0
gatepost_ruleset_info{rules="abc"} 1
gatepost_sessions 4
gatepost_sessions_total 160
gatepost_connections_refused_total{limit="sessions"} 2
gatepost_connections_refused_total{limit="drain"} 1
gatepost_message_bytes_count 70
gatepost_message_bytes_sum 100000
gatepost_decisions_total{clause="none",stage="message",verdict="forward"} 45
gatepost_decisions_total{clause="score",stage="message",verdict="reject"} 8
gatepost_decisions_total{clause="listed",stage="rcpt",verdict="reject"} 7
gatepost_decisions_total{clause="greylist",stage="rcpt",verdict="defer"} 5
gatepost_refusals_total{code="550"} 10
gatepost_refusals_total{code="451"} 5
gatepost_refusals_total{code="452"} 0
gatepost_findings_total{mode="enforced",symbol="A"} 55
gatepost_findings_total{mode="enforced",symbol="B"} 31
gatepost_findings_total{mode="shadow",symbol="C"} 5
gatepost_findings_total{mode="shadow",symbol="D"} 0
gatepost_verdict_seconds_bucket{le="0.1"} 10
gatepost_verdict_seconds_bucket{le="+Inf"} 10
gatepost_backend_up{member="one"} 1
gatepost_backend_up{member="two"} 0
gatepost_backend_idle_connections{member="one"} 3
gatepost_backend_busy_connections 2
gatepost_backend_failures_total{kind="connect"} 6
gatepost_backend_failures_total{kind="busy"} 0
gatepost_backend_final_replies_total{class="2xx"} 40
gatepost_backend_final_replies_total{class="unknown"} 1
gatepost_dns_server_up{server="127.0.0.1:53"} 1
gatepost_dns_cache_total{outcome="hit"} 60
gatepost_dns_cache_total{outcome="miss"} 40
gatepost_dns_queries_total{outcome="nxdomain",type="a"} 30
gatepost_dns_queries_total{outcome="timeout",type="a"} 6
gatepost_dns_queries_total{outcome="timeout",type="mx"} 4
gatepost_dns_in_flight 1
gatepost_list_up{list="bl.example"} 0
gatepost_list_up{list="wl.example"} 1
gatepost_list_alert{alert="slow",list="bl.example"} 1
gatepost_list_alert{alert="constant",list="bl.example"} 0
gatepost_list_answers_total{list="bl.example",result="listed"} 3
gatepost_list_answers_total{list="bl.example",result="not_listed"} 7
gatepost_store_durable 1
gatepost_store_queue 8
gatepost_spool_bytes{place="disk"} 5
gatepost_spool_bytes{place="memory"} 6
gatepost_spool_limit_bytes{place="disk"} 50
gatepost_spool_limit_bytes{place="memory"} 60
gatepost_records_waiting 1
gatepost_records_bytes 4096
gatepost_records_total{result="written"} 120
gatepost_records_total{result="dropped"} 2
"#;

fn view(since_start: bool) -> View {
    let (before, after) = (Samples::parse(BEFORE), Samples::parse(AFTER));
    View::new((!since_start).then_some((&before, 30.0)), &after, 1120.0, None)
}

#[test]
fn counts_are_what_has_come_since_the_older_look() {
    let view = view(false);
    assert_eq!((view.version.as_str(), view.rules.as_str(), view.up_seconds), ("1.2.3", "abc", 120.0));
    assert_eq!((view.over_seconds, view.since_start), (30.0, false));
    let Traffic { sessions_open, sessions, sessions_per_second, turned_away, messages, .. } = view.traffic;
    assert_eq!((sessions_open, sessions, sessions_per_second, turned_away, messages), (4.0, 60.0, 2.0, 3.0, 30.0));
    assert_eq!((view.traffic.messages_per_second, view.traffic.octets_per_second), (1.0, 2000.0));
    assert_eq!((view.process.processors, view.process.open_files), (0.5, 12.0));
    let records = view.records.expect("they are kept");
    assert_eq!((records.waiting, records.written, records.lost), (1.0, 30.0, 2.0));
}

#[test]
fn verdicts_are_shares_of_all_by_stage() {
    let of = |since_start| -> Vec<(&str, f64, f64, f64, f64)> {
        let verdicts = view(since_start).verdicts.into_iter();
        verdicts.map(|each| (each.verdict, each.count, each.share, each.at_rcpt, each.at_message)).collect()
    };
    assert_eq!(
        of(false),
        [
            ("forward", 15.0, 0.5, 0.0, 15.0),
            ("defer", 5.0, 5.0 / 30.0, 5.0, 0.0),
            ("reject", 10.0, 10.0 / 30.0, 7.0, 3.0)
        ]
    );
    let all: f64 = of(true).iter().map(|(_, count, ..)| count).sum();
    assert_eq!(all, 65.0, "since the start");
}

#[test]
fn the_most_frequent_comes_first_and_what_did_not_happen_not_at_all() {
    let view = view(false);
    let replies: Vec<(&str, f64)> = view.replies.iter().map(|reply| (reply.name.as_str(), reply.count)).collect();
    assert_eq!(replies, [("451", 5.0), ("550", 3.0)]);
    let symbols: Vec<(&str, f64, bool)> =
        view.symbols.iter().map(|each| (each.symbol.as_str(), each.per_minute, each.shadow)).collect();
    assert_eq!(symbols, [("B", 60.0, false), ("A", 10.0, false), ("C", 10.0, true)]);
    let failures: Vec<(&str, &str, f64)> =
        view.failures.iter().map(|each| (each.of, each.kind.as_str(), each.count)).collect();
    assert_eq!(
        failures,
        [
            ("dns", "timeout", 10.0),
            ("backend", "connect", 4.0),
            ("records", "dropped", 2.0),
            ("backend", "unknown", 1.0)
        ]
    );
}

#[test]
fn what_we_depend_on_is_as_it_is_now() {
    let view = view(false);
    let members: Vec<(&str, bool, f64)> =
        view.backends.members.iter().map(|member| (member.name.as_str(), member.up, member.idle)).collect();
    assert_eq!(members, [("one", true, 3.0), ("two", false, 0.0)]);
    assert_eq!((view.dns.questions, view.dns.from_memory, view.dns.in_flight), (100.0, 60.0, 1.0));
    let [bad, good] = view.lists.as_slice() else { panic!("{:?}", view.lists) };
    assert_eq!((bad.up, bad.alerts.as_slice(), bad.asked, bad.listed), (false, &["slow".to_owned()][..], 10.0, 3.0));
    assert_eq!((good.up, good.alerts.len(), good.asked), (true, 0, 0.0));
    assert_eq!(view.store, Store { durable: true, queue: 8.0, redis_up: None, fallbacks: 0.0 });
    for (page, redis_up) in [
        ("gatepost_store_redis_up 0\n", None),
        ("gatepost_store_redis_up 1\n", Some(true)),
        ("gatepost_store_redis_up 0\ngatepost_store_redis_failures_total{kind=\"timeout\"} 2\n", Some(false)),
    ] {
        assert_eq!(View::new(None, &Samples::parse(page), 1.0, None).store.redis_up, redis_up, "{page}");
    }
    let rooms: Vec<(&str, f64, f64)> =
        view.spool.iter().map(|room| (room.place.as_str(), room.octets, room.limit)).collect();
    assert_eq!(rooms, [("memory", 6.0, 60.0), ("disk", 5.0, 50.0)]);
    assert_eq!(view.latencies[1].of, "verdict");
    assert_eq!(view.latencies[1].quantiles.map(|each| each.median), Some(0.05));
    assert_eq!(view.latencies[0].quantiles, None);
}

#[test]
fn a_page_without_anything_is_a_view_of_nothing() {
    let view = View::new(None, &Samples::default(), 1.0, Some("draining".to_owned()));
    assert_eq!((view.up_seconds, view.traffic.messages_per_second, view.records), (0.0, 0.0, None));
    assert!(view.verdicts.iter().all(|each| each.share == 0.0) && view.failures.is_empty());
}

/// What is read here is what a running proxy has: a family under another name would never be missed.
#[test]
fn every_family_is_one_that_the_documents_know() {
    let known = include_str!("../../../../docs/metrics.md");
    let sources = [include_str!("../view.rs"), include_str!("../history.rs")].concat();
    let names: Vec<&str> =
        sources.split('"').filter(|word| word.starts_with("gatepost_") || word.starts_with("process_")).collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        let family = name.trim_end_matches("_count").trim_end_matches("_sum");
        assert!(known.contains(&format!("| `{family}` |")), "{name}");
    }
}

//! What is answered here, and what is asked elsewhere.

use super::*;
use crate::dns::FixedDns;
use crate::dns::zones::{Format, Metrics, Settings};

struct Files(tempfile::TempDir);

impl Files {
    fn settings(&self, zone: &str, format: Format, text: &str) -> Settings {
        let path = self.0.path().join(zone);
        std::fs::write(&path, text).expect("a file");
        Settings { name: zone.into(), format, files: vec![path], max_entries: 100 }
    }
}

/// The network knows other things about all names than the zones do.
fn local(settings: &[Settings]) -> Local {
    let network = FixedDns::new()
        .a("www.lan.example", [[203, 0, 113, 1]])
        .a("only.lan.example", [[203, 0, 113, 1]])
        .a("elsewhere.example", [[203, 0, 113, 1]])
        .listed("bl.example", [192, 0, 2, 9], [127, 0, 0, 99])
        .ptr([192, 0, 2, 1], ["network.example"])
        .ptr([192, 0, 2, 2], ["network.example"])
        .mx("elsewhere.example", [(10, "mx.elsewhere.example")]);
    let zones = LocalZones::new(Metrics::new());
    zones.load(settings);
    Local::new(Arc::new(zones), Arc::new(network))
}

#[tokio::test]
async fn names_of_local_zones_are_answered_here_and_all_others_elsewhere() {
    let files = Files(tempfile::tempdir().expect("a directory"));
    let dns = local(&[
        files.settings("lan.example", Format::Hosts, "192.0.2.1 www.lan.example\n@ MX 5 www.lan.example\n"),
        files.settings("bl.example", Format::Ip4Set, "192.0.2.1 :4:$ sent spam\n"),
    ]);
    for (name, addresses, exists) in [
        ("WWW.lan.Example.", vec![[192, 0, 2, 1]], true),
        ("only.lan.example", vec![], false),
        ("lan.example", vec![], true),
        ("elsewhere.example", vec![[203, 0, 113, 1]], true),
        ("nowhere.example", vec![], false),
        ("1.2.0.192.bl.example", vec![[127, 0, 0, 4]], true),
        ("9.2.0.192.bl.example", vec![], false),
    ] {
        let answer = dns.a(name).await.expect(name);
        let expected: Vec<Ipv4Addr> = addresses.into_iter().map(Ipv4Addr::from).collect();
        assert_eq!((&*answer.records, answer.exists), (&*expected, exists), "{name}");
    }
    assert_eq!(
        &*dns.txt("1.2.0.192.bl.example").await.expect("listed").records,
        [std::sync::Arc::<str>::from("192.0.2.1 sent spam")]
    );
    assert_eq!(&*dns.mx("lan.example").await.expect("local").records, [(5, "www.lan.example".into())]);
    assert_eq!(&*dns.mx("elsewhere.example").await.expect("there").records, [(10, "mx.elsewhere.example".into())]);
    assert!(dns.aaaa("www.lan.example").await.expect("local").records.is_empty());
    assert!(!dns.ns("only.lan.example").await.expect("local").exists);
    assert_eq!(dns.a("a..b").await, Err(LookupError::NotAName));
}

#[tokio::test]
async fn addresses_have_the_names_of_a_hosts_file_or_of_a_local_arpa_zone() {
    let files = Files(tempfile::tempdir().expect("a directory"));
    let hosts = files.settings("lan.example", Format::Hosts, "192.0.2.1 www.lan.example\n");
    let arpa = files.settings("113.0.203.in-addr.arpa", Format::Hosts, "1.113.0.203.in-addr.arpa PTR Lan.Example.\n");
    let dns = local(&[hosts, arpa]);
    for (addr, names, exists) in [
        ([192, 0, 2, 1], vec!["www.lan.example"], true),
        ([192, 0, 2, 2], vec!["network.example"], true),
        ([203, 0, 113, 1], vec!["lan.example"], true),
        ([203, 0, 113, 2], vec![], false),
    ] {
        let answer = dns.ptr(addr.into()).await.expect("an answer");
        let expected: Vec<Arc<str>> = names.into_iter().map(Into::into).collect();
        assert_eq!((&*answer.records, answer.exists), (&*expected, exists), "{addr:?}");
    }
}

#[tokio::test]
async fn without_zones_and_without_files_nothing_is_made_up() {
    let dns = local(&[]);
    assert!(dns.a("only.lan.example").await.expect("the network's").exists);
    let missing = Settings {
        name: "lan.example".into(),
        format: Format::Hosts,
        files: vec!["/nowhere/hosts".into()],
        max_entries: 1,
    };
    let dns = local(&[missing]);
    assert_eq!(dns.a("only.lan.example").await, Err(LookupError::ServerFailure), "it is not asked on the network");
    assert!(dns.a("elsewhere.example").await.expect("the network's").exists);
}

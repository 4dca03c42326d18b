//! Test points: what every working list lists, and what none does (RFC 5782 5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::subject::Form;
use super::{CodePattern, Settings};
use crate::units::{reversed_labels, reversed_nibbles};

/// Which test points of RFC 5782 a list is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// What must be listed, and what must not.
    Both,
    /// Only what must be listed.
    Positive,
    /// Only what must not be listed.
    Negative,
    /// None.
    None,
}

/// How a list is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Points {
    /// The test points of RFC 5782.
    pub test: Test,
    /// More that must be listed; labels as they stand before the zone.
    pub listed: Vec<String>,
    /// More that must not be listed.
    pub not_listed: Vec<String>,
    /// Time between tests while all is well.
    pub interval: Duration,
}

/// All that the health of a list depends on: two lists with one plan are in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The list's name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Its zone as it may be shown.
    pub shown: String,
    /// Names that must have a listing.
    pub listed: Vec<String>,
    /// Names that must have none.
    pub not_listed: Vec<String>,
    /// Codes that are errors of this list.
    pub errors: Vec<CodePattern>,
    /// Time between tests while all is well.
    pub interval: Duration,
    /// How long an answer may take.
    pub deadline: Duration,
}

const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const NOT_LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);

impl Default for Points {
    fn default() -> Self {
        Self { test: Test::Both, listed: Vec::new(), not_listed: Vec::new(), interval: Duration::from_secs(600) }
    }
}

/// How the list of these settings is tested.
pub fn plan(settings: &Settings) -> Plan {
    let (mut listed, mut not_listed) = match settings.of.form() {
        Form::Address => addresses(settings.ipv4, settings.ipv6),
        Form::Name => (vec!["test".to_owned()], vec!["invalid".to_owned()]),
        Form::Digest => (Vec::new(), Vec::new()),
    };
    if matches!(settings.points.test, Test::Negative | Test::None) {
        listed.clear();
    }
    if matches!(settings.points.test, Test::Positive | Test::None) {
        not_listed.clear();
    }
    listed.extend(settings.points.listed.iter().cloned());
    not_listed.extend(settings.points.not_listed.iter().cloned());
    let in_zone = |labels: Vec<String>| labels.into_iter().map(|label| format!("{label}.{}", settings.zone)).collect();
    Plan {
        name: settings.name.clone(),
        zone: settings.zone.clone(),
        shown: settings.shown.clone(),
        listed: in_zone(listed),
        not_listed: in_zone(not_listed),
        errors: settings.errors.clone(),
        interval: settings.points.interval,
        deadline: settings.deadline,
    }
}

/// Many lists of both families have their listed test point in IPv4 only, so its IPv6 form must be listed
/// only where there is nothing else.
fn addresses(ipv4: bool, ipv6: bool) -> (Vec<String>, Vec<String>) {
    let (mut listed, mut not_listed) = (Vec::new(), Vec::new());
    if ipv4 {
        listed.push(label(LISTED.into()));
        not_listed.push(label(NOT_LISTED.into()));
    }
    if ipv6 {
        not_listed.push(label(NOT_LISTED.to_ipv6_mapped().into()));
        if !ipv4 {
            listed.push(label(LISTED.to_ipv6_mapped().into()));
        }
    }
    (listed, not_listed)
}

/// What stands before the zone in a question about `addr`. An IPv4-mapped address stays IPv6: that is
/// how the test points are written.
fn label(addr: IpAddr) -> String {
    let labels = match addr {
        IpAddr::V4(_) => reversed_labels(addr),
        IpAddr::V6(addr) => reversed_nibbles(addr),
    };
    labels.trim_end_matches('.').to_owned()
}

/// A test point as it is written in rules: an address, a name or a digest.
///
/// # Errors
/// It is none of that form.
pub fn parse(written: &str, form: Form) -> Result<String, String> {
    match form {
        Form::Address => match (written.parse::<Ipv4Addr>(), written.parse::<Ipv6Addr>()) {
            (Ok(addr), _) => Ok(label(addr.into())),
            (_, Ok(addr)) => Ok(label(addr.into())),
            _ => Err(format!("`{written}` is no address")),
        },
        Form::Name | Form::Digest => {
            let name = written.trim_end_matches('.').to_ascii_lowercase();
            let is_label = |label: &str| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
            };
            let fits = name.len() <= 189 && name.split('.').all(is_label);
            if fits { Ok(name) } else { Err(format!("`{written}` is no name")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Subject;
    use super::*;

    #[test]
    fn test_points_are_those_of_the_rfc_and_more_if_wished() {
        let v6 = |last: &str| format!("{last}.0.0.0.0.0.f.7.f.f.f.f.{}bl.example", "0.".repeat(20));
        let (listed_v6, not_listed_v6) = (v6("2"), v6("1"));
        let (yes_v6, no_v6) = (listed_v6.as_str(), not_listed_v6.as_str());
        let (yes, no) = ("2.0.0.127.bl.example", "1.0.0.127.bl.example");
        for (of, ipv4, ipv6, test, listed, not_listed) in [
            (Subject::Client, true, false, Test::Both, &[yes][..], &[no][..]),
            (Subject::Client, false, true, Test::Both, &[yes_v6], &[no_v6]),
            (Subject::Client, true, true, Test::Both, &[yes], &[no, no_v6]),
            (Subject::NameServerAddress, true, false, Test::Positive, &[yes], &[]),
            (Subject::Client, true, false, Test::Negative, &[], &[no]),
            (Subject::Client, true, false, Test::None, &[], &[]),
            (Subject::Sender, true, false, Test::Both, &["test.bl.example"], &["invalid.bl.example"]),
            (Subject::EmailHash, true, false, Test::Both, &[], &[]),
        ] {
            let points = Points { test, ..Points::default() };
            let mut settings = Settings { of, ipv4, ipv6, points, ..Settings::new("x", "bl.example") };
            let plan = super::plan(&settings);
            assert_eq!(plan.listed, listed, "{of:?} {test:?}");
            assert_eq!(plan.not_listed, not_listed, "{of:?} {test:?}");
            settings.points.listed = vec!["a.b".into()];
            settings.points.not_listed = vec!["c.d".into()];
            let plan = super::plan(&settings);
            assert_eq!(plan.listed.last().map(String::as_str), Some("a.b.bl.example"));
            assert_eq!(plan.not_listed.last().map(String::as_str), Some("c.d.bl.example"));
        }
    }

    #[test]
    fn points_are_written_as_people_write_them() {
        let mapped = format!("2.0.0.0.0.0.f.7.f.f.f.f.{}0", "0.".repeat(19));
        for (written, form, label) in [
            ("127.0.0.2", Form::Address, Some("2.0.0.127")),
            ("::ffff:127.0.0.2", Form::Address, Some(mapped.as_str())),
            ("test", Form::Address, None),
            ("DblTest.com.", Form::Name, Some("dbltest.com")),
            ("TEST", Form::Name, Some("test")),
            ("a..b", Form::Name, None),
            ("", Form::Name, None),
            ("4d4h", Form::Digest, Some("4d4h")),
        ] {
            assert_eq!(parse(written, form).ok().as_deref(), label, "{written}");
        }
    }
}

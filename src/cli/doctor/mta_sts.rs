//! MTA-STS (RFC 8461): what our domains promise of their mail servers, and whether we keep it.
//!
//! Senders that go by a policy in force deliver only to servers that it names, with a certificate that the public
//! trusts. So a policy that we do not keep is the worst thing that can be found here.

use std::time::Duration;

use super::exchangers::Domain;
use super::finding::Finding;
use super::https;
use super::listeners::Listener;
use crate::dns::Lookup;

const AREA: &str = "mta-sts";
/// A policy is no larger (RFC 8461 3.3 leaves it to the client).
const LARGEST: usize = 64 * 1024;
/// What forgets a policy sooner protects nobody from who waits (RFC 8461 10.2 recommends weeks).
const SHORT: Duration = Duration::from_secs(86_400);
/// RFC 8461 3.2.
const LONGEST_SECONDS: u64 = 31_557_600;

/// What senders are to do where the policy is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Enforce,
    Testing,
    None,
}

/// A policy (RFC 8461 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Policy {
    mode: Mode,
    max_age: Duration,
    /// Names, and `*.` before a name for one label.
    mx: Vec<String>,
}

/// The policy of each domain, held against its MX records and our certificates. `names` are ours.
pub(super) async fn examine(
    domains: &[Domain],
    names: &[String],
    listeners: &[Listener<'_>],
    dns: &dyn Lookup,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for domain in domains {
        findings.extend(of_domain(domain, names, listeners, dns).await);
    }
    findings
}

async fn of_domain(domain: &Domain, names: &[String], listeners: &[Listener<'_>], dns: &dyn Lookup) -> Vec<Finding> {
    let subject = &domain.name;
    let texts = match dns.txt(&format!("_mta-sts.{subject}")).await {
        Ok(answer) => answer.records,
        Err(why) => return vec![Finding::skipped(AREA, subject, why, "Mend the name servers first.")],
    };
    match record(texts.iter().map(|text| &**text)) {
        Ok(None) => {
            return vec![Finding::well(AREA, subject, "no MTA-STS: senders do not ask for a certificate")];
        }
        Err(found) => {
            let advice = "Senders take it for no policy at all: publish one record, \
                `v=STSv1; id=20260101000000;`, at _mta-sts of the domain.";
            return vec![Finding::doubtful(AREA, subject, found, advice)];
        }
        Ok(Some(_id)) => {}
    }
    let host = format!("mta-sts.{subject}");
    let policy = match https::get(dns, &host, "/.well-known/mta-sts.txt", LARGEST).await {
        Ok(text) => text,
        Err(why) => {
            let advice = "The record promises a policy that nobody can fetch: senders that know none go on without. \
                Serve it over HTTPS, with a certificate for that name and without a redirection, or take the record out.";
            return vec![Finding::doubtful(AREA, subject, format!("https://{host}: {why}"), advice)];
        }
    };
    match policy.parse::<Policy>() {
        Ok(policy) => judge(domain, &policy, names, listeners),
        Err(why) => {
            let advice = "Senders take it for no policy at all: mend that line (RFC 8461 3.2).";
            vec![Finding::doubtful(AREA, subject, format!("the policy of {host}: {why}"), advice)]
        }
    }
}

fn judge(domain: &Domain, policy: &Policy, names: &[String], listeners: &[Listener<'_>]) -> Vec<Finding> {
    let subject = &domain.name;
    let make = match policy.mode {
        Mode::None => return vec![Finding::well(AREA, subject, "the policy asks for nothing (mode: none)")],
        Mode::Enforce => Finding::broken,
        Mode::Testing => Finding::doubtful,
    };
    let mode = if policy.mode == Mode::Enforce { "enforce" } else { "testing" };
    let mut findings = Vec::new();
    let unnamed: Vec<&str> = domain.exchangers.iter().map(String::as_str).filter(|name| !policy.names(name)).collect();
    if !unnamed.is_empty() {
        let found = format!("the policy (mode: {mode}) does not name {}, which the MX does", unnamed.join(", "));
        let advice = "Senders that go by it deliver nothing there: add `mx: NAME` to the policy, and another id to the \
            record at _mta-sts.";
        findings.push(make(AREA, subject, found, advice));
    }
    // Servers that are not ours are for others to look after.
    for name in names.iter().filter(|name| domain.exchangers.contains(*name) && policy.names(name)) {
        findings.extend(listeners.iter().filter_map(|listener| {
            let why = listener.mistrusted(name)?;
            let found = format!(
                "the policy (mode: {mode}) asks for a trusted certificate; {name} at listener {}: {why}",
                listener.name
            );
            let advice = "Senders that go by it deliver nothing: have a public authority sign a certificate for that \
                name, with its whole chain in the file, or write `mode: testing` (and another id) meanwhile.";
            Some(make(AREA, subject, found, advice))
        }));
    }
    if policy.max_age < SHORT {
        let found = format!("the policy is forgotten after {} s", policy.max_age.as_secs());
        findings.push(Finding::doubtful(AREA, subject, found, "Weeks are usual: max_age: 1209600."));
    }
    if findings.is_empty() {
        findings.push(Finding::well(AREA, subject, format!("the policy (mode: {mode}) is kept")));
    }
    findings
}

/// The id of the one record (RFC 8461 3.1); `None`: there is none.
fn record<'t>(texts: impl Iterator<Item = &'t str>) -> Result<Option<&'t str>, String> {
    let mut records =
        texts.filter(|text| text.split(';').next().is_some_and(|version| version.trim_end() == "v=STSv1"));
    let Some(record) = records.next() else { return Ok(None) };
    let others = records.count();
    if others > 0 {
        return Err(format!("there are {} records, and only one is allowed", others + 1));
    }
    let mut fields = record.split(';').skip(1).filter_map(|field| field.split_once('='));
    let id = fields.find(|(key, _)| key.trim() == "id").map(|(_, id)| id.trim());
    let is_good = |id: &&str| (1..=32).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
    id.filter(is_good).map(Some).ok_or_else(|| "the record has no id of 1 to 32 letters and digits".to_owned())
}

impl std::str::FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<(&str, &str)> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                let (key, value) = line.split_once(':').ok_or_else(|| format!("`{}` is no field", line.trim()))?;
                Ok((key.trim(), value.trim()))
            })
            .collect::<Result<_, String>>()?;
        // Of a field that there is more than once, the first counts, but for mx.
        let first = |wanted: &str| {
            let found = fields.iter().find(|(key, _)| *key == wanted);
            found.map(|(_, value)| *value).ok_or_else(|| format!("there is no `{wanted}`"))
        };
        let version = first("version")?;
        if version != "STSv1" {
            return Err(format!("version `{version}` is not STSv1"));
        }
        let mode = match first("mode")? {
            "enforce" => Mode::Enforce,
            "testing" => Mode::Testing,
            "none" => Mode::None,
            other => return Err(format!("mode `{other}` is none of enforce, testing, none")),
        };
        let max_age = first("max_age")?;
        let seconds = max_age.parse().ok().filter(|seconds| *seconds <= LONGEST_SECONDS);
        let seconds = seconds.ok_or_else(|| format!("max_age `{max_age}` is no number up to {LONGEST_SECONDS}"))?;
        let mx: Vec<String> =
            fields.iter().filter(|(key, _)| *key == "mx").map(|(_, name)| name.to_lowercase()).collect();
        if mx.is_empty() && mode != Mode::None {
            return Err("there is no `mx`".to_owned());
        }
        Ok(Self { mode, max_age: Duration::from_secs(seconds), mx })
    }
}

impl Policy {
    /// True if it names that exchanger: by its name, or by a `*` for its first label (RFC 8461 4.1).
    fn names(&self, exchanger: &str) -> bool {
        let exchanger = exchanger.trim_end_matches('.').to_lowercase();
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => exchanger.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
            None => *pattern == exchanger,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_one_record_with_an_id() {
        for (texts, expected) in [
            (&[][..], Ok(None)),
            (&["v=spf1 -all", "v=STSv10; id=1;"], Ok(None)),
            (&["v=STSv1; id=20260101;"], Ok(Some("20260101"))),
            (&["v=STSv1;id=a1", "other"], Ok(Some("a1"))),
            (&["v=STSv1 ; x=y; id = 7 ;"], Ok(Some("7"))),
            (&["v=STSv1;"], Err("no id")),
            (&["v=STSv1; id=a-b;"], Err("no id")),
            (&["v=STSv1; id=123456789012345678901234567890123;"], Err("no id")),
            (&["v=STSv1; id=1;", "v=STSv1; id=2;"], Err("2 records")),
        ] {
            let found = record(texts.iter().copied());
            match expected {
                Ok(expected) => assert_eq!(found, Ok(expected), "{texts:?}"),
                Err(words) => assert!(found.as_ref().is_err_and(|why| why.contains(words)), "{texts:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_policy_has_a_version_a_mode_an_age_and_exchangers() {
        let good = "version: STSv1\r\nmode: enforce\r\nmx: MX.example.org\r\nmx: *.example.net\r\nmax_age: 604800\r\n";
        let policy: Policy = good.parse().expect("good");
        let mx = vec!["mx.example.org".to_owned(), "*.example.net".to_owned()];
        assert_eq!(policy, Policy { mode: Mode::Enforce, max_age: Duration::from_secs(604_800), mx });
        for (change, words) in [
            (("STSv1", "STSv2"), "STSv2"),
            (("version: STSv1\r\n", ""), "no `version`"),
            (("enforce", "strict"), "strict"),
            (("604800", "31557601"), "max_age"),
            (("604800", "-1"), "max_age"),
            (("604800", ""), "max_age"),
            (("mode: enforce", "<html>"), "no field"),
            (("mx: MX.example.org\r\nmx: *.example.net\r\n", ""), "no `mx`"),
        ] {
            let found = good.replace(change.0, change.1).parse::<Policy>();
            assert!(found.as_ref().is_err_and(|why| why.contains(words)), "{change:?}: {found:?}");
        }
        assert!(
            "version: STSv1\nmode: none\nmax_age: 1".parse::<Policy>().is_ok(),
            "nobody needs to be named for none"
        );
    }

    #[test]
    fn a_star_is_one_label() {
        let mx = vec!["mx.example.org".to_owned(), "*.example.net".to_owned()];
        let policy = Policy { mode: Mode::Enforce, max_age: SHORT, mx };
        for (name, expected) in [
            ("mx.example.org", true),
            ("MX.Example.ORG.", true),
            ("mx2.example.org", false),
            ("a.example.net", true),
            ("a.b.example.net", false),
            ("example.net", false),
            ("", false),
        ] {
            assert_eq!(policy.names(name), expected, "{name}");
        }
    }
}

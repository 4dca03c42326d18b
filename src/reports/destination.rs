//! Who may be sent a report: addresses in the policy's own organization, and others that have said so
//! themselves (RFC 9990 4), so that nobody can have reports sent to a victim.

use std::sync::Arc;

use crate::checks::auth::dmarc::{Record, Walker};
use crate::dns::{Lookup, LookupError};
use crate::smtp::{Domain, Mailbox};

/// Whether a domain agrees to receive reports about another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consent {
    /// It does, or is asked nothing because the organization is the same.
    Given,
    /// It does, at another address of its own than the policy names.
    Instead(Mailbox),
    /// It does not.
    Refused,
    /// DNS does not say at the moment.
    Unknown,
}

/// An address of `rua=` that mail can be sent to: ASCII, at a domain name.
pub fn mailbox(address: &str) -> Option<Mailbox> {
    let mailbox = Mailbox::parse(address).ok()?;
    (matches!(mailbox.domain(), Domain::Name(_)) && !mailbox.needs_smtputf8()).then_some(mailbox)
}

/// True if the policy of `policy_domain` may name addresses at `destination` without being asked: both have
/// the same Organizational Domain (RFC 9990 4), found as DMARC finds it.
///
/// # Errors
/// DNS trouble on the way.
pub async fn is_own(dns: &dyn Lookup, policy_domain: &str, destination: &str) -> Result<bool, LookupError> {
    let top = |name: &str| name.rsplit('.').next().map(str::to_owned);
    if policy_domain == destination || top(policy_domain) != top(destination) {
        return Ok(policy_domain == destination);
    }
    let mut walker = Walker::new(dns);
    let policy = walker.walk(policy_domain).await?;
    let other = walker.walk(destination).await?;
    Ok(policy.organization() == other.organization())
}

/// What the TXT records of [`question`] say. One that names a URI at another host, of whatever scheme, agrees
/// to nothing: neither that host nor this one gets a report (RFC 9990 4).
pub fn judge(texts: &[Arc<str>], destination: &str) -> Consent {
    let agreed = texts.iter().find_map(|text| Record::parse(text).map(|record| (text, record)));
    let Some((text, record)) = agreed else { return Consent::Refused };
    let mut uris = uris(text).peekable();
    if uris.peek().is_none() {
        return Consent::Given;
    }
    if !uris.all(|uri| host(uri).is_some_and(|host| host.eq_ignore_ascii_case(destination))) {
        return Consent::Refused;
    }
    let mut usable = record.rua.iter().filter_map(|(address, _)| mailbox(address));
    // Where all that it names is no mail, mail is not what it wants.
    usable.find(|other| other.domain().to_ascii_lower() == destination).map_or(Consent::Refused, Consent::Instead)
}

/// Everything that the `rua` tags of a record name.
fn uris(text: &str) -> impl Iterator<Item = &str> {
    let tags = text.split(';').filter_map(|part| part.split_once('='));
    let named = tags.filter(|(name, _)| name.trim_ascii().eq_ignore_ascii_case("rua"));
    named.flat_map(|(_, value)| value.split(',')).map(str::trim_ascii).filter(|uri| !uri.is_empty())
}

/// The host of a URI. One that hides behind percent-encoding is none, and so is whatever is no URI.
fn host(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    if scheme.eq_ignore_ascii_case("mailto") {
        let address = rest.split(['!', '?']).next()?;
        return address.rsplit_once('@').map(|(_, host)| host);
    }
    let authority = rest.strip_prefix("//")?.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.split(':').next()
}

/// The name at which `destination` says whether it wants reports about `policy_domain`.
pub fn question(policy_domain: &str, destination: &str) -> String {
    format!("{policy_domain}._report._dmarc.{destination}")
}

/// Asks, where there is something to ask.
pub async fn consent(dns: &dyn Lookup, policy_domain: &str, destination: &str) -> Consent {
    match is_own(dns, policy_domain, destination).await {
        Ok(true) => return Consent::Given,
        Ok(false) => {}
        Err(_trouble) => return Consent::Unknown,
    }
    match dns.txt(&question(policy_domain, destination)).await {
        Ok(answer) => judge(&answer.records, destination),
        Err(LookupError::NotAName) => Consent::Refused,
        Err(_trouble) => Consent::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::FixedDns;

    #[tokio::test]
    async fn a_report_leaves_the_organization_only_where_it_is_wanted() {
        let dns = FixedDns::new()
            .txt("_dmarc.author.example", ["v=DMARC1; p=reject"])
            .txt("_dmarc.sub.author.example", ["v=DMARC1; p=none"])
            // Its part says that it is an organization of its own.
            .txt("_dmarc.part.author.example", ["v=DMARC1; p=none; psd=n"])
            .txt("_dmarc.co.uk", ["v=DMARC1; p=none; psd=y"])
            .txt("author.example._report._dmarc.reports.example", ["v=DMARC1"])
            .txt("author.example._report._dmarc.tags.example", ["unrelated", "v = DMARC1 ; rua=mailto:x@tags.example"])
            .txt(
                "author.example._report._dmarc.away.example",
                ["v=DMARC1; rua=mailto:x@victim.example,https://away.example"],
            )
            .txt(
                "author.example._report._dmarc.both.example",
                ["v=DMARC1; rua=mailto:x@both.example, mailto:x@victim.example"],
            )
            .txt("author.example._report._dmarc.web.example", ["v=DMARC1; rua=https://web.example:443/in?a@b"])
            .txt(
                "author.example._report._dmarc.mixed.example",
                ["v=DMARC1; RUA=HTTPS://u@Mixed.example:443/in?a@b, mailto:x@mixed.EXAMPLE!1m"],
            )
            .txt("author.example._report._dmarc.repeated.example", ["v=DMARC1; rua=mailto:x@victim.example; rua="])
            .txt("author.example._report._dmarc.empty.example", ["v=DMARC1; rua=;"])
            .txt("author.example._report._dmarc.other.example", ["v=DMARC2", "p=none; v=DMARC1", "v=DMARC1x"])
            .fail("author.example._report._dmarc.sick.example", LookupError::ServerFailure);
        let long = format!("{}.example", vec!["a".repeat(60); 3].join("."));
        for (policy_domain, destination, expected) in [
            ("author.example", "author.example", Consent::Given),
            ("author.example", "dmarc.mail.author.example", Consent::Given),
            ("sub.author.example", "author.example", Consent::Given),
            ("author.example", "rua.part.author.example", Consent::Refused),
            ("part.author.example", "author.example", Consent::Refused),
            ("alone.example", "below.alone.example", Consent::Refused),
            ("author.example", "reports.example", Consent::Given),
            ("author.example", "tags.example", Consent::Instead(mailbox("x@tags.example").expect("an address"))),
            ("author.example", "away.example", Consent::Refused),
            ("author.example", "both.example", Consent::Refused),
            ("author.example", "web.example", Consent::Refused),
            ("author.example", "mixed.example", Consent::Instead(mailbox("x@mixed.example").expect("an address"))),
            ("author.example", "repeated.example", Consent::Refused),
            ("author.example", "empty.example", Consent::Given),
            ("author.example", "other.example", Consent::Refused),
            ("author.example", "victim.example", Consent::Refused),
            ("author.example", "sick.example", Consent::Unknown),
            (&long, "an-other-name-beyond-all-measure.that-dns-cannot.hold.victim.example", Consent::Refused),
            // The policy of a public suffix does not speak for those who registered there.
            ("co.uk", "victim.co.uk", Consent::Refused),
            ("one.co.uk", "two.co.uk", Consent::Refused),
        ] {
            assert_eq!(consent(&dns, policy_domain, destination).await, expected, "{policy_domain} -> {destination}");
        }
    }

    #[test]
    fn an_address_must_be_one_that_mail_can_be_sent_to() {
        for (address, expected) in [
            ("rua@author.example", true),
            ("\"a b\"@author.example", true),
            ("rua@[192.0.2.1]", false),
            ("rüa@author.example", false),
            ("rua@author.example\r\nBcc: victim@example.org", false),
            ("rua", false),
            ("", false),
        ] {
            assert_eq!(mailbox(address).is_some(), expected, "{address}");
        }
    }
}

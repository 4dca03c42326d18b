//! From the results of SPF and DKIM to that of DMARC (RFC 9989 5.3).
//!
//! DNS trouble is neither pass nor failure wherever it could have made the difference.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::record::{Policies, Record};
use super::walk::{Walk, Walker};
use crate::dns::{Lookup, LookupError};
use crate::facts::{AuthResult, Author, Dkim, Dmarc, DmarcPolicy, DmarcRecord, Spf};
use crate::message::address::domain_name;
use crate::units::is_at_or_below;

/// The first half, for which SPF and DKIM need not be known: which record applies.
pub struct Discovery<'d> {
    /// By author domain; of many the first [`MAX_AUTHORS`].
    found: Vec<Found<'d>>,
}

/// Author domains of an abnormal From that are looked at; who names more is taken for the worst of them.
const MAX_AUTHORS: usize = 4;
/// How long the record of one of several author domains may take: no stranger's name server keeps the
/// policy of another domain from being found in time.
const PATIENCE: Duration = Duration::from_secs(4);

/// What DNS says of one author domain.
struct Found<'d> {
    author: Arc<str>,
    walker: Walker<'d>,
    record: Result<Option<Applicable>, LookupError>,
}

/// The record that applies to an author domain.
struct Applicable {
    author: Arc<str>,
    domain: String,
    record: Arc<Record>,
    /// The walk from the author domain, if it was needed so far.
    walk: Option<Walk>,
}

/// Does an identifier speak for the author domain?
#[derive(Clone, Debug, PartialEq, Eq)]
enum Alignment {
    Aligned,
    Unaligned,
    Unknown(LookupError),
}

/// What the identifiers of one method came to.
#[derive(Default)]
struct Identified {
    /// The identifier that passed and is aligned.
    domain: Option<Arc<str>>,
    /// What kept it from being found out.
    trouble: Option<String>,
}

impl<'d> Discovery<'d> {
    /// Asks for the record of the author's domain, and of those above it if it has none.
    pub async fn of(dns: &'d dyn Lookup, author: &Author) -> Self {
        let several = author.domain().is_none();
        let domains = author.domains().iter().take(MAX_AUTHORS);
        Self { found: join_all(domains.map(|domain| Found::of(dns, domain, several))).await }
    }

    /// The second half.
    pub async fn evaluate(self, author: &Author, spf: &Spf, dkim: &Dkim) -> Dmarc {
        let mut each = Vec::with_capacity(self.found.len());
        for found in self.found {
            each.push(found.evaluate(spf, dkim).await);
        }
        match (author, each.pop()) {
            (Author::One { .. }, Some(only)) => only,
            (_, last) => combined(author, each.into_iter().chain(last)),
        }
    }
}

impl<'d> Found<'d> {
    async fn of(dns: &'d dyn Lookup, author: &Arc<str>, one_of_several: bool) -> Self {
        let mut walker = Walker::new(dns);
        let record = match one_of_several {
            false => discover(&mut walker, author).await,
            true => timeout(PATIENCE, discover(&mut walker, author)).await.unwrap_or(Err(LookupError::Timeout)),
        };
        Self { author: author.clone(), walker, record }
    }

    async fn evaluate(self, spf: &Spf, dkim: &Dkim) -> Dmarc {
        let Self { author, mut walker, record } = self;
        let conclude = |result, reason: String| concluded(Some(&author), result, reason);
        let mut applicable = match record {
            Err(why) => return conclude(AuthResult::TempError, format!("policy of {author}: {why}")),
            Ok(None) => return conclude(AuthResult::None, "no policy record".to_owned()),
            Ok(Some(applicable)) => applicable,
        };
        let at = applicable.domain.clone();
        let Some(policies) = applicable.record.policies else {
            return conclude(AuthResult::PermError, format!("unusable policy record at {at}"));
        };
        let spf = applicable.identify_spf(&mut walker, spf).await;
        let dkim = applicable.identify_dkim(&mut walker, dkim).await;
        let (result, reason) = verdict(&spf, &dkim);
        let (published_policy, reason) = match result {
            AuthResult::Fail => applicable.policy_of_failure(&walker, policies, reason).await,
            AuthResult::Pass => (applicable.policy(policies, true), reason),
            _ => (DmarcPolicy::None, reason),
        };
        Dmarc {
            policy: applicable.tested(published_policy),
            published: published_policy,
            record: Some(published(&at, policies, &applicable.record)),
            spf_aligned: spf.domain.is_some(),
            dkim_aligned: dkim.domain,
            ..conclude(result, reason)
        }
    }
}

/// RFC 9989 4.10.1.
async fn discover(walker: &mut Walker<'_>, author: &Arc<str>) -> Result<Option<Applicable>, LookupError> {
    if let Some(record) = walker.record(author).await? {
        return Ok(Some(Applicable { author: author.clone(), domain: author.to_string(), record, walk: None }));
    }
    let walk = walker.walk(author).await?;
    let applicable = walk.policy().map(|(domain, record)| (domain.to_owned(), record.clone()));
    Ok(applicable.map(|(domain, record)| Applicable { author: author.clone(), domain, record, walk: Some(walk) }))
}

impl Applicable {
    async fn identify_spf(&mut self, walker: &mut Walker<'_>, spf: &Spf) -> Identified {
        let mut identified = Identified::default();
        if !matches!(spf.result, AuthResult::Pass | AuthResult::TempError) {
            return identified;
        }
        let Some(domain) = domain_name(&spf.domain) else { return identified };
        match self.alignment(walker, &domain, self.record.strict_spf).await {
            Alignment::Aligned if spf.result == AuthResult::Pass => identified.domain = Some(domain.into()),
            Alignment::Aligned => identified.trouble = Some(format!("SPF of {domain}: {}", spf.reason)),
            Alignment::Unknown(why) => identified.trouble = Some(format!("organization of {domain}: {why}")),
            Alignment::Unaligned => {}
        }
        identified
    }

    async fn identify_dkim(&mut self, walker: &mut Walker<'_>, dkim: &Dkim) -> Identified {
        let lost = dkim.panicked.then(|| "signatures: an internal error".to_owned());
        let mut identified = Identified { domain: None, trouble: lost };
        // Without From among the signed fields, the author is not what was signed (RFC 6376 5.4).
        let passed = dkim.passed().filter(|signature| signature.signs_from);
        let open = dkim.signatures.iter().filter(|signature| signature.result == AuthResult::TempError);
        for signature in passed.chain(open) {
            let Some(domain) = domain_name(&signature.domain) else { continue };
            match self.alignment(walker, &domain, self.record.strict_dkim).await {
                Alignment::Aligned if signature.result == AuthResult::Pass => {
                    return Identified { domain: Some(domain.into()), trouble: None };
                }
                Alignment::Aligned => identified.trouble = Some(format!("signature of {domain}: {}", signature.reason)),
                Alignment::Unknown(why) => identified.trouble = Some(format!("organization of {domain}: {why}")),
                Alignment::Unaligned => {}
            }
        }
        identified
    }

    /// RFC 9989 4.10.2. Walks only where two domains could share an organization.
    async fn alignment(&mut self, walker: &mut Walker<'_>, domain: &str, strict: bool) -> Alignment {
        if *self.author == *domain {
            return Alignment::Aligned;
        }
        let top = |name: &str| name.rsplit('.').next().map(str::to_owned);
        if strict || top(&self.author) != top(domain) {
            return Alignment::Unaligned;
        }
        let organization = match self.organization(walker).await {
            Ok(organization) => organization,
            Err(why) => return Alignment::Unknown(why),
        };
        if !is_at_or_below(domain, &organization) {
            return Alignment::Unaligned;
        }
        match walker.walk(domain).await {
            Ok(walk) if walk.organization() == organization => Alignment::Aligned,
            Ok(_) => Alignment::Unaligned,
            Err(why) => Alignment::Unknown(why),
        }
    }

    /// Of the author domain.
    async fn organization(&mut self, walker: &mut Walker<'_>) -> Result<String, LookupError> {
        let walk = match &self.walk {
            Some(walk) => walk,
            None => self.walk.insert(walker.walk(&self.author).await?),
        };
        Ok(walk.organization().to_owned())
    }

    /// What the owner asks for (RFC 9989 4.10.1).
    fn policy(&self, policies: Policies, author_exists: bool) -> DmarcPolicy {
        match author_exists {
            _ if self.domain == *self.author => policies.domain,
            true => policies.subdomains,
            false => policies.nonexistent,
        }
    }

    /// One level less while testing (4.7, `t`).
    fn tested(&self, policy: DmarcPolicy) -> DmarcPolicy {
        match policy {
            DmarcPolicy::Reject if self.record.testing => DmarcPolicy::Quarantine,
            DmarcPolicy::Quarantine if self.record.testing => DmarcPolicy::None,
            policy => policy,
        }
    }

    /// The policy for mail that failed. Where it hangs on whether the domain exists and DNS does not tell,
    /// it is the milder of both.
    async fn policy_of_failure(
        &self,
        walker: &Walker<'_>,
        policies: Policies,
        reason: String,
    ) -> (DmarcPolicy, String) {
        let [existing, nonexistent] = [true, false].map(|exists| self.policy(policies, exists));
        if existing == nonexistent {
            return (existing, reason);
        }
        match walker.dns().a(&self.author).await {
            Ok(answer) if answer.exists => (existing, reason),
            Ok(_) | Err(LookupError::NotAName) => (nonexistent, format!("{reason}; {} does not exist", self.author)),
            Err(why) => (existing.min(nonexistent), format!("{reason}; does {} exist? {why}", self.author)),
        }
    }
}

/// RFC 9989 5.3.5 and 5.3.6.
fn verdict(spf: &Identified, dkim: &Identified) -> (AuthResult, String) {
    let aligned = match (&spf.domain, &dkim.domain) {
        (Some(spf), Some(dkim)) => format!("SPF of {spf} and the signature of {dkim} are aligned"),
        (Some(spf), None) => format!("SPF of {spf} is aligned"),
        (None, Some(dkim)) => format!("the signature of {dkim} is aligned"),
        (None, None) => match spf.trouble.as_ref().or(dkim.trouble.as_ref()) {
            Some(why) => return (AuthResult::TempError, why.clone()),
            None => return (AuthResult::Fail, "neither SPF nor a signature passes and is aligned".to_owned()),
        },
    };
    (AuthResult::Pass, aligned)
}

/// What DMARC says of a From that is anything but one field with one domain: RFC 9989 5.3.1 leaves it open.
/// It never passes, since a reader may see a domain that is not the one that was authenticated; and it fails
/// as soon as one of the domains does, since otherwise a second one would switch off any policy.
fn combined(author: &Author, each: impl Iterator<Item = Dmarc>) -> Dmarc {
    let why = exemption(author);
    if author.domains().len() > MAX_AUTHORS {
        let failed = concluded(None, AuthResult::Fail, format!("{why}, more than {MAX_AUTHORS} of them"));
        return Dmarc { policy: DmarcPolicy::Reject, ..failed };
    }
    let badness = |dmarc: &Dmarc| match dmarc.result {
        AuthResult::Fail => 3,
        AuthResult::TempError => 2,
        AuthResult::PermError => 1,
        _ => 0,
    };
    match each.filter(|dmarc| badness(dmarc) > 0).max_by_key(|dmarc| (badness(dmarc), dmarc.policy)) {
        None => concluded(None, AuthResult::None, why),
        Some(worst) => {
            let domain = worst.author_domain.as_deref().unwrap_or_default();
            let reason = format!("{why}; {domain}: {}", worst.reason);
            Dmarc { policy: worst.policy, ..concluded(None, worst.result, reason) }
        }
    }
}

/// A result without a policy.
fn concluded(author_domain: Option<&Arc<str>>, result: AuthResult, reason: impl Into<String>) -> Dmarc {
    Dmarc {
        result,
        author_domain: author_domain.cloned(),
        policy: DmarcPolicy::None,
        published: DmarcPolicy::None,
        record: None,
        spf_aligned: false,
        dkim_aligned: None,
        reason: reason.into(),
    }
}

/// Why DMARC is not about such an author (RFC 9989 5.3.1).
fn exemption(author: &Author) -> &'static str {
    match author {
        Author::One { .. } => "",
        Author::SeveralDomains(_) => "several author domains",
        Author::SeveralFields(_) => "several From fields",
        Author::Missing => "no From field",
        Author::NoAddress => "no author",
        Author::Unparsable | Author::Obscure(_) => "unreadable From field",
    }
}

/// The record as reports need it.
fn published(domain: &str, policies: Policies, record: &Record) -> DmarcRecord {
    DmarcRecord {
        domain: domain.into(),
        policy: policies.domain,
        subdomain_policy: policies.subdomains,
        nonexistent_policy: policies.nonexistent,
        strict_dkim: record.strict_dkim,
        strict_spf: record.strict_spf,
        testing: record.testing,
        rua: record.rua.clone(),
        failure_options: record.failure_options.clone(),
    }
}

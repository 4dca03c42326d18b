//! `check_host()` (RFC 7208 4): asks for what the record names, in its order, and nothing beyond.
//!
//! Promises: at most ten terms that ask DNS, at most ten exchangers or client names behind one of them,
//! at most two terms that find nothing, an end after 20 s (RFC 7208 4.6.4). A failure to find out is
//! `TempError`; nothing that a client says becomes a mistake of the record.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use ipnet::{Ipv4Net, Ipv6Net};
use tokio::time::{Instant, timeout_at};

use super::breadth::Breadth;
use super::macros::{MacroString, Unusable, Values};
use super::record::{Directive, Mechanism, PrefixLengths, Qualifier, Record, Selected, is_sender_id, select};
use crate::dns::question::{Kind, Question};
use crate::dns::{Answer, Lookup, LookupError};
use crate::facts::{AuthResult, Spf};
use crate::units::{canonical, is_at_or_below};

/// What `check_host()` is told.
pub struct Request<'a> {
    /// Where names are looked up.
    pub dns: &'a dyn Lookup,
    /// The client.
    pub addr: IpAddr,
    /// The local part of the sender; `postmaster` for a HELO name or a null reverse-path.
    pub local_part: &'a str,
    /// The domain that is to answer for the client: as the client wrote it.
    pub domain: &'a str,
    /// The HELO name, as the client wrote it.
    pub helo: &'a str,
    /// Our own name.
    pub receiver: &'a str,
    /// The time of the transaction, if the domain's explanation of a failure is wanted.
    pub explain_at: Option<SystemTime>,
}

/// Terms that ask DNS, over all records (RFC 7208 4.6.4).
const MAX_TERMS: usize = 10;
/// Terms whose question finds nothing.
const MAX_VOID: usize = 2;
/// Mail exchangers of one term, and names of the client, whose addresses are looked up.
const MAX_NAMES: usize = 10;
/// How long one evaluation may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// What `%{p}` stands for if the client has no validated name.
const UNKNOWN: &str = "unknown";

/// An evaluation on its way.
struct Evaluation<'a> {
    request: &'a Request<'a>,
    addr: IpAddr,
    sender_domain: &'a str,
    helo: Cow<'a, str>,
    terms: usize,
    voids: usize,
    /// What reverse DNS calls the client, once it was asked.
    client_names: Option<Vec<Arc<str>>>,
    /// See [`Spf::sender_id`].
    sender_id: bool,
}

/// What a domain's record says.
struct Answered {
    result: AuthResult,
    /// The term that matched, with those of included records behind it.
    reason: String,
    breadth: Breadth,
    /// The domain whose record has the last word, and where it explains a failure.
    explanation: Option<(String, MacroString)>,
}

/// Whether a mechanism matches.
enum Matched {
    No,
    Yes,
    /// An included record: what it says, and whether that is a pass.
    Included(Answered),
}

/// The end of the whole evaluation, whichever record it came up in (RFC 7208 2.6.6, 2.6.7).
enum Stop {
    Temporary(String),
    Permanent(String),
}

/// The name in A-labels without a trailing dot, if it can be the domain of an identity: at least two
/// labels, none empty or too long, no address (RFC 7208 4.3).
fn domain_of(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let name = a_labels(text)?;
    let is_name = name.contains('.') && name.parse::<IpAddr>().is_err() && !name.starts_with('[');
    (is_name && Question::new(Kind::Txt, &name).is_ok()).then(|| name.into_owned())
}

/// U-labels become A-labels; what is ASCII stays as it was written.
fn a_labels(text: &str) -> Option<Cow<'_, str>> {
    if text.is_ascii() { Some(text.into()) } else { idna::domain_to_ascii(text).ok().map(Cow::Owned) }
}

/// Evaluates the record of a domain for one client and sender.
pub async fn check_host(request: &Request<'_>) -> Spf {
    let Some(domain) = domain_of(request.domain) else {
        return Spf::new(AuthResult::None, "", "no domain to ask");
    };
    let shown = domain.to_ascii_lowercase();
    let helo = request.helo.strip_suffix('.').unwrap_or(request.helo);
    let mut evaluation = Evaluation {
        request,
        addr: canonical(request.addr),
        sender_domain: &domain,
        helo: a_labels(helo).unwrap_or(helo.into()),
        terms: 0,
        voids: 0,
        client_names: None,
        sender_id: false,
    };
    let deadline = Instant::now() + PATIENCE;
    let answered = timeout_at(deadline, evaluation.check_host(domain.clone())).await;
    let mut spf = match answered.unwrap_or_else(|_| Err(Stop::Temporary("took too long".to_owned()))) {
        Ok(Some(Answered { result, reason, breadth, explanation })) => {
            let mut spf = Spf::new(result, shown, reason);
            spf.permissive = breadth.is_permissive();
            if let (AuthResult::Fail, Some(at), Some((domain, target))) = (result, request.explain_at, explanation) {
                // A failure stands without an explanation, so that this one may take what is left of the time.
                let explained = timeout_at(deadline, evaluation.explain(&domain, &target, at)).await;
                spf.explanation = explained.ok().flatten();
            }
            spf
        }
        Ok(None) => Spf::new(AuthResult::None, shown, "no record"),
        Err(Stop::Temporary(why)) => Spf::new(AuthResult::TempError, shown, why),
        Err(Stop::Permanent(why)) => Spf::new(AuthResult::PermError, shown, why),
    };
    spf.sender_id = evaluation.sender_id;
    spf
}

impl Evaluation<'_> {
    /// The answer of `domain`'s record; `None` if it has none, or is no name that could have one.
    fn check_host(&mut self, domain: String) -> BoxFuture<'_, Result<Option<Answered>, Stop>> {
        Box::pin(async move {
            if !domain.contains('.') {
                return Ok(None);
            }
            let texts = match self.request.dns.txt(&domain).await {
                Ok(answer) => answer.records,
                Err(LookupError::NotAName) => return Ok(None),
                Err(why) => return Err(Stop::Temporary(format!("{domain}: {why}"))),
            };
            if domain == self.sender_domain {
                self.sender_id = texts.iter().any(|text| is_sender_id(text));
            }
            let text = match select(&texts) {
                Selected::None => return Ok(None),
                Selected::One(text) => text,
                Selected::Several => return Err(Stop::Permanent(format!("{domain} has more than one record"))),
            };
            match Record::parse(text) {
                Ok(record) => self.evaluate(&domain, record).await.map(Some),
                Err(why) => Err(Stop::Permanent(format!("{domain}: {why}"))),
            }
        })
    }

    /// The first term that matches; else whom the record redirects to; else neutral (RFC 7208 4.7).
    async fn evaluate(&mut self, domain: &str, record: Record) -> Result<Answered, Stop> {
        let mut breadth = Breadth::of(&record);
        for directive in &record.directives {
            let mut reason = format!("{} of {domain}", directive.text);
            match self.matches(domain, directive).await? {
                Matched::No => continue,
                Matched::Yes => {
                    if let Mechanism::Exists(target) = &directive.mechanism
                        && directive.qualifier == Qualifier::Pass
                        && !target.depends_on_address()
                    {
                        breadth.add(Breadth::EVERYBODY);
                    }
                }
                Matched::Included(included) => {
                    if directive.qualifier == Qualifier::Pass {
                        breadth.add(included.breadth);
                    }
                    if included.result != AuthResult::Pass {
                        continue;
                    }
                    reason = format!("{reason}: {}", included.reason);
                }
            }
            let explanation = record.explanation.map(|target| (domain.to_owned(), target));
            return Ok(Answered { result: directive.qualifier.result(), reason, breadth, explanation });
        }
        let Some(target) = &record.redirect else {
            let reason = format!("no term of {domain} matches");
            return Ok(Answered { result: AuthResult::Neutral, reason, breadth, explanation: None });
        };
        self.count_term()?;
        let redirected = match self.name(domain, target).await? {
            Ok(name) => self.check_host(name).await?,
            Err(Unusable) => None,
        };
        let redirected = redirected.ok_or_else(|| {
            Stop::Permanent(format!("{domain}: redirected to a domain without a record")) // RFC 7208 6.1
        })?;
        breadth.add(redirected.breadth);
        Ok(Answered { breadth, ..redirected })
    }

    async fn matches(&mut self, domain: &str, directive: &Directive) -> Result<Matched, Stop> {
        let target = match &directive.mechanism {
            Mechanism::All => return Ok(Matched::Yes),
            Mechanism::Ip4(net) => return Ok(matched_if(self.is_in_v4(*net))),
            Mechanism::Ip6(net) => return Ok(matched_if(self.is_in_v6(*net))),
            Mechanism::Include(target) | Mechanism::Exists(target) => Some(target),
            Mechanism::A(target, _) | Mechanism::Mx(target, _) | Mechanism::Ptr(target) => target.as_ref(),
        };
        self.count_term()?;
        let name = match target {
            None => domain.to_owned(),
            Some(target) => match self.name(domain, target).await? {
                Ok(name) => name,
                Err(Unusable) => return Ok(Matched::No),
            },
        };
        let matched = match &directive.mechanism {
            Mechanism::Include(_) => return self.include(domain, &directive.text, name).await,
            Mechanism::A(_, lengths) => self.a(&name, *lengths).await?,
            Mechanism::Mx(_, lengths) => self.mx(&name, *lengths).await?,
            Mechanism::Ptr(_) => self.ptr(&name).await?,
            _ => self.exists(&name).await?,
        };
        Ok(matched_if(matched))
    }

    /// RFC 7208 5.2: errors of the included record are errors of this one, and so is its absence.
    async fn include(&mut self, domain: &str, term: &str, name: String) -> Result<Matched, Stop> {
        match self.check_host(name).await? {
            Some(answered) => Ok(Matched::Included(answered)),
            None => Err(Stop::Permanent(format!("{domain}: {term} leads to no record"))),
        }
    }

    /// RFC 7208 5.3.
    async fn a(&mut self, name: &str, lengths: PrefixLengths) -> Result<bool, Stop> {
        match self.addresses(name).await {
            Ok(addrs) if addrs.is_empty() => self.found_nothing().map(|()| false),
            Ok(addrs) => Ok(addrs.iter().any(|addr| self.is_near(*addr, lengths))),
            Err(why) => no_match_or_stop(name, why),
        }
    }

    /// RFC 7208 5.4: a domain without exchangers does not count as its own.
    async fn mx(&mut self, name: &str, lengths: PrefixLengths) -> Result<bool, Stop> {
        let mut exchangers = match self.request.dns.mx(name).await {
            Ok(answer) => answer.records.to_vec(),
            Err(why) => return no_match_or_stop(name, why),
        };
        // In their order of preference, so that the outcome does not hang on the order of the answer.
        exchangers.sort_by_key(|(preference, _)| *preference);
        let mut is_void = exchangers.is_empty();
        // The null exchanger (RFC 7505) has no name to look up.
        let hosts: Vec<_> = exchangers.iter().map(|(_, host)| host).filter(|host| !host.is_empty()).collect();
        // Before the first is looked up (4.6.4): whether one of the first ten matches may hang on their order.
        if hosts.len() > MAX_NAMES {
            return Err(Stop::Permanent(format!("{name} has more than {MAX_NAMES} mail exchangers")));
        }
        for host in hosts {
            match self.addresses(host).await {
                Ok(addrs) if addrs.iter().any(|addr| self.is_near(*addr, lengths)) => return Ok(true),
                Ok(addrs) => is_void |= addrs.is_empty(),
                Err(why) => _ = no_match_or_stop(host, why)?,
            }
        }
        // Terms are counted, not questions: a mail server without IPv6 is no mistake of the record.
        if is_void { self.found_nothing().map(|()| false) } else { Ok(false) }
    }

    /// RFC 7208 5.5, but addresses are asked for only of those names that could match.
    async fn ptr(&mut self, name: &str) -> Result<bool, Stop> {
        let Some(names) = self.client_names().await else { return Ok(false) };
        if names.is_empty() {
            return self.found_nothing().map(|()| false);
        }
        for client_name in names.iter().filter(|client_name| is_at_or_below(client_name, name)) {
            if self.is_validated(client_name).await {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// RFC 7208 5.7: always an IPv4 address, whatever the client's.
    async fn exists(&mut self, name: &str) -> Result<bool, Stop> {
        match self.request.dns.a(name).await {
            Ok(answer) if answer.records.is_empty() => self.found_nothing().map(|()| false),
            Ok(_) => Ok(true),
            Err(why) => no_match_or_stop(name, why),
        }
    }

    /// Expands a target; `%{p}` in it asks DNS and counts as a term of its own, once.
    async fn name(&mut self, domain: &str, target: &MacroString) -> Result<Result<String, Unusable>, Stop> {
        if target.needs_client_name() && self.client_names.is_none() {
            self.count_term()?;
        }
        let client_name = self.client_name_for(domain, target).await;
        // Only explanations know the time.
        Ok(target.expand_name(&self.values(domain, &client_name, SystemTime::UNIX_EPOCH)))
    }

    /// RFC 7208 6.2: one text, of sound grammar; anything else is no explanation.
    async fn explain(&mut self, domain: &str, target: &MacroString, at: SystemTime) -> Option<String> {
        let client_name = self.client_name_for(domain, target).await;
        let name = target.expand_name(&self.values(domain, &client_name, at)).ok()?;
        let Answer { records, .. } = self.request.dns.txt(&name).await.ok()?;
        let [text] = &*records else { return None };
        let text = MacroString::explanation(text).ok()?;
        let client_name = self.client_name_for(domain, &text).await;
        text.expand_text(&self.values(domain, &client_name, at)).ok().filter(|text| !text.is_empty())
    }

    /// A validated name of the client if `text` needs one (RFC 7208 7.3): best the domain itself, then
    /// one below it, then any.
    async fn client_name_for(&mut self, domain: &str, text: &MacroString) -> Arc<str> {
        if !text.needs_client_name() {
            return UNKNOWN.into();
        }
        let mut names = self.client_names().await.unwrap_or_default();
        names.sort_by_key(|name| (!name.eq_ignore_ascii_case(domain), !is_at_or_below(name, domain)));
        for name in names {
            if self.is_validated(&name).await {
                return name;
            }
        }
        UNKNOWN.into()
    }

    /// The names that reverse DNS has for the client, at most ten: who can write them is the client, so
    /// that further ones are no mistake of the record. `None` if DNS fails.
    async fn client_names(&mut self) -> Option<Vec<Arc<str>>> {
        if self.client_names.is_none() {
            let answer = self.request.dns.ptr(self.addr).await.ok()?;
            self.client_names = Some(answer.records.iter().take(MAX_NAMES).cloned().collect());
        }
        self.client_names.clone()
    }

    /// True if the name leads back to the client. A failure of DNS skips the name (RFC 7208 5.5).
    async fn is_validated(&self, name: &str) -> bool {
        self.addresses(name).await.is_ok_and(|addrs| addrs.contains(&self.addr))
    }

    /// Addresses of the client's family.
    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let dns = self.request.dns;
        Ok(match self.addr {
            IpAddr::V4(_) => dns.a(name).await?.records.iter().copied().map(IpAddr::V4).collect(),
            IpAddr::V6(_) => dns.aaaa(name).await?.records.iter().copied().map(IpAddr::V6).collect(),
        })
    }

    fn is_near(&self, addr: IpAddr, lengths: PrefixLengths) -> bool {
        match addr {
            IpAddr::V4(v4) => Ipv4Net::new(v4, lengths.v4).is_ok_and(|net| self.is_in_v4(net)),
            IpAddr::V6(v6) => Ipv6Net::new(v6, lengths.v6).is_ok_and(|net| self.is_in_v6(net)),
        }
    }

    fn is_in_v4(&self, net: Ipv4Net) -> bool {
        matches!(self.addr, IpAddr::V4(v4) if net.contains(&v4))
    }

    fn is_in_v6(&self, net: Ipv6Net) -> bool {
        matches!(self.addr, IpAddr::V6(v6) if net.contains(&v6))
    }

    fn count_term(&mut self) -> Result<(), Stop> {
        self.terms += 1;
        if self.terms <= MAX_TERMS {
            return Ok(());
        }
        Err(Stop::Permanent(format!("more than {MAX_TERMS} terms that ask DNS")))
    }

    fn found_nothing(&mut self) -> Result<(), Stop> {
        self.voids += 1;
        if self.voids <= MAX_VOID {
            return Ok(());
        }
        Err(Stop::Permanent(format!("more than {MAX_VOID} terms that DNS knows nothing about")))
    }

    fn values<'v>(&'v self, domain: &'v str, client_name: &'v str, at: SystemTime) -> Values<'v> {
        Values {
            addr: self.addr,
            local_part: self.request.local_part,
            sender_domain: self.sender_domain,
            domain,
            helo: &self.helo,
            client_name,
            receiver: self.request.receiver,
            at,
        }
    }
}

impl Qualifier {
    fn result(self) -> AuthResult {
        match self {
            Self::Pass => AuthResult::Pass,
            Self::Fail => AuthResult::Fail,
            Self::SoftFail => AuthResult::SoftFail,
            Self::Neutral => AuthResult::Neutral,
        }
    }
}

/// A name that cannot be asked for does not match (RFC 7208 4.3, 4.8); what DNS fails to say ends it all.
fn no_match_or_stop(name: &str, why: LookupError) -> Result<bool, Stop> {
    match why {
        LookupError::NotAName => Ok(false),
        why => Err(Stop::Temporary(format!("{name}: {why}"))),
    }
}

fn matched_if(matches: bool) -> Matched {
    if matches { Matched::Yes } else { Matched::No }
}

//! Whose a triplet is, and the forms of its two paths that stand for all that are alike.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Settings;
use crate::facts::{AuthResult, Author, Dkim, Spf};
use crate::smtp::{ForwardPath, ReversePath};
use crate::store::{Holder, Secret, TripletKey};
use crate::units::{DomainSet, canonical, network_of, registered_domain};

/// Domains of one sender that hold its triplets; further ones say nothing new.
const DOMAINS: usize = 3;
/// What separates the parts of a local part.
const SEPARATORS: [char; 6] = ['-', '_', '.', '=', '+', '/'];
/// What stands for a part that differs from message to message.
const CHANGING: &str = "#";
/// A local part in one piece that is shorter belongs to somebody.
const SHORTEST_TOKEN: usize = 16;
/// A part that long is no word.
const LONGEST_WORD: usize = 20;

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The client's network.
    pub network: IpNet,
    /// The registered domains that authenticate it, the surest first.
    pub domains: Vec<String>,
    /// The first of them is SPF's: it vouches for the client itself, and nobody else can use it.
    pub is_by_spf: bool,
}

/// One holder of triplets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin<'s> {
    /// A network.
    Network(IpNet),
    /// An authenticated domain.
    Domain(&'s str),
}

impl Sender {
    /// The sender as far as it is known: SPF from MAIL on, DKIM and the author with the message.
    pub fn new(
        settings: &Settings,
        client: IpAddr,
        spf: Option<&Spf>,
        dkim: Option<&Dkim>,
        author: Option<&Author>,
    ) -> Self {
        let domains = authenticated_domains(&settings.shared, spf, dkim, author);
        let vouched =
            spf.filter(|spf| authenticates(spf)).map(|spf| registered_domain(&spf.domain).unwrap_or(&spf.domain));
        let is_by_spf = vouched.is_some_and(|vouched| domains.first().is_some_and(|first| first == vouched));
        Self { network: network(settings, client), domains, is_by_spf }
    }

    /// Who earns a pass for all it sends, or loses it: the domain of SPF, otherwise the network. A signature can be
    /// sent again by anybody, which must neither use up what its domain has earned nor use it.
    pub fn answerable(&self) -> Origin<'_> {
        match self.domains.first().filter(|_| self.is_by_spf) {
            Some(domain) => Origin::Domain(domain),
            None => Origin::Network(self.network),
        }
    }

    /// Who holds its triplets: its domains, and its network, because it may not always be found out what
    /// authenticates it.
    pub fn holders(&self) -> Vec<Origin<'_>> {
        let domains = self.domains.iter().map(|domain| Origin::Domain(domain));
        domains.chain([Origin::Network(self.network)]).collect()
    }
}

impl Origin<'_> {
    /// As the store knows it.
    pub fn holder(&self, secret: &Secret) -> Holder {
        match self {
            Self::Network(network) => Holder::network(network.addr()),
            Self::Domain(domain) => Holder::domain(secret, domain),
        }
    }
}

/// The registered domains that authenticate a message, the surest first; those that many senders share are nobody's.
pub fn authenticated_domains(
    shared: &DomainSet,
    spf: Option<&Spf>,
    dkim: Option<&Dkim>,
    author: Option<&Author>,
) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    let mut add = |domain: &str| {
        let domain = registered_domain(domain).unwrap_or(domain);
        let is_new = !domains.iter().any(|known| known == domain);
        if is_new && domains.len() < DOMAINS && !domain.is_empty() && !shared.contains(domain) {
            domains.push(domain.to_owned());
        }
    };
    spf.filter(|spf| authenticates(spf)).iter().for_each(|spf| add(&spf.domain));
    let signed =
        |signature: &&crate::facts::Signature| signature.signs_from && !signature.partial_body && !signature.testing;
    let signers = || dkim.into_iter().flat_map(Dkim::passed).filter(signed).map(|signature| &*signature.domain);
    let author = author.and_then(Author::domain).map(|domain| registered_domain(domain).unwrap_or(domain));
    signers().filter(|domain| registered_domain(domain) == author).for_each(&mut add);
    signers().for_each(&mut add);
    domains
}

/// A pass of a record that lets nearly everybody pass authenticates nobody.
fn authenticates(spf: &Spf) -> bool {
    spf.result == AuthResult::Pass && !spf.permissive
}

/// The network of a client. Behind NAT64 it is that of the IPv4 address within (RFC 6052 2.1).
fn network(settings: &Settings, client: IpAddr) -> IpNet {
    let client = match canonical(client) {
        IpAddr::V6(six) if six.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            let [.., a, b, c, d] = six.octets();
            IpAddr::from([a, b, c, d])
        }
        client => client,
    };
    network_of(client, settings.ipv4_prefix, settings.ipv6_prefix.min(64))
}

/// What an operator means: `client` is an address or an authenticated domain; with sender and recipient it
/// is a triplet, without them the sender altogether.
///
/// # Errors
/// Something is no address.
pub fn keys_of(
    settings: &Settings,
    secret: &Secret,
    client: &str,
    paths: Option<(&str, &str)>,
) -> Result<TripletKey, String> {
    let domain;
    let origin = match client.parse::<IpAddr>() {
        Ok(address) => Origin::Network(network(settings, address)),
        Err(_) => {
            let name = idna::domain_to_ascii(client).ok().filter(|name| name.contains('.') && !name.contains('/'));
            let name = name.ok_or_else(|| format!("`{client}` is neither an address nor a domain"))?;
            domain = registered_domain(&name).unwrap_or(&name).to_owned();
            Origin::Domain(&domain)
        }
    };
    let holder = origin.holder(secret);
    let Some((sender, recipient)) = paths else { return Ok(TripletKey::of_holder(holder)) };
    let bare = |path: &str| path.trim_start_matches('<').trim_end_matches('>').to_owned();
    let reverse_path = ReversePath::parse(&bare(sender)).map_err(|why| format!("`{sender}`: {why}"))?;
    let forward_path = ForwardPath::parse(&bare(recipient)).map_err(|why| format!("`{recipient}`: {why}"))?;
    let sender = sender_key(&reverse_path, &forward_path);
    Ok(TripletKey::new(secret, holder, &sender, &recipient_key(&forward_path)))
}

/// A forward-path as mail servers compare it.
pub fn recipient_key(path: &ForwardPath) -> String {
    match path {
        ForwardPath::Postmaster(_) => "postmaster".to_owned(),
        ForwardPath::Mailbox(mailbox) => mailbox.folded(),
    }
}

/// A reverse-path without what changes from message to message: tags, numbers and tokens, signatures of
/// BATV, hashes and time stamps of SRS, and the recipient that VERP writes into it.
pub fn sender_key(path: &ReversePath, recipient: &ForwardPath) -> String {
    let Some(mailbox) = path.mailbox() else { return "<>".to_owned() };
    let local = mailbox.unquoted_local().to_lowercase();
    let domain = mailbox.domain().to_ascii_lower();
    let local = match rewritten(&local) {
        Some(original) => original,
        None => {
            let local = unsigned(&local).to_owned();
            let local = match recipient.mailbox() {
                Some(_) => without_recipient(&local, &recipient_key(recipient)),
                None => local,
            };
            let end = local.find('+').filter(|at| *at > 0).unwrap_or(local.len());
            let local = local.get(..end).unwrap_or(&local);
            // A person may be called john1985, or by a number; what is made for one message has parts, or is long.
            let is_a_name = !local.contains(SEPARATORS) && local.len() < SHORTEST_TOKEN && local != CHANGING;
            if is_a_name { local.to_owned() } else { folded(local) }
        }
    };
    format!("{local}@{}", folded_domain(&domain))
}

/// Names of machines change from message to message; domains that somebody has registered do not.
fn folded_domain(domain: &str) -> String {
    let registered = registered_domain(domain).filter(|_| !domain.starts_with('[')).unwrap_or(domain);
    match domain.strip_suffix(registered).and_then(|names| names.strip_suffix('.')) {
        Some(names) => format!("{}.{registered}", folded(names)),
        None => domain.to_owned(),
    }
}

/// SRS: who sent it first, and through whom it came (`SRS0=hash=time=domain=local`, `SRS1=hash=hop==...`).
fn rewritten(local: &str) -> Option<String> {
    let rest = local.strip_prefix("srs").filter(|rest| rest.starts_with(['0', '1']))?;
    let (kind, rest) = rest.split_at_checked(1)?;
    let rest = rest.strip_prefix(['=', '+', '-'])?;
    let (through, rest) = match kind {
        "1" => {
            let (_hash, rest) = rest.split_once('=')?;
            let (hop, rest) =
                rest.split_once("==").or_else(|| rest.split_once("=+")).or_else(|| rest.split_once("=-"))?;
            (hop, rest)
        }
        _ => ("", rest),
    };
    let mut parts = rest.splitn(4, '=');
    let (_hash, _time) = (parts.next()?, parts.next()?);
    let (domain, original) = (parts.next()?, parts.next()?);
    Some(format!("srs={through}={domain}={}", folded(original)))
}

/// BATV: `prvs=0123456789=user`, and what others made of it (`btv1==tag==user`, `msprvs1=tag=user`).
fn unsigned(local: &str) -> &str {
    let Some((scheme, rest)) = local.split_once('=') else { return local };
    let scheme = scheme.trim_end_matches(|c: char| c.is_ascii_digit());
    if !scheme.ends_with("prvs") && scheme != "btv" {
        return local;
    }
    let rest = rest.trim_start_matches('=');
    let Some((first, second)) = rest.split_once('=') else { return local };
    let second = second.trim_start_matches('=');
    // Old drafts have the tag behind the name.
    if is_changing(second) && !is_changing(first) { first } else { second }
}

/// VERP: `list-return-17-user=ours.example`.
fn without_recipient(local: &str, recipient: &str) -> String {
    let written = recipient.replacen('@', "=", 1);
    match local.find(&written) {
        Some(at) if !written.is_empty() => local.replacen(&written, if at == 0 { CHANGING } else { "*" }, 1),
        _ => local.to_owned(),
    }
}

/// Parts that change become one `#`, however many of them stand side by side.
fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_changing = false;
    while !rest.is_empty() {
        let end = rest.find(SEPARATORS).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        let separator = behind.chars().next().filter(|_| !behind.is_empty());
        rest = separator.map_or("", |c| behind.get(c.len_utf8()..).unwrap_or_default());
        let changes = is_changing(part);
        if !(changes && after_changing) {
            out.push_str(if changes { CHANGING } else { part });
            out.extend(separator);
        }
        after_changing = changes;
    }
    out.trim_end_matches(SEPARATORS).to_owned()
}

/// A number, a hexadecimal token, a mixture of letters and digits, or something too long to be a word.
fn is_changing(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let all_hex = part.bytes().all(|octet| octet.is_ascii_hexdigit());
    let length = part.chars().count();
    digits > 0 && (digits == length || all_hex && length >= 4 || digits >= 2 && length >= 8) || length >= LONGEST_WORD
}

#[cfg(test)]
mod tests;

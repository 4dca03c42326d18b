//! One Received field: who handed the message to whom, in the forms of the mail servers that are met.

use std::net::IpAddr;

use super::dates;
use super::relays::Relay;

/// What a field says.
pub(super) enum Parsed {
    Relay(Box<Relay>),
    /// Nothing about a handover between machines.
    Ignored,
    /// A mailbox was emptied into this one: what stands above is no handover.
    Fetched,
    Unknown,
}

/// A field in its parts: `from FIRST (GROUP) (GROUP) by BY BEHIND`.
#[derive(Default)]
struct Hop<'t> {
    line: &'t str,
    first: &'t str,
    /// The addresses of a word in brackets, as in `from x [192.0.2.1] by`.
    bare: Option<&'t str>,
    groups: Vec<&'t str>,
    /// Words that stand outside of groups.
    words: usize,
    by: &'t str,
    behind: &'t str,
}

pub(super) fn parse(value: &str) -> Parsed {
    let mut line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    while line.ends_with(';') {
        line.pop();
        line.truncate(line.trim_end().len());
    }
    let lower = line.to_ascii_lowercase();
    if !(lower.starts_with("from ") || lower.starts_with("(from ")) || lower.contains(" with local for ") {
        return Parsed::Ignored;
    }
    if let Some(date) =
        line.rfind(';').filter(|at| dates::seconds(&line[*at..]).is_some() && !line[*at..].contains('('))
    {
        if is_bare(&line[..date]) {
            return Parsed::Ignored;
        }
        line.truncate(date);
    }
    let line = line.trim_end().replace(")by ", ") by ");
    let rest = match (line.strip_prefix("from "), line.strip_prefix("FROM "), line.strip_prefix("(from ")) {
        (Some(rest), _, _) | (_, Some(rest), _) => rest,
        (_, _, Some(_)) if line.contains("@localhost) by ") || line.contains("(jqueuemail) id ") => {
            return Parsed::Ignored;
        }
        (_, _, Some(rest)) => rest,
        _ => &line,
    };
    let hop = Hop::of(rest);
    let mut relay = Relay { auth: authentication(&line), by: hop.by.to_owned(), ..Relay::default() };
    relay.id = id(&line);
    relay.helo = word_behind(&line, "helo=").or_else(|| word_behind(&line, "HELO ")).unwrap_or_default();
    relay.helo = if relay.helo.is_empty() { word_behind(&line, "EHLO ").unwrap_or_default() } else { relay.helo };
    relay.envelope_from = envelope_from(&line);
    match hop.read(&mut relay) {
        Parsed::Unknown => match address(rest).filter(|_| !hop.by.is_empty()) {
            Some(ip) => {
                relay.ip = ip;
                if relay.helo.is_empty() {
                    relay.helo = hop.first.to_owned();
                }
            }
            None => return Parsed::Unknown,
        },
        Parsed::Relay(_) => {}
        other => return other,
    }
    relay.tidy();
    Parsed::Relay(Box::new(relay))
}

/// `from NAME by NAME`, without anything else: a handover within one system.
fn is_bare(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_short = words.len() == 4 && words[2].eq_ignore_ascii_case("by");
    is_short && ip_in_brackets(words[1]).is_none_or(|ip| ip.len() + 2 != words[1].len())
}

impl<'t> Hop<'t> {
    fn of(rest: &'t str) -> Self {
        let mut hop = Self { line: rest, ..Self::default() };
        let mut at = 0;
        if !rest.starts_with('(') {
            hop.first = rest.split(' ').next().unwrap_or_default();
            at = hop.first.len();
            hop.words = 1;
        }
        while at < rest.len() {
            let left = rest[at..].trim_start();
            at = rest.len() - left.len();
            if left.starts_with('(') {
                let length = group(left);
                hop.groups.push(left[1..length].trim_end_matches(')').trim_start());
                at += length.max(1);
                continue;
            }
            let word = left.split(' ').next().unwrap_or_default();
            at += word.len();
            if word.eq_ignore_ascii_case("by") {
                let left = rest[at..].trim_start();
                hop.by = left.split(' ').next().unwrap_or_default();
                hop.behind = left[hop.by.len()..].trim_start();
                break;
            }
            if word.starts_with('[') && hop.bare.is_none() {
                hop.bare = ip_in_brackets(word);
            }
            hop.words += 1;
        }
        hop
    }

    /// Reads the form that it has.
    fn read(&self, relay: &mut Relay) -> Parsed {
        let is_exim = self.line.contains("Exim");
        let has_service = self.line.contains(" SMTPSVC");
        if has_service && self.line.starts_with("mail pickup service by ")
            || is_exim && [" with local ", " with local-"].iter().any(|local| self.line.contains(local))
        {
            return Parsed::Ignored;
        }
        let named = self.groups.iter().position(|group| address(group).is_some());
        let greeting = self.groups.iter().find_map(|group| greeting(group));
        let own = ip_in_brackets(self.first).or_else(|| ip(self.first));
        let read = match (greeting, named, own) {
            (Some(helo), None, Some(ip)) => {
                relay.helo = helo.to_owned();
                relay.ip = ip.to_owned();
                true
            }
            (Some(helo), named, _) => self.greeted(helo, named, relay),
            (None, _, Some(ip)) if self.first.starts_with('[') => {
                relay.ip = ip.to_owned();
                true
            }
            (None, Some(named), _) => self.grouped(self.groups[named], is_exim, relay),
            (None, None, own) => self.without_group(own, is_exim, relay),
        };
        match read {
            true => Parsed::Relay(Box::default()),
            false if self.fetches() => Parsed::Fetched,
            false if self.is_local() => Parsed::Ignored,
            false => Parsed::Unknown,
        }
    }

    fn fetches(&self) -> bool {
        ["with POP3", "with IMAP"].iter().any(|word| self.behind.contains(word))
    }

    /// `name (HELO x) (ident@192.0.2.1)`: the name was looked up.
    fn greeted(&self, helo: &str, named: Option<usize>, relay: &mut Relay) -> bool {
        let Some(ip) = named.and_then(|at| address(self.groups[at])).or_else(|| self.bare.map(str::to_owned)) else {
            return false;
        };
        relay.rdns = self.first.to_owned();
        relay.helo = helo.to_owned();
        relay.ip = ip;
        if let Some((ident, _)) = named.and_then(|at| self.groups[at].split_once('@')) {
            relay.ident = ident.to_owned();
        }
        true
    }

    /// `x (name [192.0.2.1])` and its kin.
    fn grouped(&self, group: &str, is_exim: bool, relay: &mut Relay) -> bool {
        let Some(ip) = address(group) else { return false };
        let before = group.split(ip.as_str()).next().unwrap_or_default().trim_end_matches("IPv6:");
        let inside = group[before.len()..].split_once(ip.as_str()).map_or("", |(_, rest)| rest);
        let name = before.trim_end_matches('[').trim_end();
        if name.contains(' ') {
            return false;
        }
        relay.ip = ip;
        let (first, is_bracketed) = (self.first.to_owned(), before.ends_with('['));
        match name.split_once('@') {
            // Only where a version follows is it known that a name was looked for.
            Some((ident, _)) if name.ends_with('@') => {
                relay.ident = ident.to_owned();
                relay.helo.clone_from(&first);
                if !(is_bracketed && self.behind.starts_with('(')) {
                    relay.rdns = first;
                }
            }
            _ if !name.is_empty() => {
                relay.helo = first;
                relay.rdns = name.to_owned();
                if let Some((ident, name)) = name.split_once('@').filter(|_| self.behind.starts_with('(')) {
                    relay.ident = ident.trim_start_matches("IDENT:").to_owned();
                    relay.rdns = name.to_owned();
                }
                if relay.rdns.starts_with("<unknown") || relay.rdns == "softdnserr" {
                    relay.rdns.clear();
                }
            }
            _ if self.first.is_empty() => {}
            _ if is_exim || inside.contains("helo=") || inside.contains("verified") => {
                if let Some(ident) = word_behind(group, "ident=") {
                    relay.ident = ident;
                }
                relay.helo = word_behind(group, "helo=").unwrap_or_else(|| first.clone());
                relay.rdns = first;
            }
            _ if self.is_exchange() => {
                relay.id.clear();
                relay.helo = first;
            }
            // More than a port behind the address: only the address is sure.
            _ if is_bracketed && !is_port(inside) => return false,
            // `( 192.0.2.1)`, and with brackets: what was said in HELO.
            _ if is_bracketed && !self.is_qmail() || self.line.contains("(Scalix") => relay.helo = first,
            _ => {
                relay.helo.clone_from(&first);
                relay.rdns = first;
            }
        }
        true
    }

    fn without_group(&self, own: Option<&str>, is_exim: bool, relay: &mut Relay) -> bool {
        if let Some(ip) = own.filter(|_| self.words == 1 && !self.by.is_empty() && !self.behind.is_empty()) {
            relay.ip = ip.to_owned();
            return true;
        }
        if let Some(ip) = self.bare.filter(|_| !self.fetches() && !self.by.is_empty()) {
            relay.ip = ip.to_owned();
            relay.helo = self.first.to_owned();
            if is_exim {
                relay.rdns = self.first.to_owned();
            }
            return true;
        }
        if let Some(ip) = self.line.strip_prefix("X-Originating-IP: ").and_then(ip) {
            relay.ip = ip.to_owned();
            relay.helo.clear();
            return true;
        }
        // `name(192.0.2.1)`.
        let joined = self.first.strip_suffix(')').and_then(|first| first.split_once('('));
        if let Some((name, ip)) = joined.and_then(|(name, inside)| Some((name, ip(inside)?))) {
            relay.rdns = name.to_owned();
            relay.ip = ip.to_owned();
            return true;
        }
        self.by.ends_with(".hotmail.msn.com")
    }

    /// Exchange writes its version behind: names there are what was said in HELO.
    fn is_exchange(&self) -> bool {
        let Some(behind) = ["with Microsoft SMTP Server ", "with mapi id "]
            .iter()
            .find_map(|with| self.behind.find(with).map(|at| &self.behind[at + with.len()..]))
        else {
            return false;
        };
        let behind = if behind.starts_with('(') { behind[group(behind)..].trim_start() } else { behind };
        let version = behind.split(' ').next().unwrap_or_default();
        version.split('.').count() == 4 && version.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.')
    }

    /// Qmail says SMTP, and no number behind.
    fn is_qmail(&self) -> bool {
        let with = self.behind.rfind("with ").map_or("", |at| &self.behind[at..]);
        ["SMTP", "QMQP"].iter().any(|protocol| {
            with.match_indices(protocol)
                .any(|(at, _)| with[..at].ends_with(' ') && !with[at + protocol.len()..].starts_with(" id "))
        })
    }

    /// Handovers within one machine, or such of which nothing is known.
    fn is_local(&self) -> bool {
        let behind = self.behind.split(' ').next().unwrap_or_default();
        let is_plain = self.words == 1 && self.groups.is_empty() && !self.by.is_empty();
        let group = self.groups.first().copied().unwrap_or_default();
        let is_handed_on = behind.starts_with('(') || matches!(behind, "with" | "via" | "for");
        (is_plain && (is_handed_on || self.first.contains('@')))
            || (self.groups.is_empty()
                && self.words == 3
                && !self.by.is_empty()
                && matches!(self.line.split(' ').nth(1), Some("with" | "via" | "for")))
            || ["unverified", "[unix socket]"].contains(&group)
            || (group.ends_with("[local]") && self.line.contains("[local]) by "))
            || (self.first == "localhost" && group.starts_with("localhost"))
            || (group == "unknown" && self.behind.starts_with("(SG) with "))
            || self.first == "Unknown/Local"
            || group.contains("UNIX: localhost")
            || group.contains("@localhost")
            || group.starts_with("AUTH: ")
            || self.line.contains("(LSMTP for")
            || self.line.contains(" with local-smtp ")
            || self.line.contains(" with local-esmtp ")
            || (self.words == 3 && self.line.split(' ').nth(1) == Some("id"))
    }
}

impl Relay {
    /// Takes out what cannot stand in a list of hops.
    fn tidy(&mut self) {
        let rdns = self.rdns.trim_end_matches('.').len();
        self.rdns.truncate(rdns);
        if self.rdns.eq_ignore_ascii_case("unknown") || self.rdns.starts_with('[') {
            self.rdns.clear();
        }
        if self.by.ends_with(';') {
            self.by.pop();
        }
        if let Some(plain) = self.ip.to_ascii_lowercase().strip_prefix("::ffff:").filter(|ip| ip.contains('.')) {
            self.ip = plain.to_owned();
        }
        let is_odd = |c: char| c.is_whitespace() || "\0#[]()<>|".contains(c);
        for text in [&mut self.rdns, &mut self.helo, &mut self.by, &mut self.ident] {
            *text = text.replace(is_odd, "!");
        }
        self.is_private = self.ip.parse().is_ok_and(super::relays::is_private);
    }
}

/// The length of the group at the beginning, its parentheses included.
fn group(text: &str) -> usize {
    let mut depth = 0_u32;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return at + 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether only a port stands behind an address in brackets.
fn is_port(inside: &str) -> bool {
    let inside = inside.strip_suffix(']').unwrap_or(inside);
    inside.strip_prefix([':', '.']).unwrap_or(inside).bytes().all(|octet| octet.is_ascii_digit())
}

/// What was said in HELO, in a group that says it.
fn greeting(group: &str) -> Option<&str> {
    let at = ["HELO ", "EHLO ", "LHLO "].iter().find_map(|word| group.find(word))?;
    (at == 0 || group.starts_with("account ")).then(|| group[at + 5..].split(' ').next().unwrap_or_default())
}

/// The id, without its angles.
fn id(line: &str) -> String {
    let ids = line.match_indices(" id ").map(|(at, _)| line[at + 4..].trim_start_matches('<'));
    let mut ids = ids.map(|rest| rest.split([' ', '<', '>', ';']).next().unwrap_or_default());
    ids.find(|id| id.len() >= 3).unwrap_or_default().to_owned()
}

/// A name that follows a word.
fn word_behind(text: &str, word: &str) -> Option<String> {
    let at = text
        .match_indices(word)
        .map(|(at, _)| at)
        .find(|at| !text[..*at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))?;
    let is_part = |c: &char| c.is_ascii_alphanumeric() || "-.^+_&:=?!@%*$\\/".contains(*c);
    let found: String = text[at + word.len()..].chars().take_while(is_part).collect();
    (!found.is_empty()).then_some(found)
}

fn envelope_from(line: &str) -> Option<String> {
    let lower = line.to_ascii_lowercase();
    let starts =
        ["envelope-from ", "envelope-from=", "envelope-sender ", "envelope-sender=", "return-path ", "return-path: "];
    let at = starts.iter().filter_map(|start| lower.find(start).map(|at| at + start.len())).min()?;
    let word = line[at..].split(' ').next().unwrap_or_default();
    let word = word.trim_end_matches(|c: char| !(c.is_alphanumeric() || c == '_'));
    Some(word.trim_start_matches('<').to_owned())
}

/// How the client said who it is; empty if it did not.
fn authentication(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let with = lower.match_indices(" with ").find_map(|(at, _)| {
        let protocol = line[at + 6..].split([' ', ';']).next().unwrap_or_default();
        let known =
            ["esmtpa", "esmtpsa", "lmtpa", "lmtpsa", "utf8smtpa", "utf8smtpsa", "asmtp", "http", "https", "httpu"];
        known.contains(&protocol.to_ascii_lowercase().as_str()).then(|| protocol.to_owned())
    });
    if let Some(with) = with.filter(|_| line.contains(" by ")) {
        return with;
    }
    let before = line.split(" by ").next().unwrap_or_default();
    if let Some(at) = before.find("(AUTH: ") {
        return before[at + 7..].split(' ').next().unwrap_or_default().to_owned();
    }
    if line.contains(") (Authenticated sender: ") {
        return "Postfix".to_owned();
    }
    let is_grouped = before.find(['[', '(']).is_some_and(|open| before[open..].contains("authenticated"));
    if is_grouped && before.contains("])") {
        return "Sendmail".to_owned();
    }
    if line.contains("CommuniGate Pro ") && line.contains(" (account ") {
        return "Communigate".to_owned();
    }
    if line.contains(" by ") && lower.contains(" (via http") {
        return "HTTP".to_owned();
    }
    String::new()
}

/// The address in brackets at the beginning of a word.
fn ip_in_brackets(word: &str) -> Option<&str> {
    ip(word.strip_prefix('[')?.split([']', '%']).next()?)
}

fn ip(text: &str) -> Option<&str> {
    let text = text.strip_prefix("IPv6:").or_else(|| text.strip_prefix("ipv6:")).unwrap_or(text);
    text.parse::<IpAddr>().is_ok().then_some(text)
}

/// The address in brackets, else one that stands alone, behind `@` or before a port.
fn address(text: &str) -> Option<String> {
    let bracketed = text.match_indices('[').find_map(|(at, _)| {
        let inside = text[at + 1..].split([']', '%']).next().unwrap_or_default();
        ip(inside).or_else(|| ip(inside.rsplit_once(':')?.0))
    });
    let plain = || text.split([' ', '(', ')', '@', '%']).find_map(|word| ip(word).filter(|ip| ip.len() > 3));
    bracketed.or_else(plain).map(str::to_owned)
}

//! Fixed answers from a table: for the demonstration and for tests. What is not in it is NXDOMAIN.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::question::{Kind, Question};
use super::{Answer, Lookup, LookupError, Mx};
use crate::units::reversed_labels;

/// The table. Built once, by chaining; a malformed name in it panics, since it stands in code.
#[derive(Clone, Debug, Default)]
pub struct FixedDns {
    names: HashMap<Arc<str>, Entry>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    a: Vec<Ipv4Addr>,
    aaaa: Vec<Ipv6Addr>,
    ptr: Vec<Arc<str>>,
    txt: Vec<Arc<str>>,
    mx: Vec<Mx>,
    ns: Vec<Arc<str>>,
    fails: Option<LookupError>,
    delay: Duration,
}

impl FixedDns {
    /// Knows no name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds IPv4 addresses: `.a("mail.example", [[192, 0, 2, 1]])`.
    pub fn a<T: Into<Ipv4Addr>>(self, name: &str, addrs: impl IntoIterator<Item = T>) -> Self {
        self.with(name, |entry| entry.a.extend(addrs.into_iter().map(Into::into)))
    }

    /// Adds IPv6 addresses.
    pub fn aaaa(self, name: &str, addrs: impl IntoIterator<Item = Ipv6Addr>) -> Self {
        self.with(name, |entry| entry.aaaa.extend(addrs))
    }

    /// Adds names of an address.
    pub fn ptr<'a>(self, addr: impl Into<IpAddr>, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.with(Question::names_of(addr.into()).name(), |entry| {
            entry.ptr.extend(names.into_iter().map(key));
        })
    }

    /// Adds texts.
    pub fn txt<'a>(self, name: &str, texts: impl IntoIterator<Item = &'a str>) -> Self {
        self.with(name, |entry| entry.txt.extend(texts.into_iter().map(Into::into)))
    }

    /// Adds mail exchangers.
    pub fn mx<'a>(self, name: &str, exchangers: impl IntoIterator<Item = (u16, &'a str)>) -> Self {
        self.with(name, |entry| entry.mx.extend(exchangers.into_iter().map(|(pref, host)| (pref, host.into()))))
    }

    /// Adds name servers.
    pub fn ns<'a>(self, name: &str, servers: impl IntoIterator<Item = &'a str>) -> Self {
        self.with(name, |entry| entry.ns.extend(servers.into_iter().map(key)))
    }

    /// Lists `addr` on the blocklist `zone` with a return code (RFC 5782).
    pub fn listed(self, zone: &str, addr: impl Into<IpAddr>, code: [u8; 4]) -> Self {
        self.a(&format!("{}{zone}", reversed_labels(addr.into())), [code])
    }

    /// Questions about `name` fail.
    pub fn fail(self, name: &str, error: LookupError) -> Self {
        self.with(name, |entry| entry.fails = Some(error))
    }

    /// Questions about the names of `addr` fail.
    pub fn fail_ptr(self, addr: impl Into<IpAddr>, error: LookupError) -> Self {
        self.fail(Question::names_of(addr.into()).name(), error)
    }

    /// Answers about `name` take that long.
    pub fn delay(self, name: &str, delay: Duration) -> Self {
        self.with(name, |entry| entry.delay = delay)
    }

    fn with(mut self, name: &str, change: impl FnOnce(&mut Entry)) -> Self {
        change(self.names.entry(key(name)).or_default());
        self
    }

    async fn answer<T: Clone>(
        &self,
        question: Result<Question, LookupError>,
        pick: fn(&Entry) -> &Vec<T>,
    ) -> Result<Answer<T>, LookupError> {
        let Some(entry) = self.names.get(question?.name()) else {
            return Ok(Answer { records: [].into(), exists: false, cached: false });
        };
        if !entry.delay.is_zero() {
            tokio::time::sleep(entry.delay).await;
        }
        match entry.fails {
            Some(error) => Err(error),
            None => Ok(Answer { records: pick(entry).as_slice().into(), exists: true, cached: false }),
        }
    }
}

fn key(name: &str) -> Arc<str> {
    Question::new(Kind::A, name).unwrap_or_else(|why| panic!("`{name}`: {why}")).name().into()
}

impl Lookup for FixedDns {
    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv4Addr>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::A, name), |entry| &entry.a))
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv6Addr>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Aaaa, name), |entry| &entry.aaaa))
    }

    fn ptr(&self, addr: IpAddr) -> BoxFuture<'_, Result<Answer<Arc<str>>, LookupError>> {
        Box::pin(self.answer(Ok(Question::names_of(addr)), |entry| &entry.ptr))
    }

    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Txt, name), |entry| &entry.txt))
    }

    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Mx>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Mx, name), |entry| &entry.mx))
    }

    fn ns<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Ns, name), |entry| &entry.ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_table_answers_as_dns_would() {
        let dns = FixedDns::new()
            .a("Mail.Example", [[192, 0, 2, 1], [192, 0, 2, 2]])
            .ptr([192, 0, 2, 1], ["mail.example."])
            .mx("example", [(10, "mail.example")])
            .listed("list.example", [192, 0, 2, 9], [127, 0, 0, 2])
            .fail("broken.example", LookupError::ServerFailure)
            .delay("mail.example", Duration::from_secs(3));
        // The builder's methods have the names of the port's.
        let dns: &dyn Lookup = &dns;
        let begun = tokio::time::Instant::now();
        assert_eq!(dns.a("mail.example.").await.expect("known").records.len(), 2);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
        let txt = dns.txt("mail.example").await.expect("known");
        assert_eq!((txt.records.len(), txt.exists), (0, true));
        assert_eq!(&*dns.ptr([192, 0, 2, 1].into()).await.expect("known").records, [Arc::<str>::from("mail.example")]);
        assert_eq!(&*dns.mx("example").await.expect("known").records, [(10, "mail.example".into())]);
        assert_eq!(&*dns.a("9.2.0.192.list.example").await.expect("listed").records, [Ipv4Addr::new(127, 0, 0, 2)]);
        assert_eq!(dns.a("broken.example").await, Err(LookupError::ServerFailure));
        assert!(!dns.a("nowhere.example").await.expect("NXDOMAIN is an answer").exists);
    }
}

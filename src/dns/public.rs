//! Resolvers that anybody may use. Most DNS lists refuse what comes through them, since they cannot tell who
//! asks how much; some answer as if nothing were listed.

use std::net::IpAddr;

/// Well-known ones, by who runs them. A prefix stands for all addresses that begin with it.
const KNOWN: [(&str, &[&str]); 11] = [
    ("Google", &["8.8.8.8", "8.8.4.4", "2001:4860:4860::"]),
    ("Cloudflare", &["1.1.1.", "1.0.0.", "2606:4700:4700::"]),
    ("Quad9", &["9.9.9.", "149.112.112.", "2620:fe::"]),
    ("OpenDNS", &["208.67.220.", "208.67.222.", "2620:119:35::", "2620:119:53::"]),
    ("Level 3", &["4.2.2."]),
    ("Verisign", &["64.6.64.6", "64.6.65.6", "2620:74:1b::", "2620:74:1c::"]),
    ("AdGuard", &["94.140.14.", "94.140.15.", "2a10:50c0::"]),
    ("CleanBrowsing", &["185.228.168.", "185.228.169."]),
    ("Yandex", &["77.88.8."]),
    ("114DNS", &["114.114.114.", "114.114.115."]),
    ("Alibaba", &["223.5.5.5", "223.6.6.6", "2400:3200::"]),
];

/// Who runs this resolver for anybody; `None` if it is not known as one.
pub fn operator(resolver: IpAddr) -> Option<&'static str> {
    let resolver = resolver.to_canonical().to_string();
    let is_of = |known: &&str| resolver == **known || (known.ends_with(['.', ':']) && resolver.starts_with(*known));
    KNOWN.iter().find(|(_, addresses)| addresses.iter().any(is_of)).map(|(operator, _)| *operator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_resolvers_are_known_and_nobody_elses() {
        for (resolver, known) in [
            ("8.8.8.8", Some("Google")),
            ("::ffff:8.8.4.4", Some("Google")),
            ("8.8.8.80", None),
            ("1.1.1.2", Some("Cloudflare")),
            ("2606:4700:4700::1111", Some("Cloudflare")),
            ("9.9.9.10", Some("Quad9")),
            ("2620:fe::fe", Some("Quad9")),
            ("64.6.64.60", None),
            ("192.0.2.53", None),
            ("127.0.0.53", None),
            ("::1", None),
        ] {
            assert_eq!(operator(resolver.parse().expect(resolver)), known, "{resolver}");
        }
    }
}

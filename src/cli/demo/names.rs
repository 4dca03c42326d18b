//! DNS of the demonstration: the names of the cast, and the lists that know some of them.

use crate::dns::FixedDns;

/// A mail server in good order.
pub(super) const GOOD: [u8; 4] = [198, 51, 100, 10];
/// Another one, by IPv6.
pub(super) const GOOD_V6: &str = "2001:db8::25";
/// Listed by a list that is trusted.
pub(super) const LISTED: [u8; 4] = [203, 0, 113, 66];
/// A server that nobody looks after.
pub(super) const SHABBY: [u8; 4] = [198, 51, 100, 77];
/// A machine at somebody's home, and not its owner's any more.
pub(super) const HIJACKED: [u8; 4] = [203, 0, 113, 40];
/// Its names are in order, and that is all that is known of it.
pub(super) const STRANGER: [u8; 4] = [203, 0, 113, 99];

/// What DNS answers.
pub(super) fn answers() -> FixedDns {
    let good_v6: std::net::Ipv6Addr = GOOD_V6.parse().expect("a constant address");
    let (shabby, listed, stranger) = ("mail.shabby.example", "mail.listed.example", "mail.stranger.example");
    let lists = ["zen.spamhaus.org", "bl.spamcop.net", "psbl.surriel.com"];
    // Every living list lists this, to show that it lives (RFC 5782 5).
    let tested = |dns: FixedDns, zone: &str| dns.listed(zone, [127, 0, 0, 2], [127, 0, 0, 2]);
    lists
        .into_iter()
        .fold(FixedDns::new(), tested)
        .a("mail.sender.example", [GOOD])
        .ptr(GOOD, ["mail.sender.example"])
        .aaaa("mail6.sender.example", [good_v6])
        .ptr(good_v6, ["mail6.sender.example"])
        .a(stranger, [STRANGER])
        .ptr(STRANGER, [stranger])
        .a(listed, [LISTED])
        .ptr(LISTED, [listed])
        .mx("sender.example", [(10, "mail.sender.example")])
        .txt("sender.example", ["v=spf1 a:mail.sender.example a:mail6.sender.example ?all"])
        .txt("_dmarc.sender.example", ["v=DMARC1; p=none"])
        .mx("demo.example", [(10, "mail.sender.example")])
        .txt("demo.example", ["v=spf1 -all"])
        .txt("_dmarc.demo.example", ["v=DMARC1; p=reject"])
        .listed("zen.spamhaus.org", LISTED, [127, 0, 0, 4])
        .a(shabby, [[198, 51, 100, 78]])
        .ptr(SHABBY, [shabby])
        .listed("bl.spamcop.net", SHABBY, [127, 0, 0, 2])
        .listed("zen.spamhaus.org", HIJACKED, [127, 0, 0, 10])
        .listed("bl.spamcop.net", HIJACKED, [127, 0, 0, 2])
        .listed("psbl.surriel.com", HIJACKED, [127, 0, 0, 2])
}

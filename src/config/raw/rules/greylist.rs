//! greylist.toml.

use super::super::macros::section;

section! {
    /// greylist.toml: how long who is new must wait, and who never.
    pub struct GreylistFile {
        /// Who comes again sooner is too early.
        #[schemars(range(min = 1, max = 86_400))]
        delay_seconds: u64 = 180,
        /// Who comes again later, counted from the first attempt, is new again.
        #[schemars(range(min = 1, max = 720))]
        window_hours: u64 = 48,
        /// So many good deliveries let a sender pass, whatever it sends to whomever.
        #[schemars(range(min = 1, max = 10_000))]
        pass_after: u64 = 5,
        /// What was earned lasts so many days after the last delivery.
        #[schemars(range(min = 1, max = 3650))]
        pass_days: u64 = 36,
        /// Bits of an IPv4 address that make a network.
        #[schemars(range(min = 8, max = 32))]
        ipv4_prefix: u64 = 24,
        /// Bits of an IPv6 address that make a network.
        #[schemars(range(min = 16, max = 64))]
        ipv6_prefix: u64 = 64,
        /// Domains that sign or send for many customers: their networks hold triplets, not they.
        shared_domains: Vec<String> = Vec::new(),
        /// Who is never delayed.
        exempt: Exempt = Exempt::default(),
    }
}

section! {
    /// Who is never delayed.
    pub struct Exempt {
        /// Registered domains that authenticate the sender by SPF or DKIM.
        domains: Vec<String> = Vec::new(),
        /// Confirmed names of clients; `.example.org` means all names below it.
        client_names: Vec<String> = Vec::new(),
        /// Whom clients of `relay.networks` have written to: may answer at once, if its domain authenticates it.
        correspondents: bool = true,
        /// Networks of clients, such as those of your own backup MX.
        networks: Vec<String> = Vec::new(),
        /// Recipients, as addresses (`user@example.org`) or domains (`example.org`, `.example.org`).
        recipients: Vec<String> = Vec::new(),
    }
}

//! trust.toml.

use super::super::macros::section;

section! {
    /// trust.toml: whom the operator knows, and on what evidence.
    pub struct TrustFile {
        /// Sealers whose ARC chains are believed: domains of `d=`.
        arc_sealers: Vec<String> = Vec::new(),
        /// Hosts that forward mail of others to us.
        forwarder: Vec<Forwarder> = Vec::new(),
        /// Mailing lists.
        list: Vec<List> = Vec::new(),
        /// Senders and clients to let pass.
        allow: Vec<Entry> = Vec::new(),
        /// Senders and clients to refuse.
        deny: Vec<Entry> = Vec::new(),
    }
}

section! {
    /// Hosts that forward mail of others to us. At least one of `client_names` and `networks`.
    pub struct Forwarder {
        /// Confirmed names of the clients; `.example.org` means all names below it.
        client_names: Vec<String> = Vec::new(),
        /// Networks of the clients.
        networks: Vec<String> = Vec::new(),
        /// Why; shown wherever it counts.
        reason: String = String::new(),
    }
}

section! {
    /// A mailing list, or a family of them. Its mail is known by a signature or by the client.
    pub struct List {
        /// List-Id identifiers; `.lists.example.org` means all lists there. Default: any.
        ids: Vec<String> = Vec::new(),
        /// Domains of the DKIM signature that its mail carries.
        signed_by: Vec<String> = Vec::new(),
        /// Confirmed names of the clients.
        client_names: Vec<String> = Vec::new(),
        /// Networks of the clients.
        networks: Vec<String> = Vec::new(),
        /// Why; shown wherever it counts.
        reason: String = String::new(),
    }
}

section! {
    /// Whom to let pass, or to refuse.
    pub struct Entry {
        /// Addresses (`user@example.org`) or domains (`example.org`, `.example.org` for all below it), as
        /// reverse-path or author. To be let pass they must be authenticated, or come from the clients named here.
        senders: Vec<String> = Vec::new(),
        /// Confirmed names of the clients.
        client_names: Vec<String> = Vec::new(),
        /// Networks of the clients.
        networks: Vec<String> = Vec::new(),
        /// True: holds without evidence. Everyone can then claim to be this sender.
        unauthenticated: bool = false,
        /// Why; shown wherever it counts.
        reason: String = String::new(),
    }
}

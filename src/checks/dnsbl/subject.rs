//! What a list is asked about.

use std::net::IpAddr;
use std::sync::Arc;

/// What a list is asked about: the key `of` of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The client's address.
    Client,
    /// The name in HELO or EHLO.
    Helo,
    /// The client's confirmed name.
    ClientName,
    /// The domain of the reverse-path.
    Sender,
    /// The domains that From fields name.
    Author,
    /// The domains of DKIM signatures that passed.
    Dkim,
    /// The names of the name servers of the sender's and the author's registered domains.
    NameServer,
    /// The addresses of those name servers.
    NameServerAddress,
    /// The hosts of links in the message.
    Url,
    /// The addresses of those hosts.
    UrlAddress,
    /// Digests of mail addresses: reverse-path, author, Reply-To, and those in the message.
    EmailHash,
}

/// What stands before the zone in a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A reversed address.
    Address,
    /// A domain name.
    Name,
    /// A digest.
    Digest,
}

/// A thing to ask about, as a session shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// An address.
    Address(IpAddr),
    /// What may be a domain name: spelled as it came.
    Name(Arc<str>),
    /// A label that stands before the zone as it is, and what it stands for.
    Digest {
        /// One label, or several.
        label: String,
        /// What people know it by.
        shown: String,
    },
}

impl Subject {
    /// All of them.
    pub const ALL: [Subject; 11] = [
        Self::Client,
        Self::Helo,
        Self::ClientName,
        Self::Sender,
        Self::Author,
        Self::Dkim,
        Self::NameServer,
        Self::NameServerAddress,
        Self::Url,
        Self::UrlAddress,
        Self::EmailHash,
    ];

    /// The word of the rule file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Helo => "helo",
            Self::ClientName => "client-name",
            Self::Sender => "sender",
            Self::Author => "author",
            Self::Dkim => "dkim",
            Self::NameServer => "nameserver",
            Self::NameServerAddress => "nameserver-address",
            Self::Url => "url",
            Self::UrlAddress => "url-address",
            Self::EmailHash => "email-hash",
        }
    }

    /// What stands before the zone.
    pub fn form(self) -> Form {
        match self {
            Self::Client | Self::NameServerAddress | Self::UrlAddress => Form::Address,
            Self::Helo | Self::ClientName | Self::Sender | Self::Author | Self::Dkim | Self::NameServer | Self::Url => {
                Form::Name
            }
            Self::EmailHash => Form::Digest,
        }
    }
}

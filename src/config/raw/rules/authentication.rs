//! authentication.toml.

use super::super::macros::section;

section! {
    /// authentication.toml: how sender authentication is judged.
    pub struct AuthenticationFile {
        /// DKIM signatures.
        dkim: Dkim = Dkim::default(),
    }
}

section! {
    /// DKIM signatures.
    pub struct Dkim {
        /// Signatures that are verified, from the top of the message down; further ones are ignored.
        #[schemars(range(min = 1, max = 100))]
        signatures: u64 = 10,
        /// RSA keys with fewer bits authenticate nobody; below 1024 none ever does (RFC 8301 3.2).
        #[schemars(range(min = 1024, max = 8192))]
        min_rsa_bits: u64 = 1024,
    }
}

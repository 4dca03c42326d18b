//! Listeners for mail from anywhere, with what they show of themselves.

use crate::config::Config;
use crate::facts::Role;
use crate::net::tls::Shown;

/// A listener for mail from anywhere, with all certificates of it that can be used.
pub(super) struct Listener<'c> {
    pub(super) name: &'c str,
    pub(super) certificates: Vec<Shown>,
}

/// All of them.
pub(super) fn of(config: &Config) -> Vec<Listener<'_>> {
    let edges = config.listeners.iter().filter(|listener| listener.role == Role::Edge);
    edges
        .map(|listener| Listener {
            name: &listener.name,
            // What cannot be used is told elsewhere.
            certificates: listener.tls.iter().filter_map(|files| Shown::of(files).ok()).collect(),
        })
        .collect()
}

impl Listener<'_> {
    /// Those certificates that a client can be shown who asks for `name`: of those for the name the first of each kind
    /// of key, or, where none is for it, the first of each kind of all.
    pub(super) fn shown_for(&self, name: &str) -> Vec<&Shown> {
        let named: Vec<&Shown> = self.certificates.iter().filter(|certificate| certificate.covers(name)).collect();
        let choice = if named.is_empty() { self.certificates.iter().collect() } else { named };
        let mut shown: Vec<&Shown> = Vec::new();
        for certificate in choice {
            if !shown.iter().any(|known| known.key_kind() == certificate.key_kind()) {
                shown.push(certificate);
            }
        }
        shown
    }

    /// Why clients that trust whom this system trusts do not believe that it is `name`; `None`: they do.
    pub(super) fn mistrusted(&self, name: &str) -> Option<String> {
        let shown = self.shown_for(name);
        if shown.is_empty() {
            return Some("it has no certificate".to_owned());
        }
        shown.iter().find_map(|certificate| certificate.is_trusted(name).err()).map(|why| why.to_string())
    }
}

//! An operator's text: either a configuration without errors, or problems that each say where and why;
//! what loads is never an open relay.

#![no_main]

use gatepost::config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match config::parse_text(text) {
        Ok(loaded) => {
            let config = loaded.config;
            assert!(!config.listeners.is_empty() && !config.backend.members.is_empty());
            for stranger in ["192.0.2.1", "198.51.100.200", "2001:db8::1"] {
                let inside = config.session.relay.networks.contains(stranger.parse().expect("an address"));
                assert!(!inside || text.contains("networks"), "a stranger may relay and nobody said so");
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            assert!(!problems.render(false).is_empty());
        }
    }
});

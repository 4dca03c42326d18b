//! Are lists asked through resolvers whose questions they refuse?

use std::net::IpAddr;

use super::Config;
use crate::dns::{hickory, public};

/// What an operator should know about the resolvers in use: nothing if no list is asked through one that
/// anybody may use. Reads the system's configuration where ours names none.
pub fn warnings(config: &Config) -> Vec<String> {
    let servers = hickory::servers(&config.dns).unwrap_or_default();
    warnings_of(config, servers.into_iter().map(|server| server.ip()))
}

fn warnings_of(config: &Config, servers: impl IntoIterator<Item = IpAddr>) -> Vec<String> {
    let is_local = |zone: &str| {
        config.zones.iter().any(|local| zone == &*local.name || zone.ends_with(&format!(".{}", local.name)))
    };
    let lists = config.rules.lists.0.dnsbl.iter();
    let asked = lists.filter(|list| list.enabled && !is_local(&list.zone)).map(|list| list.name.as_str());
    let asked: Vec<&str> = asked.collect();
    if asked.is_empty() || !config.checks.enabled {
        return Vec::new();
    }
    let public = servers.into_iter().filter_map(|server| Some((server, public::operator(server)?)));
    let warning = |(server, operator)| {
        format!(
            "the resolver {server} ({operator}) serves anybody: most DNS lists refuse its questions, or answer \
             nothing to them. Run one of your own for {}",
            asked.join(", ")
        )
    };
    public.map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_are_asked_through_a_public_resolver_are_worth_a_warning() {
        let text = |more: &str| {
            let demo = include_str!("../../config/demo.toml");
            crate::config::parse_text(&format!("{demo}\n{more}")).unwrap_or_else(|why| panic!("{why}")).config
        };
        let resolvers = || ["8.8.8.8", "127.0.0.1"].map(|addr| addr.parse().expect("address"));
        let config = text("[dns]\nservers = [\"9.9.9.9\"]\n");
        let said = warnings_of(&config, resolvers());
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("8.8.8.8 (Google)") && said[0].contains("spamcop"), "{said:?}");
        assert!(warnings(&config)[0].contains("9.9.9.9 (Quad9)"), "of the servers that are named");
        assert!(warnings_of(&config, ["127.0.0.1".parse().expect("address")]).is_empty());
    }
}

//! DNS lists: each is asked for its test points, as the proxy does before it believes one.

use std::sync::Arc;

use super::finding::Finding;
use super::names;
use crate::checks::dnsbl::health::Answered;
use crate::checks::dnsbl::tester::{self, Examined};
use crate::config::Loaded;
use crate::config::rules::{self, Ports};

const AREA: &str = "list";

/// Every list that is switched on.
pub(super) async fn examine(loaded: &Loaded) -> Vec<Finding> {
    if !loaded.config.checks.enabled {
        return Vec::new();
    }
    let dns = match names::lookup(loaded) {
        Ok(dns) => dns,
        Err(why) => return vec![Finding::skipped(AREA, &"all", why, "Mend the name servers first.")],
    };
    let ports = Ports::with_dns(Arc::clone(&dns));
    // The rules hold the lists.
    let ruleset = match rules::load(&loaded.config, &ports) {
        Ok(ruleset) => ruleset,
        Err(problems) => return vec![Finding::broken(AREA, &"all", problems, "Mend the rules.")],
    };
    let examined = tester::examine(&ports.lists, dns.as_ref()).await;
    drop(ruleset);
    if examined.is_empty() {
        let advice = "rules/lists.toml has some that anybody may ask: enabled = true.";
        return vec![Finding::doubtful(AREA, &"all", "none is switched on", advice)];
    }
    examined.iter().map(finding).collect()
}

fn finding(list: &Examined) -> Finding {
    let subject = format!("{} ({})", list.name, list.zone);
    let points = || list.round.listed.iter().chain(&list.round.not_listed);
    if points().next().is_none() {
        let advice = "Name what it must and must not list in test_listed and test_not_listed (docs/lists.md).";
        return Finding::skipped(AREA, &subject, "it has no test points", advice);
    }
    if let Some(code) = points().find_map(|answer| if let Answered::Error(code) = answer { Some(code) } else { None }) {
        let advice = "It refuses this resolver, or wants you to register: most lists answer no public resolver. Run one of your own.";
        return Finding::broken(AREA, &subject, format!("it answers with the error {code}"), advice);
    }
    if points().any(|answer| *answer == Answered::NoAnswer) {
        let advice = "It counts nothing meanwhile. If it never answers: enabled = false.";
        return Finding::broken(AREA, &subject, "no answer", advice);
    }
    if list.round.not_listed.contains(&Answered::Listed) {
        let advice = "It lists everything: it is closed, or the resolver invents answers. enabled = false.";
        return Finding::broken(AREA, &subject, "it lists what no list may list", advice);
    }
    if list.round.listed.contains(&Answered::NotListed) {
        let advice = "It is closed, or answers nothing to this resolver: try one of your own, or enabled = false.";
        return Finding::broken(AREA, &subject, "it does not list its own test point", advice);
    }
    Finding::well(AREA, &subject, format!("{} test points are as they must be", points().count()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::finding::Level;
    use super::*;
    use crate::checks::dnsbl::health::Round;

    #[test]
    fn test_points_tell_how_a_list_is() {
        use Answered::{Error, Listed, NoAnswer, NotListed};
        let refused = Error(Ipv4Addr::new(127, 255, 255, 254));
        for (listed, not_listed, level, words) in [
            (vec![Listed], vec![NotListed], Level::Well, "2 test points"),
            (vec![Listed], vec![], Level::Well, "1 test points"),
            (vec![], vec![], Level::Skipped, "no test points"),
            (vec![NotListed], vec![NotListed], Level::Broken, "does not list"),
            (vec![Listed], vec![Listed], Level::Broken, "no list may list"),
            (vec![refused], vec![NotListed], Level::Broken, "127.255.255.254"),
            (vec![Listed], vec![NoAnswer], Level::Broken, "no answer"),
        ] {
            let round = Round { listed, not_listed };
            let found = finding(&Examined { name: "psbl".into(), zone: "psbl.example".into(), round });
            assert!(found.level == level && found.found.contains(words), "{found:?}");
            assert_eq!(found.advice.is_empty(), level == Level::Well, "{found:?}");
        }
    }
}

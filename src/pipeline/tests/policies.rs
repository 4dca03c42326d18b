//! Recipients with policies of their own.

use super::*;
use crate::pipeline::Policies;
use crate::verdict::Verdict::{Forward, Reject};

/// The same, with the policy `mild` for `mild.example`.
fn with_mild(rules: Arc<Ruleset>, change: impl FnOnce(&mut Policy)) -> Arc<Ruleset> {
    let rules = Arc::into_inner(rules).expect("not shared yet");
    let mut policy = rules.policy.clone();
    change(&mut policy);
    let mut policies = Policies::default();
    let number = policies.add("mild", policy);
    policies.assign("@mild.example", number).expect("a domain");
    Arc::new(rules.with_policies(policies))
}

/// Recipients 0 (site) and 1 (mild).
fn judging_two(rules: Arc<Ruleset>) -> Assessment {
    let mut assessment = Assessment::new(rules);
    for (index, path) in ["user@site.example", "user@mild.example"].into_iter().enumerate() {
        assessment.add_recipient(index, false);
        assessment.judge_as(index, &ForwardPath::parse(path).expect("a path"));
    }
    assessment
}

fn verdicts(conclusion: &Conclusion) -> Vec<Verdict> {
    conclusion.recipients.iter().map(|(_, decision)| decision.verdict).collect()
}

#[tokio::test(start_paused = true)]
async fn a_verdict_is_certain_when_it_is_so_for_every_policy() {
    // The score is 6.00, or 10.00 with what hangs.
    for (limit, waits) in [(1_100, false), (800, true), (600, false)] {
        let checks = registry(|r| {
            r.add(double("BAD", Act::<ClientFacts>::Finds(Duration::ZERO)))?;
            r.add(double("SLOW", Act::<ClientFacts>::Hangs))
        });
        let score = rule("score", Some(500), &[], Reject);
        let rules = with_mild(ruleset(checks, &[("BAD", 600), ("SLOW", 400)], vec![score]), |policy| {
            policy.clauses[0].when.at_least = Some(Score::hundredths(limit));
        });
        let mut assessment = judging_two(rules);
        assessment.learn(&client());
        let began = Instant::now();
        let conclusion = assessment.conclude(within(1000)).await;
        assert_eq!(began.elapsed() >= Duration::from_secs(1), waits, "{limit}");
        let mild = if limit == 600 { Reject } else { Forward };
        assert_eq!(verdicts(&conclusion), [Reject, mild], "{limit}");
        let named = conclusion.recipients.iter().map(|(_, decision)| decision.policy.as_deref());
        assert_eq!(named.collect::<Vec<_>>(), [None, Some("mild")]);
    }
}

#[tokio::test(start_paused = true)]
async fn before_recipients_are_known_all_policies_must_agree() {
    for (off, certain) in [(true, false), (false, true)] {
        let checks = registry(|r| {
            r.add(double("LISTED", Act::<ClientFacts>::Finds(Duration::ZERO)))?;
            r.add(double("LATER", Act::<MailFacts>::FindsIf(|_| true)))
        });
        let listed = rule("listed", None, &["LISTED"], Reject);
        let rules = with_mild(ruleset(checks, &[], vec![listed]), |policy| {
            if off {
                policy.clauses.clear();
            } else {
                policy.tag = Some(Score::ZERO);
            }
        });
        let mut assessment = Assessment::new(rules);
        assessment.learn(&client());
        assert_eq!(assessment.peek().is_some(), certain);
        assessment.learn(&mail());
        let started = assessment.trace().lines.iter().any(|line| line.check == "later" && line.outcome == "found");
        assert_eq!(started, !certain, "nothing is asked in vain, and nothing is left out that may matter");
    }
}

#[tokio::test(start_paused = true)]
async fn at_rcpt_each_recipient_has_its_own_policy() {
    let checks = registry(|r| r.add(double("LISTED", Act::<ClientFacts>::Finds(Duration::ZERO))));
    let listed = rule("listed", None, &["LISTED"], Reject);
    let rules = with_mild(ruleset(checks, &[], vec![listed]), |policy| policy.clauses.clear());
    let families = Metrics::register(&prometheus::Registry::new()).expect("fresh names");
    let rules = Arc::into_inner(rules).expect("not shared yet").with_metrics(&families);
    let mut assessment = judging_two(Arc::new(rules));
    assessment.learn(&client());
    assert!(assessment.settle(0, within(1000)).await.is_some());
    assert!(assessment.settle(1, within(1000)).await.is_none());
    let text = assessment.trace().to_text();
    assert!(text.contains("recipient 0: reject (clause listed,"), "{text}");
    assert!(text.contains("recipient 1: forward (policy mild, clause none,"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn mail_is_marked_if_the_policy_of_one_recipient_says_so() {
    for (dropped, tagged) in [(None, true), (Some(0), false), (Some(1), true)] {
        let checks = registry(|r| r.add(double("BAD", Act::<ClientFacts>::Finds(Duration::ZERO))));
        let mut rules = Arc::into_inner(ruleset(checks, &[("BAD", 600)], vec![])).expect("not shared yet");
        rules.policy.tag = Some(Score::hundredths(500));
        let rules = with_mild(Arc::new(rules), |policy| policy.tag = Some(Score::hundredths(800)));
        let mut assessment = judging_two(rules);
        assessment.learn(&client());
        dropped.into_iter().for_each(|index| assessment.drop_recipient(index));
        assert_eq!(assessment.conclude(within(1000)).await.tagged, tagged, "{dropped:?}");
    }
}

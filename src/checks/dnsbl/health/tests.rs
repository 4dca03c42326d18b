//! The health of lists in every mode of trouble, in time that the tests make up.

use super::*;
use crate::checks::dnsbl::watch::BREAK;

const MINUTE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(20);
const REFUSED: Answered = Answered::Error(Ipv4Addr::new(127, 255, 255, 254));
const PARKED: Answered = Answered::Error(Ipv4Addr::new(198, 51, 100, 80));

/// A list with a clock of its own.
struct Patient {
    health: Health,
    now: Instant,
    told: Vec<String>,
}

fn patient() -> Patient {
    let now = Instant::now();
    Patient { health: Health::new(10 * MINUTE, Duration::from_secs(2), now), now, told: Vec::new() }
}

fn round(listed: Answered, not_listed: Answered) -> Round {
    Round { listed: vec![listed], not_listed: vec![not_listed] }
}

fn good() -> Round {
    round(Answered::Listed, Answered::NotListed)
}

impl Patient {
    fn tell(&mut self, events: Vec<Event>) {
        self.told.extend(events.into_iter().map(|event| match event {
            Event::Suspended(reason) => format!("suspended: {}", reason.label()),
            Event::Resumed { reason, after } => format!("resumed after {} s: {}", after.as_secs(), reason.label()),
            Event::Raised(alert) => format!("alert: {}", alert.label()),
            Event::Cleared(alert) => format!("alert over: {}", alert.label()),
        }));
    }

    /// Waits for the next test and makes it; the seconds until it was due.
    fn test(&mut self, round: &Round) -> u64 {
        let due = self.health.next_test;
        let wait = due.saturating_duration_since(self.now);
        self.now = due.max(self.now);
        assert_eq!(self.health.begin_test(self.now), Ok(()));
        let begun = self.now;
        self.now += TICK;
        let events = self.health.tested(self.now, begun, round, 0.5);
        self.tell(events);
        wait.as_secs()
    }

    fn live(&mut self, answer: Answered) {
        self.took(answer, TICK);
    }

    fn took(&mut self, answer: Answered, took: Duration) {
        self.now += took;
        let note = Note { answer, origin: Origin::Asked, took, again: false };
        let events = self.health.answered(self.now, note);
        self.tell(events);
    }

    fn admitted(&mut self) -> bool {
        self.health.admit(self.now).is_ok()
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

#[test]
fn a_round_of_test_points_has_an_opinion() {
    use Answered::{Listed, NoAnswer, NotListed};
    let code = |answer| match answer {
        Answered::Error(code) => Opinion::Unfit(Reason::ErrorCode(code)),
        _ => unreachable!("an error"),
    };
    for (listed, not_listed, opinion) in [
        (vec![Listed], vec![NotListed], Opinion::Fit),
        (vec![], vec![], Opinion::Fit),
        (vec![Listed], vec![], Opinion::Fit),
        (vec![], vec![NotListed], Opinion::Fit),
        (vec![Listed], vec![Listed], Opinion::Unfit(Reason::ListsEverything)),
        (vec![Listed], vec![NotListed, Listed], Opinion::Unfit(Reason::ListsEverything)),
        (vec![NotListed], vec![NotListed], Opinion::Unfit(Reason::ListsNothing)),
        (vec![NotListed], vec![NoAnswer], Opinion::Unfit(Reason::ListsNothing)),
        (vec![NoAnswer], vec![Listed], Opinion::Unfit(Reason::ListsEverything)),
        (vec![NoAnswer], vec![NotListed], Opinion::Unknown),
        (vec![Listed], vec![NoAnswer], Opinion::Unknown),
        (vec![NoAnswer], vec![NoAnswer], Opinion::Unknown),
        (vec![REFUSED], vec![REFUSED], code(REFUSED)),
        (vec![Listed], vec![PARKED], code(PARKED)),
        (vec![NoAnswer], vec![REFUSED], code(REFUSED)),
    ] {
        assert_eq!(
            Round { listed: listed.clone(), not_listed: not_listed.clone() }.opinion(),
            opinion,
            "{listed:?} {not_listed:?}"
        );
    }
}

#[test]
fn test_points_suspend_a_list_and_two_good_rounds_bring_it_back() {
    for (bad, reason) in [
        (round(REFUSED, REFUSED), "error_code"),
        (round(PARKED, PARKED), "error_code"),
        (round(Answered::Listed, Answered::Listed), "lists_everything"),
        (round(Answered::NotListed, Answered::NotListed), "lists_nothing"),
    ] {
        let mut list = patient();
        assert!(list.admitted(), "asked before the first test");
        assert_eq!(list.test(&good()), 0);
        assert_eq!(list.test(&good()), 600);
        assert!(list.admitted());
        assert_eq!(list.test(&bad), 600);
        assert_eq!(list.told(), [format!("suspended: {reason}")]);
        assert!(!list.admitted() && !list.health.is_up());
        // Said once; asked less and less often.
        let waits: Vec<u64> = (0..6).map(|_| list.test(&bad)).collect();
        assert_eq!(waits, [30, 60, 120, 240, 300, 300], "{reason}");
        assert_eq!(list.test(&good()), 300);
        assert_eq!(list.test(&bad), 30, "one good round is not enough");
        assert_eq!(list.test(&good()), 300);
        assert!(list.told().is_empty() && !list.admitted());
        assert_eq!(list.test(&good()), 30);
        assert_eq!(list.told(), [format!("resumed after 1710 s: {reason}")]);
        assert!(list.admitted() && list.health.is_up());
        assert_eq!(list.test(&good()), 600);
    }
}

#[test]
fn the_first_test_can_suspend_already() {
    let mut list = patient();
    list.test(&round(Answered::Listed, Answered::Listed));
    assert_eq!(list.told(), ["suspended: lists_everything"]);
}

#[test]
fn an_error_code_in_a_session_suspends_at_once_and_once() {
    let mut list = patient();
    list.test(&good());
    list.live(Answered::NotListed);
    for _ in 0..5 {
        list.live(REFUSED);
    }
    assert_eq!(list.told(), ["suspended: error_code"]);
    assert!(!list.admitted());
    assert_eq!(list.test(&good()), 29);
    assert_eq!(list.test(&good()), 30);
    assert_eq!(list.told(), ["resumed after 60 s: error_code"]);
}

#[test]
fn who_relapses_waits_longer() {
    let mut list = patient();
    let mut waits = Vec::new();
    for _ in 0..6 {
        list.live(REFUSED);
        waits.push(list.test(&good()));
        list.test(&good());
    }
    assert_eq!(waits, [30, 60, 120, 240, 300, 300]);
    list.test(&good());
    list.test(&good());
    list.live(REFUSED);
    assert_eq!(list.test(&good()), 30, "forgiven after a time without trouble");
}

#[test]
fn an_old_answer_says_nothing_about_the_list_now() {
    let mut list = patient();
    for answer in [REFUSED, Answered::NoAnswer, Answered::Listed] {
        for _ in 0..500 {
            let note = Note { answer, origin: Origin::Memory, took: TICK, again: false };
            assert!(list.health.answered(list.now, note).is_empty());
        }
    }
    assert!(list.admitted());
}

#[test]
fn one_failure_counts_once_however_many_hear_of_it() {
    let mut list = patient();
    for (origin, again) in [(Origin::Joined, false), (Origin::Memory, false), (Origin::Asked, true)] {
        for _ in 0..20 {
            let note = Note { answer: Answered::NoAnswer, origin, took: TICK, again };
            let told = list.health.answered(list.now, note);
            assert!(told.is_empty(), "{origin:?}: {told:?}");
        }
    }
    assert!(list.admitted());
}

/// A list that loses so many of a hundred questions.
fn loses(list: &mut Patient, percent: usize, questions: usize) {
    for number in 0..questions {
        list.live(if number * percent % 100 < percent { Answered::NoAnswer } else { Answered::NotListed });
    }
}

#[test]
fn a_list_that_loses_questions_raises_an_alert() {
    for (percent, told) in [(25, &[][..]), (33, &["alert: unreliable"]), (50, &["alert: unreliable"])] {
        let mut list = patient();
        loses(&mut list, percent, 300);
        assert_eq!(list.told(), told, "{percent} %");
        assert!(list.admitted());
        (0..100).for_each(|_| list.live(Answered::NotListed));
        let over: Vec<&str> = told.iter().map(|_| "alert over: unreliable").collect();
        assert_eq!(list.told(), over, "{percent} %");
    }
}

#[test]
fn a_list_that_hardly_ever_answers_is_cut_off_though_never_ten_times_in_a_row() {
    let mut list = patient();
    loses(&mut list, 85, 40);
    assert_eq!(list.told(), ["alert: unreliable", "suspended: no_answer"]);
    assert!(!list.admitted());
    list.now += BREAK;
    assert!(list.admitted());
    list.live(Answered::NotListed);
    assert_eq!(list.told(), ["resumed after 30 s: no_answer"]);
    loses(&mut list, 85, 38);
    assert!(list.admitted(), "judged anew");
    list.live(Answered::NoAnswer);
    assert!(!list.admitted());
}

#[test]
fn an_answer_to_what_was_asked_before_does_not_close_the_breaker() {
    let mut list = patient();
    (0..10).for_each(|_| list.live(Answered::NoAnswer));
    list.now += TICK;
    let note = Note { answer: Answered::NotListed, origin: Origin::Asked, took: TICK * 2, again: false };
    assert!(list.health.answered(list.now, note).is_empty());
    assert!(!list.health.is_up(), "asked before it was opened");
    list.now += BREAK;
    list.live(Answered::NotListed);
    assert!(list.health.is_up());
}

#[test]
fn a_round_that_was_begun_before_the_suspension_ends_none() {
    let mut list = patient();
    list.test(&good());
    let begun = list.now;
    list.live(REFUSED);
    for _ in 0..3 {
        list.now += TICK;
        assert!(list.health.tested(list.now, begun, &good(), 0.5).is_empty());
    }
    assert!(list.health.is_suspended());
    assert_eq!((list.test(&good()), list.health.is_suspended()), (29, true));
    list.test(&good());
    assert!(!list.health.is_suspended());
}

#[test]
fn test_points_without_an_answer_neither_suspend_nor_resume() {
    let silence = round(Answered::NoAnswer, Answered::NoAnswer);
    let mut list = patient();
    let waits: Vec<u64> = (0..5).map(|_| list.test(&silence)).collect();
    assert_eq!(waits, [0, 60, 120, 240, 300], "asked again soon, since it is not known to be fit");
    assert!(list.admitted() && list.told().is_empty());
    list.test(&good());
    assert_eq!(list.test(&silence), 600);
    list.test(&round(Answered::NotListed, Answered::NotListed));
    list.test(&good());
    list.test(&silence);
    assert!(!list.admitted());
    list.test(&good());
    assert_eq!(list.told().len(), 2, "two good rounds, whatever silence lay between them");
}

#[test]
fn a_dead_list_costs_ten_questions_and_then_one_every_half_minute() {
    let mut list = patient();
    list.test(&good());
    for _ in 0..9 {
        assert!(list.admitted());
        list.live(Answered::NoAnswer);
    }
    list.live(Answered::NotListed);
    for _ in 0..9 {
        list.live(Answered::NoAnswer);
    }
    assert!(list.admitted() && list.told().is_empty(), "not ten in a row");
    list.live(Answered::NoAnswer);
    assert_eq!(list.told(), ["suspended: no_answer"]);
    for _ in 0..3 {
        assert!(!list.admitted() && !list.health.is_up());
        list.now += BREAK;
        assert!(list.admitted(), "one may try");
        assert!(!list.admitted(), "only one");
        list.live(Answered::NoAnswer);
    }
    list.now += BREAK;
    assert!(list.admitted());
    list.live(Answered::NotListed);
    assert_eq!(list.told(), ["resumed after 120 s: no_answer"]);
    assert!(list.admitted() && list.admitted());
}

#[test]
fn a_question_that_never_comes_back_blocks_no_other_for_long() {
    let mut list = patient();
    (0..10).for_each(|_| list.live(Answered::NoAnswer));
    list.now += BREAK;
    assert!(list.admitted());
    list.now += BREAK;
    assert!(list.admitted(), "the one before left with its client");
}

#[test]
fn an_answer_to_a_test_point_closes_the_breaker() {
    let mut list = patient();
    list.test(&good());
    (0..10).for_each(|_| list.live(Answered::NoAnswer));
    list.test(&good());
    assert_eq!(list.told(), ["suspended: no_answer", "resumed after 599 s: no_answer"]);
}

#[test]
fn in_a_flood_the_best_list_fires_all_the_time_and_is_right() {
    let mut list = patient();
    list.test(&good());
    (0..199).for_each(|_| list.live(Answered::Listed));
    assert!(list.told().is_empty());
    assert!(list.health.begin_test(list.now).is_err());
    list.live(Answered::Listed);
    assert_eq!(list.told(), ["alert: constant_firing"]);
    assert!(list.admitted() && list.health.is_up());
    assert_eq!(list.test(&good()), 0, "its test points are asked at once");
    (0..1000).for_each(|_| list.live(Answered::Listed));
    assert!(list.told().is_empty(), "said once");
    (0..100).for_each(|_| list.live(Answered::NotListed));
    assert_eq!(list.told(), ["alert over: constant_firing"]);
    assert!(list.admitted());
}

#[test]
fn a_list_that_fires_often_raises_no_alert() {
    let mut list = patient();
    for number in 0..1000 {
        list.live(if number % 20 == 0 { Answered::NotListed } else { Answered::Listed });
    }
    assert!(list.told().is_empty(), "95 % is not above 95 %");
}

#[test]
fn slowness_is_an_alert_and_no_more() {
    let mut list = patient();
    for _ in 0..100 {
        list.took(Answered::NotListed, Duration::from_millis(1500));
    }
    assert_eq!(list.told(), ["alert: slow"]);
    assert!(list.admitted() && list.health.is_up());
    for _ in 0..100 {
        list.took(Answered::NotListed, Duration::from_millis(30));
    }
    assert_eq!(list.told(), ["alert over: slow"]);
}

#[test]
fn a_round_that_is_lost_is_made_again() {
    let mut list = patient();
    assert_eq!(list.health.begin_test(list.now), Ok(()));
    assert_eq!(list.health.begin_test(list.now), Err(list.now + RETRY.0));
    assert_eq!(list.health.begin_test(list.now + RETRY.0), Ok(()));
}

#[test]
fn a_list_without_test_points_is_tried_again_by_itself() {
    let mut list = patient();
    let none = Round::default();
    list.test(&none);
    list.live(REFUSED);
    list.test(&none);
    list.test(&none);
    assert_eq!(list.told().len(), 2);
    assert!(list.admitted());
}

//! What every home must do with who is blocked.

use super::*;

pub(super) async fn who_is_blocked_is_so_until_it_is_over_or_taken_back<H: Home>() {
    let (store, _directory) = H::open(&Settings::default(), Hands::at(day(0)));
    let [alice, bob] = [Blocked::user("Alice"), Blocked::Client("2001:db8::7".parse().expect("an address"))];
    let block = |until, why: &str| Block { since: day(0), until, why: why.to_owned() };
    assert_eq!(store.blocks(day(0)), []);
    store.block(alice.clone(), block(None, "stolen")).await.expect("taken");
    store.block(bob.clone(), block(Some(day(0) + hour(1)), "")).await.expect("taken");
    store.block(alice.clone(), block(None, "stolen, \"again\"")).await.expect("replaced");
    let all = store.blocks(day(0));
    assert_eq!(all.iter().map(|(whom, _)| whom.to_string()).collect::<Vec<_>>(), ["user:alice", "client:2001:db8::7"]);
    assert_eq!(all[0].1.why, "stolen, \"again\"");
    let names = [Blocked::user("carol"), bob.clone(), alice.clone()];
    assert_eq!(store.blocked(&names, day(0)).expect("both are").0, bob);
    assert_eq!(store.blocked(&names, day(0) + hour(1)).expect("one is").0, alice, "an hour later it is over");
    assert_eq!(store.unblock(alice.clone()).await, Ok(true));
    assert_eq!(store.unblock(alice).await, Ok(false));
    assert_eq!(store.blocked(&names, day(0) + hour(1)), None);
}

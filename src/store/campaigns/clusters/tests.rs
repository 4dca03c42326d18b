use super::*;
use crate::similarity::{Content, Digest};

const WINDOW: Duration = Duration::from_secs(3 * 86_400);

fn at(hours: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000 + hours * 3600)
}

/// A text of its own for each number; of which `changed` words in a hundred are others.
fn text(number: u64, changed: u64, copy: u64) -> Fingerprint {
    let word = |at: u64| match at % 100 < changed {
        true => format!("copy{}x{}", letters(copy * 1000 + at), letters(at)),
        false => format!("word{}x{}", letters(number), letters(at)),
    };
    let text: Vec<String> = (0..200).map(word).collect();
    Fingerprint {
        digest: Digest::of(&Content { text: &text.join(" "), ..Content::default() }, 7),
        attachments: Vec::new(),
    }
}

/// Of letters none of which is taken for another.
fn letters(mut number: u64) -> String {
    let mut letters = String::new();
    while number > 0 || letters.is_empty() {
        letters.push(char::from(b'a' + (number % 8) as u8));
        number /= 8;
    }
    letters
}

fn join(clusters: &mut Clusters, fingerprint: &Fingerprint, hours: u64) -> (Option<Member>, Vec<Change>) {
    let mut changed = Vec::new();
    (clusters.join(fingerprint, at(hours), &mut changed), changed)
}

#[test]
fn mutated_copies_join_one_cluster_and_other_texts_do_not() {
    let mut clusters = Clusters::new(1000, WINDOW);
    let first = join(&mut clusters, &text(1, 0, 0), 0).0.expect("a cluster");
    let other = join(&mut clusters, &text(2, 0, 0), 0).0.expect("a cluster");
    assert!(first.id < other.id);
    for copy in 1..20 {
        let fingerprint = text(1, 30, copy);
        let found = clusters.find(&fingerprint, at(1)).expect("found");
        assert!(found.id == first.id && found.similarity < 95.0 && !found.by_attachment, "{found:?}");
        assert_eq!(join(&mut clusters, &fingerprint, 1).0.map(|member| member.id), Some(first.id));
    }
    assert_eq!(clusters.find(&text(3, 0, 0), at(1)), None);
    assert_eq!(clusters.find(&text(2, 0, 0), at(73)), None, "the window is over");
    let nothing = Fingerprint { digest: Digest::of(&Content::default(), 7), attachments: Vec::new() };
    assert_eq!(join(&mut clusters, &nothing, 1), (None, Vec::new()));
}

#[test]
fn of_clusters_about_as_alike_the_oldest_wins() {
    let mut clusters = Clusters::new(1000, WINDOW);
    let mut changed = Vec::new();
    clusters.adopt(&text(1, 10, 1), CampaignId(20), at(0), &mut changed);
    clusters.adopt(&text(1, 10, 2), CampaignId(10), at(0), &mut changed);
    for copy in 3..9 {
        let found = clusters.find(&text(1, 10, copy), at(0)).expect("found");
        assert_eq!(found.id, CampaignId(10));
    }
}

#[test]
fn an_attachment_leads_to_its_cluster_but_what_is_written_around_it_does_not() {
    let mut clusters = Clusters::new(1000, WINDOW);
    let with =
        |fingerprint: Fingerprint, attachments: &[u64]| Fingerprint { attachments: attachments.into(), ..fingerprint };
    let first = join(&mut clusters, &with(text(1, 0, 0), &[5]), 0).0.expect("a cluster");
    let found = join(&mut clusters, &with(text(2, 0, 0), &[4, 5]), 1).0.expect("found");
    assert_eq!(found, Member { id: first.id, similarity: 100.0, by_attachment: true });
    assert_eq!(clusters.find(&text(2, 0, 0), at(1)), None);
    assert_eq!(clusters.find(&with(text(3, 0, 0), &[4]), at(1)).map(|member| member.id), Some(first.id));
    let other = join(&mut clusters, &text(9, 0, 0), 1).0.expect("a cluster");
    assert_eq!(clusters.find(&with(text(9, 0, 0), &[5]), at(1)).map(|member| member.id), Some(other.id));
    assert_eq!(clusters.find(&with(text(3, 0, 0), &[5]), at(80)), None, "the window is over");
}

#[test]
fn what_was_written_down_is_found_again_and_takes_no_place_from_what_came_meanwhile() {
    let (mut before, mut after) = (Clusters::new(8, WINDOW), Clusters::new(8, WINDOW));
    let mut written = std::collections::BTreeMap::new();
    let mut attachments = Vec::new();
    for number in 0..12 {
        let fingerprint = Fingerprint { attachments: vec![number], ..text(number, 0, 0) };
        for change in join(&mut before, &fingerprint, number).1 {
            match change {
                Change::Digest(place, kept) => drop(written.insert(place, kept)),
                other => attachments.push(other),
            }
        }
    }
    assert_eq!((before.count().digests, before.count().gone.displaced), (8, 4 + 10));
    after.reserve(written.len());
    // While it is being loaded something new arrives.
    let new = join(&mut after, &text(100, 0, 0), 13).0.expect("a cluster");
    for (place, kept) in &written {
        assert!(after.restore(&Change::Digest(*place, *kept)));
    }
    let found: Vec<_> = (4..12).filter(|number| after.find(&text(*number, 0, 0), at(13)).is_some()).collect();
    assert_eq!(found.len(), 7, "{found:?}");
    for number in found {
        let [before, after] = [&before, &after].map(|clusters| clusters.find(&text(number, 0, 0), at(13)));
        assert_eq!(before, after);
    }
    assert_eq!(after.find(&text(100, 0, 0), at(13)).map(|member| member.id), Some(new.id));
    let kept = attachments.iter().rfind(|change| matches!(change, Change::Attachment(..))).expect("one");
    assert!(after.restore(kept));
    assert!(!after.restore(&Change::Digest(8, *written.values().next().expect("one"))), "a smaller bound");
}

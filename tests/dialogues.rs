//! Dialogues between clients, the proxy and backends: `tests/dialogues/*.smtp`, one test for each file.

mod dialogue;

macro_rules! topics {
    ($($topic:ident),* $(,)?) => {
        $(
            #[test]
            fn $topic() {
                dialogue::script::play(stringify!($topic));
            }
        )*

        #[test]
        fn every_file_of_dialogues_is_played() {
            let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");
            let mut there: Vec<String> = std::fs::read_dir(directory)
                .expect("a directory")
                .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
                .filter_map(|name| name.strip_suffix(".smtp").map(str::to_owned))
                .collect();
            there.sort();
            let mut played = vec![$(stringify!($topic)),*];
            played.sort();
            assert_eq!(there, played);
        }
    };
}

topics! {
    backend,
    basics,
    chunks,
    judging,
    limits,
    manners,
    sequence,
}

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
    auth,
    backend,
    basics,
    bulk,
    chunks,
    commands,
    exchange,
    extensions,
    greylist,
    hops,
    journal,
    judging,
    limits,
    links,
    lists,
    lmtp,
    manners,
    policies,
    pools,
    rates,
    recipients,
    roles,
    senders,
    sequence,
    traps,
    xforward,
}

mod anything {
    //! Whatever a client sends, and however it is cut: what it is told was stored is what was stored, backends
    //! hear commands and messages only, and everything that was taken is given back (see `World::end`).

    use proptest::prelude::*;

    use super::dialogue::Log;
    use super::dialogue::backend::Backends;
    use super::dialogue::world::{Setup, World};

    const FRAGMENTS: [&[u8]; 27] = [
        b"DATA\r\nSubject: y\r\n\r\n.\r\n",
        b"MAIL FROM:<b@sender.example>\r\nRCPT TO:<v@ours.example>\r\n",
        b"BDAT 5\r\nA: b\nBDAT 2 LAST\r\n\r\n",
        b"EHLO client.example\r\n",
        b"HELO client.example\r\n",
        b"MAIL FROM:<a@sender.example>\r\n",
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<user@ours.example>\r\n",
        b"RCPT TO:<postmaster>\r\n",
        b"RCPT TO:<user@theirs.example>\r\n",
        b"DATA\r\n",
        b"BDAT 4\r\n",
        b"BDAT 13 LAST\r\n",
        b"BDAT 0 LAST\r\n",
        b"BDAT x LAST\r\n",
        b"Subject: x\r\n",
        b"\r\n",
        b".\r\n",
        b"..\r\n",
        b"\r\n.\r\n",
        b".\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\0",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"QUIT\r\n",
    ];

    fn play(octets: &[u8], cuts: &[usize], chunking: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let log = Log::default();
            let backends = Backends::new(log.clone());
            if !chunking {
                backends.told("lacks CHUNKING");
            }
            let mut world = World::start(&Setup::new(), backends.clone(), log.clone()).await;
            world.connect("192.0.2.1:40000".parse().expect("an address"), Vec::new(), false);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (octets.len() + 1)).collect();
            cuts.sort_unstable();
            let mut from = 0;
            for to in cuts.into_iter().chain([octets.len()]) {
                world.clients[0].send(&octets[from..to]);
                world.rest().await;
                from = to;
            }
            world.rest().await;
            world.end().await;
            let told = log.take().iter().filter(|line| line.starts_with("S: 250 2.0.0 stored for")).count();
            assert_eq!(told, backends.stored().len(), "{}", octets.escape_ascii());
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn what_a_client_is_told_was_stored_is_what_was_stored(
            fragments in prop::collection::vec(0..FRAGMENTS.len(), 1..40),
            cuts in prop::collection::vec(any::<usize>(), 0..6),
            greets in any::<bool>(),
            chunking in any::<bool>(),
        ) {
            let mut octets = if greets { b"EHLO c.example\r\nMAIL FROM:<a@s.example>\r\nRCPT TO:<u@ours.example>\r\n".to_vec() } else { Vec::new() };
            octets.extend(fragments.iter().flat_map(|&at| FRAGMENTS[at]));
            play(&octets, &cuts, chunking);
        }
    }
}

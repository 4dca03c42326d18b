//! The cast: who comes, what they say, what must become of it.

use std::net::{IpAddr, Ipv6Addr};

use super::names::{GOOD, GOOD_V6, HIJACKED, LISTED, SHABBY, STRANGER};
use super::scene::Scene;
use super::site::Weather;

/// The string that every filter takes for spam.
pub(super) const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
const STORED: &[&str] = &["250 2.0.0 Stored"];
const ALICE: &[&str] = &["alice@demo.example"];
/// More than config/demo.toml takes.
const TOO_MANY_LINES: usize = 8000;

/// All scenes, in order.
pub(super) fn scenes() -> Vec<Scene> {
    let mut scenes = good_mail();
    scenes.extend(judged());
    scenes.extend(bad_manners());
    scenes.extend(not_for_us());
    scenes.extend(bad_weather());
    scenes
}

fn message(subject: &str, body: &str) -> Vec<u8> {
    format!(
        "From: Eve <eve@sender.example>\r\nTo: alice@demo.example\r\nSubject: {subject}\r\n\
         Date: Mon, 3 Nov 2025 09:00:00 +0000\r\nMessage-ID: <{:x}@sender.example>\r\n\r\n{body}",
        xxhash_rust::xxh3::xxh3_64(subject.as_bytes())
    )
    .into_bytes()
}

fn good_mail() -> Vec<Scene> {
    let letter = message("by DATA", "Dear Alice,\r\n.\r\n..two dots, and gr\u{fc}n\r\n");
    // A dot alone on its line ends nothing here: the length says where the message ends.
    let chunked = message("by BDAT", "first line\r\n.\r\nMAIL FROM:<nobody@sender.example>\r\nlast line\r\n");
    let (head, tail) = chunked.split_at(chunked.len() / 2);
    let mut pipelined = b"MAIL FROM:<eve@sender.example> BODY=8BITMIME\r\nRCPT TO:<alice@demo.example>\r\n\
        RCPT TO:<bob@demo.example>\r\n"
        .to_vec();
    for (chunk, last) in [(head, ""), (tail, " LAST")] {
        pipelined.extend_from_slice(format!("BDAT {}{last}\r\n", chunk.len()).as_bytes());
        pipelined.extend_from_slice(chunk);
    }
    let v6 = GOOD_V6.parse::<Ipv6Addr>().map(IpAddr::from).expect("a constant address");
    vec![
        Scene::new("mail server in good order", GOOD, "delivered")
            .ehlo("mail.sender.example")
            .mail()
            .names_alice()
            .data(&letter, STORED)
            .stores(ALICE, &letter),
        Scene::new("the same by IPv6, pipelined, BDAT", v6, "delivered to two")
            .ehlo("mail6.sender.example")
            .sends(pipelined, &["250 2.1.0", "250 2.1.5", "250 2.1.5", "250 2.0.0 Chunk", "250 2.0.0 Stored"])
            .stores(&["alice@demo.example", "bob@demo.example"], &chunked),
    ]
}

fn judged() -> Vec<Scene> {
    let complaint = message("please unlist us", "We are clean now.\r\n");
    let newsletter = message("newsletter", "Everything must go.\r\n");
    let pills = b"To: undisclosed recipients\r\nSubject: pills\r\n\r\nBuy pills.\r\n";
    let letter = message("urgent", "Pay this at once.\r\n");
    let forged = String::from_utf8_lossy(&letter).replace("eve@sender.example", "ceo@demo.example").into_bytes();
    let gtube = message("test", &format!("{GTUBE}\r\n"));
    vec![
        Scene::new("client on a trusted blocklist", LISTED, "refused at RCPT")
            .ehlo("mail.listed.example")
            .mail()
            .says("RCPT TO:<alice@demo.example>\r\n", &["550 5.7.1 <alice@demo.example>: refused (DNSBL_ZEN_XBL: "])
            .says("DATA\r\n", &["554 5.5.1"])
            .finding(&["DNSBL_ZEN_XBL"]),
        Scene::new("the same, to the postmaster", LISTED, "delivered, tagged")
            .ehlo("mail.listed.example")
            .mail()
            .says("RCPT TO:<Postmaster@demo.example>\r\n", &["250 2.1.5"])
            .data(&complaint, STORED)
            .finding(&["DNSBL_ZEN_XBL"])
            .stores_flagged(&["Postmaster@demo.example"], &complaint),
        Scene::new("server that nobody looks after", SHABBY, "told to come again")
            .ehlo("mailserver")
            .mail()
            .names_alice()
            .data(&newsletter, &["450 4.7.1 deferred (GREYLIST_NEW: greylisted, try again in 180 seconds"])
            .finding(&["DNSBL_SPAMCOP", "HELO_NOT_FQDN", "RDNS_UNCONFIRMED"]),
        Scene::new("hijacked machine at home", HIJACKED, "delivered, tagged; shadow: reject")
            .ehlo("203.0.113.40")
            .mail()
            .names_alice()
            .data(pills, STORED)
            .finding(&[
                "DNSBL_PSBL",
                "DNSBL_SPAMCOP",
                "DNSBL_ZEN_PBL",
                "HELO_BARE_IP",
                "MISSING_DATE",
                "MISSING_FROM",
                "MISSING_MESSAGE_ID",
                "RDNS_NONE",
            ])
            .and_in_its_content()
            .shadowed_by("score")
            .stores_flagged(ALICE, pills),
        Scene::new("somebody who claims to be us", STRANGER, "refused after the dot")
            .ehlo("mail.stranger.example")
            .says("MAIL FROM:<ceo@demo.example>\r\n", &["250 2.1.0"])
            .names_alice()
            .data(&forged, &["554 5.7.26 this domain is ours, and its own records say that you may not use it; id "])
            .finding(&["OWN_DOMAIN_FORGED", "SPF_FAIL"])
            .and_in_its_content()
            .perhaps(&["DMARC_FAIL_REJECT"]),
        Scene::new("test string from a good server", GOOD, "refused after the dot")
            .ehlo("mail.sender.example")
            .mail()
            .names_alice()
            .data(&gtube, &["554 5.7.1 this is the test message for spam filters; id "])
            .finding(&["GTUBE"]),
    ]
}

fn bad_manners() -> Vec<Scene> {
    let mut smuggled = message("innocent", "Hello\n.\n");
    smuggled.extend_from_slice(
        b"MAIL FROM:<ceo@demo.example>\r\nRCPT TO:<alice@demo.example>\r\nDATA\r\n\
        From: ceo@demo.example\r\n\r\nPay this at once.\r\n.\r\nQUIT\r\n",
    );
    let flood = message("flood", &"All work and no play makes a dull mail.\r\n".repeat(TOO_MANY_LINES));
    vec![
        Scene::new("bot that does not wait", STRANGER, "refused before the greeting")
            .blurts(b"EHLO bot\r\nMAIL FROM:<x@bot.example>\r\n", &["521 "])
            .because("spoke before it was greeted")
            .then_closed(),
        Scene::new("HTTP client", STRANGER, "refused at once")
            .greeted()
            .says(
                "POST / HTTP/1.1\r\nHost: mx.demo.example\r\n\r\nRCPT TO:<alice@demo.example>\r\n",
                &["521 This is an SMTP server"],
            )
            .finding(&["PROTOCOL_NON_SMTP"])
            .then_closed(),
        Scene::new("smuggler with LF.LF", GOOD, "refused, nothing behind it heard")
            .ehlo("mail.sender.example")
            .mail()
            .names_alice()
            .says("DATA\r\n", &["354"])
            .sends(smuggled, &["554 5.6.0 Lone dot"])
            .because("ambiguous end of the message")
            .then_closed(),
        Scene::new("oversize mail that says so", GOOD, "refused at MAIL")
            .ehlo("mail.sender.example")
            .says("MAIL FROM:<eve@sender.example> SIZE=300000\r\n", &["552 5.3.4"])
            .because("limits.message_size"),
        Scene::new("oversize mail that does not", GOOD, "refused after the dot")
            .ehlo("mail.sender.example")
            .mail()
            .names_alice()
            .data(&flood, &["552 5.3.4"])
            .because("limits.message_size"),
    ]
}

fn not_for_us() -> Vec<Scene> {
    let letter = message("to both", "Dear Alice, dear Zoe,\r\n");
    vec![
        Scene::new("somebody who wants a relay", STRANGER, "refused at each RCPT")
            .ehlo("mail.stranger.example")
            .mail()
            .says("RCPT TO:<victim@elsewhere.example>\r\n", &["550 5.7.1 Relaying denied"])
            .says("RCPT TO:<@demo.example:victim@elsewhere.example>\r\n", &["550 5.7.1 Relaying denied"])
            .says("RCPT TO:<victim%elsewhere.example@demo.example>\r\n", &["550 5.7.1 Relaying denied"])
            .says("DATA\r\n", &["554 5.5.1"])
            .because("not in relay.domains"),
        Scene::new("mail for a user whom nobody knows", GOOD, "refused in the backend's words")
            .ehlo("mail.sender.example")
            .mail()
            .says(
                "RCPT TO:<alice@demo.example>\r\nRCPT TO:<zoe@demo.example>\r\n",
                &["250 2.1.5", "550 5.1.1 <zoe@demo.example>: no such user / 5.1.1 Here live alice and bob"],
            )
            .data(&letter, STORED)
            .because("the backend says so; Alice gets it")
            .stores(ALICE, &letter),
    ]
}

fn bad_weather() -> Vec<Scene> {
    let minutes = message("Minutes of Monday", "The backend must not lose this.\r\n");
    let (dies, tries) = ("backend dies in mid-message", "the sender tries once more");
    let begins = |who, what| Scene::new(who, GOOD, what).ehlo("mail.sender.example").mail();
    vec![
        begins(dies, "deferred, nothing stored")
            .while_backend(Weather::DiesMidMessage)
            .names_alice()
            .data(&minutes, &["451 4.4.2"])
            .because("250 is the backend's to say"),
        begins("backend is down", "deferred at RCPT")
            .while_backend(Weather::Down)
            .says("RCPT TO:<alice@demo.example>\r\n", &["451 4.3.0"])
            .because("nothing listens there"),
        begins(tries, "delivered, once").names_alice().data(&minutes, STORED).stores(ALICE, &minutes),
    ]
}

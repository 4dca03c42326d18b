//! What stands for a mail address.

use super::*;

#[test]
fn one_mailbox_has_one_form() {
    for (address, form) in [
        ("User@Example.COM", Some("user@example.com")),
        ("user+tag+x@example.com", Some("user@example.com")),
        ("+tag@example.com", Some("+tag@example.com")),
        ("us.er@example.com", Some("us.er@example.com")),
        ("U.s.er+tag@GoogleMail.com", Some("user@gmail.com")),
        ("...@gmail.com", None),
        ("user@b\u{fc}cher.example", Some("user@xn--bcher-kva.example")),
        ("user@[192.0.2.1]", None),
        ("user@localhost", None),
        ("user", None),
    ] {
        assert_eq!(canonical(address).as_deref(), form, "{address}");
    }
}

#[test]
fn digests_are_what_other_programs_compute() {
    for (digest, label) in [
        (Digest::Sha1Hex, "63a710569261a24b3766275b7000ce8d7b32e2f7"),
        (Digest::Sha1Base32, "motravusmgrewn3ge5nxaagorv5tfyxx"),
        (Digest::Sha256Base32, "wte2fcjshmq2ahb6sqhrkdvzxdcuewd7dk75r4hbzqp7yxshkuka"),
    ] {
        assert_eq!(digest.of("user@example.com"), label);
    }
    assert_eq!([base32(b""), base32(b"f"), base32(b"foobar")], ["", "my", "mzxw6ytboi"]);
}

#[test]
fn what_is_shown_of_an_address_does_not_tell_whose_it_is() {
    assert_eq!(Digest::Sha1Hex.shown("user@example.com"), "63a71056... at example.com");
    assert_eq!(Digest::Sha256Base32.shown("user@example.com"), "wte2fcjs... at example.com");
}

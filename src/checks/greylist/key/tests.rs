use super::*;
use crate::facts::Signature;

#[test]
fn reverse_paths_that_differ_by_message_are_one() {
    for (path, recipient, key) in [
        ("", "user@ours.example", "<>"),
        ("Ann@Sender.Example", "user@ours.example", "ann@sender.example"),
        ("ann+lists@sender.example", "user@ours.example", "ann@sender.example"),
        ("+ann@sender.example", "user@ours.example", "+ann@sender.example"),
        ("bob7@sender.example", "user@ours.example", "bob7@sender.example"),
        ("john1985@mail.example", "user@ours.example", "john1985@mail.example"),
        ("738291044@mail.example", "user@ours.example", "738291044@mail.example"),
        ("8f14e45fceea167a5a36@mail.example", "user@ours.example", "#@mail.example"),
        ("ann@163.com", "user@ours.example", "ann@163.com"),
        ("ann@out-0a1b2c.7788.sender.com", "user@ours.example", "ann@out-#.sender.com"),
        // VERP: ezmlm, Mailman, and a mailer's own.
        ("list-return-1734-user=ours.example@lists.example", "user@ours.example", "list-return-#-*@lists.example"),
        ("list-return-9-user=ours.example@lists.example", "User@OURS.example", "list-return-#-*@lists.example"),
        ("list-bounces+user=ours.example@lists.example", "user@ours.example", "list-bounces@lists.example"),
        ("user=ours.example@bounce.example", "user@ours.example", "#@bounce.example"),
        // BATV and what others made of it.
        ("prvs=0123456789=ann@sender.example", "user@ours.example", "ann@sender.example"),
        ("prvs=ann=01234abcde@sender.example", "user@ours.example", "ann@sender.example"),
        ("btv1==0123456789a==ann@sender.example", "user@ours.example", "ann@sender.example"),
        ("msprvs1=18a1b2c3d4e5f=bounces-17-1@mailer.example", "user@ours.example", "bounces-#@mailer.example"),
        // SRS, once and twice.
        ("SRS0=HHH1=TT=sender.example=ann@fwd.example", "user@ours.example", "srs==sender.example=ann@fwd.example"),
        ("srs0+x9a2=3b=sender.example=ann@fwd.example", "user@ours.example", "srs==sender.example=ann@fwd.example"),
        (
            "SRS1=GGG=one.example==HHH=TT=sender.example=ann@two.example",
            "user@ours.example",
            "srs=one.example=sender.example=ann@two.example",
        ),
        ("srs0=broken@fwd.example", "user@ours.example", "srs0=broken@fwd.example"),
        // Tokens of the large mailers.
        (
            "0102018f3c5d6a1b-2c3d4e5f-0a1b-4c2d-8e3f-0123456789ab-000000@eu-west-1.mailer.example",
            "user@ours.example",
            "#@eu-west-#.mailer.example",
        ),
        ("bounce-md_30850198.5f3b9c1e.v1-0a1b2c3d4e5f@m.example", "user@ours.example", "bounce-md_#.v1-#@m.example"),
        ("3qwertyuiopasdfghjklzxcv@bounces.example", "user@ours.example", "#@bounces.example"),
        ("news@mail17.sender.example", "user@ours.example", "news@mail17.sender.example"),
        ("\"odd name\"@sender.example", "postmaster", "odd name@sender.example"),
        ("a@[192.0.2.1]", "user@ours.example", "a@[192.0.2.1]"),
    ] {
        let reverse_path = ReversePath::parse(path).expect(path);
        let recipient = ForwardPath::parse(recipient).expect(recipient);
        assert_eq!(sender_key(&reverse_path, &recipient), key, "{path}");
    }
}

#[test]
fn forward_paths_are_folded_as_mail_servers_do() {
    for (path, key) in [
        ("User@Ours.Example", "user@ours.example"),
        ("\"user\"@ours.example", "user@ours.example"),
        ("user+tag@ours.example", "user+tag@ours.example"),
        ("user@münchen.example", "user@xn--mnchen-3ya.example"),
        ("PostMaster", "postmaster"),
    ] {
        assert_eq!(recipient_key(&ForwardPath::parse(path).expect(path)), key, "{path}");
    }
}

fn spf(result: AuthResult, domain: &str, permissive: bool) -> Spf {
    Spf { permissive, ..Spf::new(result, domain, "") }
}

fn signature(domain: &str) -> Signature {
    Signature { signs_from: true, ..Signature::new(AuthResult::Pass, domain) }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.shared.insert("shared.example").expect("a domain");
    settings
}

#[test]
fn who_authenticates_is_a_domain_and_everybody_else_a_network() {
    let author = Author::One { address: "ann@news.brand.example".into(), domain: "news.brand.example".into() };
    let weak = |change: fn(&mut Signature)| {
        let mut signature = signature("brand.example");
        change(&mut signature);
        signature
    };
    for (spf, signatures, domains) in [
        (spf(AuthResult::Pass, "bounce.sender.example", false), vec![], vec!["sender.example"]),
        (spf(AuthResult::Pass, "sender.example", true), vec![], vec![]),
        (spf(AuthResult::SoftFail, "sender.example", false), vec![], vec![]),
        (spf(AuthResult::Pass, "mail.shared.example", false), vec![signature("shared.example")], vec![]),
        (
            spf(AuthResult::Pass, "shared.example", false),
            vec![signature("shared.example"), signature("brand.example")],
            vec!["brand.example"],
        ),
        (
            spf(AuthResult::None, "", false),
            vec![signature("mailer.example"), signature("news.brand.example")],
            vec!["brand.example", "mailer.example"],
        ),
        (
            spf(AuthResult::Pass, "one.example", false),
            ["two.example", "three.example", "four.example", "five.example"].map(signature).to_vec(),
            vec!["one.example", "two.example", "three.example"],
        ),
        (
            spf(AuthResult::None, "", false),
            vec![
                weak(|signature| signature.partial_body = true),
                weak(|signature| signature.signs_from = false),
                weak(|signature| signature.testing = true),
                weak(|signature| signature.result = AuthResult::Fail),
            ],
            vec![],
        ),
    ] {
        let dkim = Dkim { signatures, ..Dkim::default() };
        let sender = Sender::new(&settings(), [192, 0, 2, 77].into(), Some(&spf), Some(&dkim), Some(&author));
        assert_eq!(sender.domains, domains, "{spf:?} {dkim:?}");
        assert_eq!(sender.network.to_string(), "192.0.2.0/24");
        assert_eq!(sender.holders().len(), domains.len() + 1);
    }
}

#[test]
fn networks_are_as_wide_as_they_are_set() {
    for (client, v4, v6, expected) in [
        ("192.0.2.77", 24, 64, "192.0.2.0/24"),
        ("::ffff:192.0.2.77", 24, 64, "192.0.2.0/24"),
        ("192.0.2.77", 32, 64, "192.0.2.77/32"),
        ("192.0.2.77", 16, 64, "192.0.0.0/16"),
        ("64:ff9b::192.0.2.77", 24, 64, "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", 24, 64, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3:4:5:6", 24, 48, "2001:db8:1::/48"),
    ] {
        let settings = Settings { ipv4_prefix: v4, ipv6_prefix: v6, ..Settings::default() };
        assert_eq!(network(&settings, client.parse().expect(client)).to_string(), expected);
    }
}

#[test]
fn an_operator_means_what_mail_means() {
    let (settings, secret) = (Settings::default(), Secret::new(&[1; 32]));
    let sender = Sender::new(&settings, [192, 0, 2, 77].into(), None, None, None);
    let network = sender.holders()[0].holder(&secret);
    let triplet = TripletKey::new(&secret, network, "ann@sender.example", "user@ours.example");
    let named = |client, paths| keys_of(&settings, &secret, client, paths);
    assert_eq!(named("192.0.2.9", Some(("<Ann+x@sender.example>", "User@ours.example"))), Ok(triplet));
    assert_eq!(named("192.0.2.9", None), Ok(TripletKey::of_holder(network)));
    let domain = TripletKey::of_holder(Holder::domain(&secret, "sender.example"));
    assert_eq!(named("mail.Sender.example", None), Ok(domain));
    assert!(named("192.0.2.9", Some(("<>", "user@ours.example"))).is_ok());
    for (client, paths) in [
        ("nobody", None),
        ("192.0.2.0/24", None),
        ("192.0.2.9", Some(("ann", "user@ours.example"))),
        ("192.0.2.9", Some(("ann@sender.example", ""))),
    ] {
        assert!(named(client, paths).is_err(), "{client} {paths:?}");
    }
}

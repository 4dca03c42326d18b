use super::*;
use crate::message::{Message, Model};

fn settings() -> Settings {
    let own = |domains: &[&str]| domains.iter().map(|domain| (*domain).to_owned()).collect::<Vec<_>>();
    let brands = [
        ("PayPal", own(&["paypal.com", "paypal.de"])),
        ("Deutsche Bank", own(&["deutsche-bank.de"])),
        ("AT&T", own(&["att.com"])),
        ("Netflix", own(&["netflix.com"])),
        ("Sparkasse", own(&["sparkasse.de", "sparkasse-*.de"])),
    ];
    Settings::new(brands, ["example-site.org"], ["gmail.com"])
}

fn symbols(message: &str) -> Vec<String> {
    let octets = message.replace('\n', "\r\n").into_bytes();
    let len = octets.len() as u64;
    let message = Message::new(octets, len);
    let model = Model::of(&message);
    let seen = Seen::new(&model, "sender@client.example.com", vec!["<reader@site.example>".to_owned()]);
    judge(&settings(), &seen).iter().map(|finding| finding.symbol.to_string()).collect()
}

#[test]
fn houses_are_known_by_name_in_whatever_letters() {
    for (message, expected) in [
        ("From: PayPal <service@paypal.com>\n\nhello", &[][..]),
        ("From: PayPal <service@mail.paypal.de>\n\nhello", &[]),
        ("From: PayPal <service@evil.example.net>\n\nhello", &["BRAND_NAME_FOREIGN"]),
        ("From: P.a.y.P.a.l Service <service@evil.example.net>\n\nhello", &["BRAND_NAME_FOREIGN"]),
        ("From: =?utf-8?B?0KBheVBhbA==?= <service@evil.example.net>\n\nhello", &["BRAND_NAME_FOREIGN"]),
        ("From: \"Deutsche-Bank AG\" <service@evil.example.net>\n\nhello", &["BRAND_NAME_FOREIGN"]),
        ("From: PayPal <service@paypal.com.au>\n\nhello", &[]),
        ("From: Deutsche Bank <service@deutsche-bank.at>\n\nhello", &[]),
        ("From: PayPal <service@paypal.shop>\n\nhello", &["BRAND_NAME_FOREIGN"]),
        ("From: Sparkasse <service@sparkasse-koelnbonn.de>\n\nhello", &[]),
        ("From: Sparkasse <service@sparkasse-koelnbonn.com>\n\nhello", &["BRAND_NAME_FOREIGN", "BRAND_IN_DOMAIN"]),
        ("From: AT&T <service@evil.example.net>\n\nhello", &["BRAND_NAME_FOREIGN"]),
        ("From: Paypalina <service@evil.example.net>\n\nhello", &[]),
        ("From: a@evil.example.net\nSubject: Your PayPal account\n\nhello", &["BRAND_SUBJECT_FOREIGN"]),
        ("From: a@evil.example.net\nIn-Reply-To: <1@x>\nSubject: Re: Your PayPal account\n\n> hello", &[]),
        (
            "From: a@evil.example.net\nIn-Reply-To: <1@x>\nSubject: Re: Your PayPal account\n\nhello",
            &["BRAND_SUBJECT_FOREIGN"],
        ),
        ("From: a@evil.example.net\nList-Id: <x.example.com>\nSubject: Your PayPal account\n\nhello", &[]),
        (
            "From: a@evil.example.net\nList-Id: <x.example>\nSubject: Your PayPal account\n\nhello",
            &["BRAND_SUBJECT_FOREIGN"],
        ),
    ] {
        assert_eq!(symbols(message), expected, "{message}");
    }
}

#[test]
fn domains_that_imitate_others_are_known() {
    for (domain, expected) in [
        ("paypal.com", &[][..]),
        ("paypal.net", &[]),
        ("paypal-service.com", &["BRAND_IN_DOMAIN"]),
        ("paypal.example.com", &["BRAND_IN_DOMAIN"]),
        ("mypaypalservice.com", &["BRAND_IN_DOMAIN"]),
        ("paypa1.com", &["LOOKALIKE_DOMAIN"]),
        ("paypol.com", &["LOOKALIKE_DOMAIN"]),
        ("payapl.com", &["LOOKALIKE_DOMAIN"]),
        ("papal.com", &["LOOKALIKE_DOMAIN"]),
        ("xn--pypal-4ve.com", &["LOOKALIKE_DOMAIN"]),
        ("exarnple-site.org", &["LOOKALIKE_DOMAIN"]),
        ("paper.com", &[]),
        ("netfilx.com", &["LOOKALIKE_DOMAIN"]),
    ] {
        assert_eq!(symbols(&format!("From: a@{domain}\n\nhello")), expected, "{domain}");
    }
}

#[test]
fn authors_who_hide_are_found() {
    for (message, expected) in [
        ("From: \"boss@site.example.org\" <x@evil.example.net>\n\nhello", &["NAME_SHOWS_ADDRESS"][..]),
        ("From: \"x@evil.example.net\" <x@evil.example.net>\n\nhello", &[]),
        ("From: reader@site.example <x@evil.example.net>\n\nhello", &["NAME_SHOWS_ADDRESS", "NAME_IS_RECIPIENT"]),
        ("From: Reader <x@evil.example.net>\n\nhello", &["NAME_IS_RECIPIENT"]),
        ("From: Reader <reader@site.example>\n\nhello", &[]),
        ("From: x@a.example.net\nMessage-ID: <1@b.example.com>\n\nhello", &[]),
        ("From: x@example.net\nMessage-ID: <1@elsewhere.org>\n\nhello", &["MESSAGE_ID_FOREIGN"]),
        ("From: x@example.net\nMessage-ID: <1@elsewhere.org>\nUser-Agent: Mutt\n\nhello", &[]),
        ("From: x@example.net\n\nwrite to Prince.x@gmail.com.", &["TEXT_FREEMAIL_CONTACT"]),
        ("From: x@example.net\n\nJohn wrote:\nwrite to Prince.x@gmail.com.", &[]),
        ("From: x@gmail.com\n\nwrite to x@gmail.com.", &[]),
    ] {
        assert_eq!(symbols(message), expected, "{message}");
    }
}

#[test]
fn links_that_lie_are_found() {
    let html = "From: x@example.com\nMIME-Version: 1.0\nContent-Type: text/html\n\n";
    for (body, expected) in [
        (r#"<a href="https://example.com/">www.example.com</a>"#, &[][..]),
        (r#"<a href="https://evil.net/">www.example.com</a>"#, &["LINK_TEXT_LIES", "LINKS_ALL_FOREIGN"]),
        (
            r#"<a href="https://evil.net/">https://www.example.com/login?x</a>"#,
            &["LINK_TEXT_LIES", "LINKS_ALL_FOREIGN"],
        ),
        (
            r#"<a href="https://evil.net/">Log in: https://www.example.com/login</a>"#,
            &["LINK_TEXT_LIES", "LINKS_ALL_FOREIGN"],
        ),
        (r#"<a href="https://evil.net/">see www.evil.net, not www.example.com</a>"#, &["LINKS_ALL_FOREIGN"]),
        (r#"<a href="https://evil.net/">all of Example.com</a>"#, &["LINKS_ALL_FOREIGN"]),
        (r#"<form action="https://evil.net/"></form>"#, &["LINKS_ALL_FOREIGN"]),
        (r#"<a href="https://evil.net/">go on</a>"#, &["LINKS_ALL_FOREIGN"]),
        (
            r#"<a href="https://evil.net/">go on</a> <a href="https://evil.net/x">there</a>"#,
            &["LINKS_TO_ONE_PLACE", "LINKS_ALL_FOREIGN"],
        ),
        (r#"<a href="https://evil.net/">go on</a> <a href="https://example.com/x">there</a>"#, &[]),
    ] {
        assert_eq!(symbols(&format!("{html}{body}\n")), expected, "{body}");
    }
}

#[test]
fn a_house_is_at_home_under_its_other_domains() {
    for (link, expected) in [
        ("house.com", &[][..]),
        ("www.house.de", &[]),
        ("house.co.uk", &[]),
        ("house.net", &[]),
        // There anybody can be called like that.
        ("house.shop", &["LINKS_ALL_FOREIGN"]),
        ("houses.com", &["LINKS_ALL_FOREIGN"]),
        ("house.evil.net", &["LINKS_ALL_FOREIGN"]),
    ] {
        assert_eq!(symbols(&format!("From: a@house.com\n\nhttps://{link}/x")), expected, "{link}");
    }
}

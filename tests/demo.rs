//! The demonstration, as a user runs it: it must end by itself, well, and say so.

use std::process::{Command, Output, Stdio};

fn demo(temporary: &std::path::Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatepost"))
        .arg("demo")
        .env("TMPDIR", temporary)
        .env_remove("GATEPOST_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

#[test]
fn the_demonstration_goes_as_it_must() {
    let temporary = tempfile::tempdir().expect("a directory");
    let output = demo(temporary.path());
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(err, "", "nothing is logged unless asked for");
    assert!(out.contains("18 of 18 went as they must") && !out.contains("\x1b["), "{out}");
    for told in [
        "550 5.7.1 <alice@demo.example>: refused (DNSBL_ZEN_XBL",
        "554 5.6.0 Lone dot",
        "550 5.1.1 <zoe@demo.example>: no such user",
        "451 4.4.2 Lost the mail server",
        "451 4.3.0 Mail server temporarily unavailable",
        "  pills  tagged",
    ] {
        assert!(out.contains(told), "`{told}` is not in\n{out}");
    }
    let kept: Vec<_> = std::fs::read_dir(temporary.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path().join("Maildir/new"))
        .collect();
    let [maildir] = kept.as_slice() else { panic!("one directory stays: {kept:?}") };
    assert_eq!(std::fs::read_dir(maildir).expect("a Maildir").count(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_demonstrations_do_not_disturb_each_other() {
    let (first, second) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let (one_ended, other_ended) = tokio::join!(
        gatepost::cli::demo::perform(first.path(), false, &mut one, true),
        gatepost::cli::demo::perform(second.path(), false, &mut other, false),
    );
    assert!(one_ended.is_ok(), "{one_ended:?}\n{}", String::from_utf8_lossy(&one));
    assert!(other_ended.is_ok(), "{other_ended:?}\n{}", String::from_utf8_lossy(&other));
    assert!(one.contains(&0x1b), "colours were asked for");
}

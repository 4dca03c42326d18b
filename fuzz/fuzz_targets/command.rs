//! A pipelined flight of commands: lines are taken off however the octets come; a command that was read
//! prints into a line that reads the same, and holds no control character.

#![no_main]

use gatepost::smtp::command::{LINE_LIMIT, looks_like_header, parse};
use gatepost::smtp::{Command, Line, next_line};
use libfuzzer_sys::fuzz_target;

fn check(line: &[u8]) {
    let _ = looks_like_header(line);
    let again = match parse(line) {
        Ok(Command::Mail { path, params }) => format!("MAIL FROM:<{path}>{params}"),
        Ok(Command::Rcpt { path, params }) => format!("RCPT TO:<{path}>{params}"),
        Ok(Command::Ehlo(name)) => format!("EHLO {name}"),
        Ok(Command::Helo(name)) => format!("HELO {name}"),
        Ok(Command::Bdat { size, last }) => format!("BDAT {size}{}", if last { " LAST" } else { "" }),
        _ => return,
    };
    assert!(!again.contains(char::is_control));
    // A route longer than what is kept of it, or octets that were no UTF-8, may not come back the same.
    assert_eq!(parse(again.as_bytes()), parse(line), "{again}");
}

/// Lines and drops, as a session with this limit sees them, reading `step` octets at a time.
fn lines(octets: &[u8], limit: usize, step: usize) -> Vec<Option<Vec<u8>>> {
    let (mut buffer, mut told, mut dropping) = (Vec::new(), Vec::new(), false);
    for piece in octets.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            let consumed = match next_line(&buffer, limit) {
                Line::NeedMore => break,
                Line::Complete { text, consumed, .. } => {
                    assert!(consumed <= limit && text.len() < consumed);
                    told.push((!dropping).then(|| text.to_vec()));
                    dropping = false;
                    consumed
                }
                Line::TooLong { consumed, complete } => {
                    if complete {
                        told.push(None);
                    }
                    dropping = !complete;
                    consumed
                }
            };
            assert!(consumed > 0);
            buffer.drain(..consumed);
        }
    }
    told
}

fuzz_target!(|octets: &[u8]| {
    let told = lines(octets, 64, octets.len().max(1));
    assert_eq!(lines(octets, 64, 1), told);
    assert_eq!(lines(octets, 64, 7), told);
    for line in lines(octets, LINE_LIMIT, octets.len().max(1)).into_iter().flatten() {
        check(&line);
    }
    check(octets);
});

//! The canonical forms of RFC 6376 3.4, of header fields at once and of the body in pieces.
//!
//! Our own, because those of mail-auth are not the RFC's: it keeps a line of spaces at the end of a relaxed
//! body (3.4.4 drops it), loses bare CRs, takes form feeds for white space, and counts `l=` before instead
//! of after canonicalization (3.4.5).

use memchr::{memchr, memchr3};

/// How much a message may change on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Not at all; empty lines at the end of the body aside.
    Simple,
    /// White space and the case of field names may.
    Relaxed,
}

/// Appends a header field to `out`. `name` is what stands before the colon, white space included, `value`
/// what stands behind it, without the final CRLF; no CRLF is appended either.
pub fn field(form: Form, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    match form {
        Form::Simple => {
            out.extend_from_slice(name);
            out.push(b':');
            out.extend_from_slice(value);
        }
        Form::Relaxed => {
            out.extend(name.trim_ascii().iter().map(u8::to_ascii_lowercase));
            out.push(b':');
            let start = out.len();
            let mut space = false;
            let mut rest = value;
            while let Some((&octet, behind)) = rest.split_first() {
                rest = behind;
                match octet {
                    b' ' | b'\t' => space = true,
                    b'\n' => {}
                    b'\r' if rest.first() == Some(&b'\n') => {}
                    _ => {
                        if space && out.len() > start {
                            out.push(b' ');
                        }
                        space = false;
                        out.push(octet);
                    }
                }
            }
        }
    }
}

/// A body on its way into its canonical form. Any split into pieces gives the same result.
#[derive(Debug)]
pub struct Body {
    form: Form,
    /// Line ends held back: they count only if something comes behind them.
    line_ends: u64,
    /// White space held back (relaxed).
    space: bool,
    /// A CR whose LF may be in the next piece.
    cr: bool,
    /// Something that is no line end was written.
    written: bool,
}

const CRLF: &[u8] = b"\r\n";

impl Body {
    /// At the first octet.
    pub fn new(form: Form) -> Self {
        Self { form, line_ends: 0, space: false, cr: false, written: false }
    }

    /// Gives `out` what `piece` adds, in as many parts as it pleases.
    pub fn push(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        let mut rest = piece;
        if self.cr && !rest.is_empty() {
            self.cr = false;
            match rest.strip_prefix(b"\n") {
                Some(behind) => {
                    self.end_line();
                    rest = behind;
                }
                None => self.write(b"\r", out),
            }
        }
        while !rest.is_empty() {
            let stop = match self.form {
                Form::Simple => memchr(b'\r', rest),
                Form::Relaxed => memchr3(b' ', b'\t', b'\r', rest),
            };
            let (run, behind) = rest.split_at(stop.unwrap_or(rest.len()));
            self.write(run, out);
            rest = match behind {
                [] => behind,
                [b'\r'] => {
                    self.cr = true;
                    &[]
                }
                [b'\r', b'\n', behind @ ..] => {
                    self.end_line();
                    behind
                }
                [b'\r', behind @ ..] => {
                    self.write(b"\r", out);
                    behind
                }
                [_, behind @ ..] => {
                    self.space = true;
                    behind
                }
            };
        }
    }

    /// Gives `out` what the end of the body adds.
    pub fn finish(mut self, out: &mut impl FnMut(&[u8])) {
        if self.cr {
            self.write(b"\r", out);
        }
        if self.written || self.form == Form::Simple {
            out(CRLF);
        }
    }

    fn end_line(&mut self) {
        self.space = false;
        self.line_ends += 1;
    }

    fn write(&mut self, run: &[u8], out: &mut impl FnMut(&[u8])) {
        if run.is_empty() {
            return;
        }
        for _ in 0..std::mem::take(&mut self.line_ends) {
            out(CRLF);
        }
        if std::mem::take(&mut self.space) {
            out(b" ");
        }
        out(run);
        self.written = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(form: Form, pieces: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut append = |octets: &[u8]| out.extend_from_slice(octets);
        let mut canonical = Body::new(form);
        for piece in pieces {
            canonical.push(piece, &mut append);
        }
        canonical.finish(&mut append);
        out
    }

    fn whole(form: Form, body: &[u8]) -> Vec<u8> {
        pieces(form, &[body.to_vec()])
    }

    #[test]
    fn bodies_have_two_canonical_forms() {
        let cases: [(&[u8], &[u8], &[u8]); 15] = [
            (b"", b"\r\n", b""),
            (b"\r\n\r\n", b"\r\n", b""),
            (b" \r\n", b" \r\n", b""),
            (b"a", b"a\r\n", b"a\r\n"),
            (b"a\r\n", b"a\r\n", b"a\r\n"),
            (b"a\r\n\r\n\r\n", b"a\r\n", b"a\r\n"),
            (b"a\r\n \r\n\t\r\n", b"a\r\n \r\n\t\r\n", b"a\r\n"),
            (b"a\r\n \r\nb\r\n", b"a\r\n \r\nb\r\n", b"a\r\n\r\nb\r\n"),
            // RFC 6376 3.4.5.
            (b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n", b" C\r\nD E\r\n"),
            (b"a \t", b"a \t\r\n", b"a\r\n"),
            (b"a\rb\r\n", b"a\rb\r\n", b"a\rb\r\n"),
            (b"a\nb\r\n", b"a\nb\r\n", b"a\nb\r\n"),
            (b"a\r", b"a\r\r\n", b"a\r\r\n"),
            (b"a\r\r\n", b"a\r\r\n", b"a\r\r\n"),
            (b"a\x0c b\r\n", b"a\x0c b\r\n", b"a\x0c b\r\n"),
        ];
        for (body, simple, relaxed) in cases {
            let shown = String::from_utf8_lossy(body);
            assert_eq!(whole(Form::Simple, body), simple, "simple {shown:?}");
            assert_eq!(whole(Form::Relaxed, body), relaxed, "relaxed {shown:?}");
        }
    }

    #[test]
    fn fields_have_two_canonical_forms() {
        for (name, value, relaxed) in [
            ("A", " X", "a:X"),
            ("B ", " Y\t\r\n\tZ  ", "b:Y Z"),
            ("C", "", "c:"),
            ("C", " \r\n ", "c:"),
            ("D", "\r\n a\r\n\tb", "d:a b"),
            ("E", " a\x0cb \u{fc}", "e:a\x0cb \u{fc}"),
        ] {
            for (form, expected) in [(Form::Simple, format!("{name}:{value}")), (Form::Relaxed, relaxed.to_owned())] {
                let mut out = Vec::new();
                field(form, name.as_bytes(), value.as_bytes(), &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), expected, "{form:?} {value:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_body(
            split in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(b'\t'), Just(b'a'), any::<u8>()], 0..12), 0..8),
        ) {
            for form in [Form::Simple, Form::Relaxed] {
                let out = pieces(form, &split);
                prop_assert_eq!(&out, &whole(form, &split.concat()));
                // What is canonical stays as it is.
                prop_assert_eq!(&whole(form, &out), &out);
            }
        }
    }
}

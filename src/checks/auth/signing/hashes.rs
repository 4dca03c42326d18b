//! Hashes of the body in its canonical forms, whole or cut off by `l=`, in one pass over memory and file.

use std::io;

use super::Form;
use super::canonical::Body;
use crate::checks::auth::mail_auth::Digest;
use crate::facts::Rest;
use crate::message::Message;

/// The hash of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyHash {
    /// Its form.
    pub form: Form,
    /// `l=`: octets of the canonical body that were hashed, if not all.
    pub length: Option<u64>,
    /// SHA-256.
    pub digest: Vec<u8>,
    /// Octets of the whole canonical body.
    pub octets: u64,
}

/// Octets that are read from the file, or hashed, at one time.
const PIECE: usize = 64 * 1024;

/// Computes the hashes of these forms and lengths, each once. Blocks if there is a `rest`.
///
/// # Errors
/// The file could not be read, or is shorter than the message.
pub fn hash(
    message: &Message,
    rest: Option<&dyn Rest>,
    wanted: impl IntoIterator<Item = (Form, Option<u64>)>,
) -> io::Result<Vec<BodyHash>> {
    let mut canonical: Vec<Canonical> = Vec::new();
    for (form, length) in wanted {
        let at = canonical.iter().position(|one| one.form == form).unwrap_or_else(|| {
            canonical.push(Canonical::new(form));
            canonical.len() - 1
        });
        if let Some(one) = canonical.get_mut(at) {
            one.want(length);
        }
    }
    if !canonical.is_empty() {
        read(message, rest, |piece| canonical.iter_mut().for_each(|one| one.push(piece)))?;
    }
    Ok(canonical.into_iter().flat_map(Canonical::finish).collect())
}

/// Gives `each` the body piece by piece.
fn read(message: &Message, rest: Option<&dyn Rest>, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    message.body().chunks(PIECE).for_each(&mut each);
    let Some(rest) = rest else { return Ok(()) };
    let missing = message.len().saturating_sub(message.octets().len() as u64);
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < missing {
        let count = rest.read_at(at, &mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        each(buffer.get(..count).unwrap_or_default());
        at += count as u64;
    }
    Ok(())
}

/// One canonical form of the body, and the digests that are made of it.
struct Canonical {
    form: Form,
    body: Body,
    output: Output,
}

/// Canonical octets on their way into digests: collected, because most runs are only words.
struct Output {
    pending: Vec<u8>,
    octets: u64,
    digests: Vec<(Option<u64>, Digest)>,
}

impl Canonical {
    fn new(form: Form) -> Self {
        let output = Output { pending: Vec::with_capacity(PIECE), octets: 0, digests: Vec::new() };
        Self { form, body: Body::new(form), output }
    }

    fn want(&mut self, length: Option<u64>) {
        if !self.output.digests.iter().any(|(known, _)| *known == length) {
            self.output.digests.push((length, Digest::new()));
        }
    }

    fn push(&mut self, piece: &[u8]) {
        let output = &mut self.output;
        self.body.push(piece, &mut |run| output.write(run));
    }

    fn finish(self) -> Vec<BodyHash> {
        let Self { form, body, mut output } = self;
        body.finish(&mut |run| output.write(run));
        output.flush();
        let octets = output.octets;
        let finished = |(length, digest): (_, Digest)| BodyHash { form, length, digest: digest.finish(), octets };
        output.digests.into_iter().map(finished).collect()
    }
}

impl Output {
    fn write(&mut self, run: &[u8]) {
        if self.pending.len() + run.len() > PIECE {
            self.flush();
        }
        self.pending.extend_from_slice(run);
    }

    fn flush(&mut self) {
        for (length, digest) in &mut self.digests {
            let left = length.map_or(u64::MAX, |length| length.saturating_sub(self.octets));
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.pending.len());
            digest.update(self.pending.get(..count).unwrap_or_default());
        }
        self.octets += self.pending.len() as u64;
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct File(Vec<u8>);

    impl Rest for File {
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = self.0.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            // Short reads are allowed.
            let count = rest.len().min(buffer.len()).min(7);
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
    }

    fn of(octets: &[u8]) -> Vec<u8> {
        let mut digest = Digest::new();
        digest.update(octets);
        digest.finish()
    }

    #[test]
    fn lengths_count_canonical_octets() {
        let message = Message::new(b"A: b\r\n\r\na \t b\r\n\r\n".to_vec(), 17);
        let wanted = [(Form::Relaxed, None), (Form::Relaxed, Some(3)), (Form::Relaxed, Some(0)), (Form::Simple, None)];
        let hashes = hash(&message, None, wanted).unwrap();
        let found: Vec<_> = hashes.iter().map(|hash| (hash.form, hash.length, hash.octets)).collect();
        let expected = [
            (Form::Relaxed, None, 5),
            (Form::Relaxed, Some(3), 5),
            (Form::Relaxed, Some(0), 5),
            (Form::Simple, None, 7),
        ];
        assert_eq!(found, expected);
        let digests: Vec<_> = hashes.into_iter().map(|hash| hash.digest).collect();
        assert_eq!(digests, [of(b"a b\r\n"), of(b"a b"), of(b""), of(b"a \t b\r\n")]);
    }

    #[test]
    fn a_file_that_is_too_short_is_an_error() {
        let message = Message::new(b"A: b\r\n\r\nbody".to_vec(), 100);
        assert!(hash(&message, Some(&File(vec![b'x'; 10])), [(Form::Simple, None)]).is_err());
        assert!(hash(&message, Some(&File(vec![])), []).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn a_body_is_the_same_wherever_it_lies(
            body in proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(b'a')], 0..60),
            at in 0usize..60,
        ) {
            let octets = [b"A: b\r\n\r\n", &*body].concat();
            let len = octets.len() as u64;
            let wanted = [(Form::Simple, None), (Form::Relaxed, Some(5)), (Form::Relaxed, None)];
            let (memory, file) = octets.split_at((8 + at).min(octets.len()));
            let apart = Message::new(memory.to_vec(), len);
            let file = File(file.to_vec());
            prop_assert_eq!(
                hash(&apart, Some(&file), wanted).unwrap(),
                hash(&Message::new(octets, len), None, wanted).unwrap()
            );
        }
    }
}

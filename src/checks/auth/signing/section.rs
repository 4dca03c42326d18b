//! The header section as signatures see it: by name, from the bottom up.

use std::collections::HashMap;
use std::ops::Range;

use memchr::memchr;

use super::{Coverage, Form, Proof, canonical};
use crate::message::Message;
use crate::message::header::Field;

/// The fields of a header section. [`Message`] alone decides where it ends.
#[derive(Debug)]
pub struct Section<'m> {
    octets: &'m [u8],
    fields: Vec<Field<'m>>,
    /// Places of the fields of one name (lower case), from the top down.
    by_name: HashMap<Vec<u8>, Vec<usize>>,
}

impl<'m> Section<'m> {
    /// Of this message.
    pub fn new(message: &'m Message) -> Self {
        let fields: Vec<_> = message.fields().collect();
        let mut by_name: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (at, field) in fields.iter().enumerate() {
            by_name.entry(field.name.to_ascii_lowercase()).or_default().push(at);
        }
        Self { octets: message.header_section(), fields, by_name }
    }

    /// What a signature is made over (RFC 6376 3.7): the fields that it signs, then its own field at place
    /// `own` with an empty `b=`.
    ///
    /// Of several fields of one name the lowest is taken first, and a name without a (further) field stands
    /// for nothing (5.4.2). The signing field itself was not there when it was made.
    pub fn signed(&self, coverage: &Coverage, proof: &Proof, own: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        let mut left: HashMap<&[u8], &[usize]> = HashMap::new();
        for name in &coverage.signed {
            let name = name.as_bytes();
            let places = left.entry(name).or_insert_with(|| self.by_name.get(name).map_or(&[], Vec::as_slice));
            while let Some((&at, above)) = places.split_last() {
                *places = above;
                if at != own {
                    self.append(coverage.header_form, at, &mut out);
                    break;
                }
            }
        }
        self.append_cut(coverage.header_form, own, &proof.cut, &mut out);
        out
    }

    /// Appends the field at a place in canonical form, with its CRLF.
    pub fn append(&self, form: Form, at: usize, out: &mut Vec<u8>) {
        if let Some(field) = self.fields.get(at) {
            canonical::field(form, self.raw_name(field), field.value, out);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Appends the field at a place in canonical form without part of its value, and without CRLF.
    pub fn append_cut(&self, form: Form, at: usize, cut: &Range<usize>, out: &mut Vec<u8>) {
        if let Some(field) = self.fields.get(at) {
            let mut value = field.value.get(..cut.start).unwrap_or_default().to_vec();
            value.extend_from_slice(field.value.get(cut.end..).unwrap_or_default());
            canonical::field(form, self.raw_name(field), &value, out);
        }
    }

    /// What stands before the colon: [`Field::name`] lacks the white space behind the name.
    fn raw_name(&self, field: &Field<'m>) -> &'m [u8] {
        let octets = self.octets.get(field.start..field.end).unwrap_or_default();
        memchr(b':', octets).and_then(|colon| octets.get(..colon)).unwrap_or(field.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tags;
    use super::*;

    #[test]
    fn fields_are_signed_from_the_bottom_up_and_each_once() {
        let section = "X: 1\r\nS: a=rsa-sha256; d=a.b; s=c; bh=AA; h=H; b= A\r\n A\r\nx : 2 \r\nY: 3\r\nX:4\r\n\r\n";
        let message = Message::new(section.as_bytes().to_vec(), section.len() as u64);
        let own = "a=rsa-sha256; d=a.b; s=c; bh=AA; h=H; b=";
        let fields = Section::new(&message);
        for (names, form, expected) in [
            ("y:x", Form::Simple, "Y: 3\r\nX:4\r\n"),
            ("X:x:X:x:x", Form::Simple, "X:4\r\nx : 2 \r\nX: 1\r\n"),
            ("X:x:X", Form::Relaxed, "x:4\r\nx:2\r\nx:1\r\n"),
            ("z:y:y", Form::Simple, "Y: 3\r\n"),
            ("s:s:y", Form::Relaxed, "y:3\r\n"),
            ("", Form::Relaxed, ""),
        ] {
            let value = message.fields().nth(1).unwrap().value;
            let tags = Tags::parse(value).unwrap();
            let signed = names.split(':').map(str::to_ascii_lowercase).collect();
            let coverage = Coverage { signed, header_form: form, ..Coverage::read(&tags, form).unwrap() };
            let input = fields.signed(&coverage, &Proof::read(&tags).unwrap(), 1);
            let own = if form == Form::Simple { format!("S: {own}") } else { format!("s:{own}") };
            assert_eq!(String::from_utf8(input).unwrap(), format!("{expected}{own}"), "{names} {form:?}");
        }
    }
}

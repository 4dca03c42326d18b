//! What a rule about the header asks for: `Subject`, `From:addr`, `ALL`, `ToCc`, `EnvelopeFrom`.

use super::mail::{Field, decoded_words};
use super::message::Read;
use super::relays::Relays;

/// The values that a request means, joined; none if there is none.
pub(super) fn value(read: &Read<'_>, request: &str) -> Option<Vec<u8>> {
    let values = values(read, request);
    let joint: &[u8] = if values.first()?.ends_with(b"\n") { b"" } else { b"\n" };
    Some(values.join(joint))
}

/// The values that a request means.
pub(super) fn values(read: &Read<'_>, request: &str) -> Vec<Vec<u8>> {
    let mut parts = request.split(':');
    let name = parts.next().unwrap_or_default();
    let modifiers: Vec<&str> = parts.collect();
    let has = |modifier: &str| modifiers.contains(&modifier);
    let is_raw = has("raw") || has("addr") || has("name");
    let mut values = plain(read, name, is_raw, has("raw"));
    if has("first") {
        values.truncate(1);
    } else if has("last") {
        values = values.pop().into_iter().collect();
    }
    if has("addr") || has("name") {
        let addresses = values.iter().flat_map(|value| addresses(value));
        values = if has("addr") {
            addresses.map(|(_, address)| address).filter(|address| !address.is_empty()).collect()
        } else {
            let names = addresses.map(|(name, _)| name).filter(|name| !name.is_empty());
            names.map(|name| if has("raw") { name } else { shown(&name) }).collect()
        };
    }
    if has("host") || has("domain") {
        values = values.iter().filter_map(|value| host(value, has("domain"))).collect();
    }
    values
}

fn plain(read: &Read<'_>, name: &str, is_raw: bool, wants_raw: bool) -> Vec<Vec<u8>> {
    let mail = &read.mail;
    let value = |field: &Field| if is_raw { field.raw.clone() } else { field.value.clone() };
    let of = |name: &str| mail.named(name).map(value).collect::<Vec<_>>();
    match name.to_ascii_lowercase().as_str() {
        "all" if name == "ALL" => vec![all(mail.fields(), wants_raw)],
        "all-external" | "all-untrusted" => vec![all(below(read), wants_raw)],
        "all-trusted" | "all-internal" => {
            // The field that was written when it came to whom one trusts belongs to both.
            let count = mail.fields().len() - below(read).len() + usize::from(!below(read).is_empty());
            vec![all(&mail.fields()[..count], wants_raw)]
        }
        "envelopefrom" => read.envelope_from.iter().map(|from| from.as_bytes().to_vec()).collect(),
        "x-spam-relays-untrusted" | "x-spam-relays-external" => {
            vec![Relays::text(&read.relays.untrusted).into_bytes()]
        }
        "x-spam-relays-trusted" | "x-spam-relays-internal" => vec![Relays::text(&read.relays.trusted).into_bytes()],
        "tocc" => [of("to"), of("cc")].concat(),
        // In capitals it means all of these; otherwise a field of that name.
        "messageid" if name == "MESSAGEID" => {
            [of("x-message-id"), of("resent-message-id"), of("x-original-message-id"), of("message-id")]
                .concat()
                .into_iter()
                .filter(|value| !value.is_empty())
                .collect()
        }
        _ => of(name),
    }
}

/// The fields from the one on that was written when the message came to whom one trusts.
fn below<'m>(read: &'m Read<'_>) -> &'m [Field] {
    let fields = read.mail.fields();
    let hops = fields.iter().enumerate().filter(|(_, field)| field.name.eq_ignore_ascii_case("received"));
    hops.map(|(at, _)| at).nth(read.relays.trusted_fields).map_or(&[], |at| &fields[at..])
}

/// All fields, as rules about them expect them.
pub(super) fn all(fields: &[Field], is_raw: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(if is_raw { &field.raw } else { &field.value });
        if !out.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
    out
}

fn shown(name: &[u8]) -> Vec<u8> {
    let decoded = decoded_words(name);
    let text = String::from_utf8_lossy(&decoded).split_whitespace().collect::<Vec<_>>().join(" ");
    let inside = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    inside.unwrap_or(&text).as_bytes().to_vec()
}

/// Octets of a field in which mailboxes are looked for.
const MOST_OF_MAILBOXES: usize = 64 * 1024;
/// Octets of one mailbox: what is longer is none, and is not read again at each comma.
const LONGEST_MAILBOX: usize = 1024;

/// Names and addresses of a field, as far as they are mailboxes.
pub(super) fn addresses(value: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let value = value.iter().take(MOST_OF_MAILBOXES);
    let text: Vec<u8> = value.map(|octet| if matches!(octet, b'\n' | b'\t') { b' ' } else { *octet }).collect();
    let mut found = Vec::new();
    let (mut start, mut is_quoted, mut depth, mut is_angled) = (0, false, 0_u32, false);
    for at in 0..=text.len() {
        match text.get(at) {
            Some(b'"') if depth == 0 && (at == 0 || text[at - 1] != b'\\') => is_quoted = !is_quoted,
            _ if is_quoted && at < text.len() => {}
            Some(b'(') => depth += 1,
            Some(b')') => depth = depth.saturating_sub(1),
            Some(b'<') => is_angled = true,
            Some(b'>') => is_angled = false,
            Some(b',' | b';') if depth == 0 && !is_angled => {
                // A comma in a name without quotes ends no mailbox.
                let mailbox = mailbox(&text[start..at]);
                if mailbox.is_some() || at - start > LONGEST_MAILBOX || text[start..at].trim_ascii().is_empty() {
                    start = at + 1;
                }
                found.extend(mailbox);
            }
            None => found.extend(mailbox(&text[start.min(text.len())..])),
            _ => {}
        }
    }
    found
}

fn mailbox(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return None;
    }
    if let Some(open) = memchr::memrchr(b'<', text) {
        let close = memchr::memchr(b'>', &text[open..]).map_or(text.len(), |length| open + length);
        let name = text[..open].trim_ascii();
        let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
        return Some((name.to_vec(), text[open + 1..close].trim_ascii().to_vec()));
    }
    let (address, comment) = match memchr::memchr(b'(', text) {
        Some(open) => (text[..open].trim_ascii(), text[open + 1..].split(|octet| *octet == b')').next()),
        None => (text, None),
    };
    let address = address.rsplit(|octet| *octet == b' ').next().unwrap_or(address);
    memchr::memchr(b'@', address)?;
    Some((comment.unwrap_or_default().to_vec(), address.to_vec()))
}

fn host(value: &[u8], wants_domain: bool) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(value);
    let behind = text.rsplit('@').next()?;
    let host: String =
        behind.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')).collect();
    if !host.contains('.') {
        return None;
    }
    if wants_domain {
        return psl::domain(host.to_ascii_lowercase().as_bytes()).map(|domain| domain.as_bytes().to_vec());
    }
    Some(host.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mailbox_is_not_read_again_for_ever() {
        let mut field = b"a,".repeat(LONGEST_MAILBOX);
        field.extend(b"Ann <ann@example.test>");
        let (name, address) = addresses(&field).pop().expect("a mailbox behind all that");
        assert_eq!(address, b"ann@example.test");
        assert!(name.len() <= LONGEST_MAILBOX + 8, "{}", name.len());
        let long = [b"a,".repeat(MOST_OF_MAILBOXES), b"ann@example.test".to_vec()].concat();
        assert!(addresses(&long).is_empty());
    }
}

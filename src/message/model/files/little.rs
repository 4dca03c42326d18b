//! Numbers with the least octet first, where there are that many octets.

/// Two octets at an offset.
pub(super) fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

/// Four octets at an offset.
pub(super) fn u32_at(octets: &[u8], at: usize) -> Option<usize> {
    octets.get(at..)?.first_chunk().copied().map(u32::from_le_bytes).and_then(|number| usize::try_from(number).ok())
}

/// Two octets at an offset, as a length.
pub(super) fn length_at(octets: &[u8], at: usize) -> Option<usize> {
    u16_at(octets, at).map(usize::from)
}

/// Some octets at an offset, all of them.
pub(super) fn slice(octets: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    octets.get(at..at.checked_add(length)?)
}

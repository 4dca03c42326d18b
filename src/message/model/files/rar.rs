//! RAR archives, of the fourth and the fifth format.

use super::listing::Listing;
use super::little::{length_at, slice, u16_at, u32_at};

/// Blocks that are looked at.
const MAX_BLOCKS: usize = 2000;

/// Reads what is in an archive.
pub(super) fn list(octets: &[u8], listing: &mut Listing) {
    match octets.get(6) {
        Some(0) => fourth(octets, listing),
        Some(1) => fifth(octets, listing),
        _ => None,
    };
}

fn fourth(octets: &[u8], listing: &mut Listing) -> Option<()> {
    let mut at = 7_usize;
    for _ in 0..MAX_BLOCKS {
        let kind = *octets.get(at + 2)?;
        let (flags, size) = (u16_at(octets, at + 3)?, length_at(octets, at + 5)?);
        let mut data = if flags & 0x8000 != 0 { u32_at(octets, at + 7)? } else { 0 };
        if kind == 0x73 && flags & 0x80 != 0 {
            // The names are encrypted, too.
            listing.is_encrypted = true;
            return None;
        }
        if kind == 0x74 {
            listing.is_encrypted |= flags & 0x04 != 0;
            let length = length_at(octets, at + 26)?;
            let is_large = flags & 0x100 != 0;
            let name = slice(octets, at + if is_large { 40 } else { 32 }, length)?;
            // Behind a NUL the name stands once more, in Unicode and packed.
            let plain = name.split(|octet| *octet == 0).next().unwrap_or_default();
            data = u32_at(octets, at + 7)?;
            if !listing.add(plain) {
                return None;
            }
        }
        at = at.checked_add(size.max(7))?.checked_add(data)?;
    }
    listing.is_cut |= octets.len() > at;
    Some(())
}

/// A number of seven bits in each octet.
fn number(octets: &[u8], at: &mut usize) -> Option<usize> {
    let mut value = 0_u64;
    for place in 0..9 {
        let octet = *octets.get(*at)?;
        *at += 1;
        value |= u64::from(octet & 0x7f) << (7 * place);
        if octet & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

fn fifth(octets: &[u8], listing: &mut Listing) -> Option<()> {
    let mut at = 8_usize;
    for _ in 0..MAX_BLOCKS {
        at = at.checked_add(4)?;
        let size = number(octets, &mut at)?;
        let end = at.checked_add(size)?;
        let kind = number(octets, &mut at)?;
        let flags = number(octets, &mut at)?;
        let extra = if flags & 1 != 0 { number(octets, &mut at)? } else { 0 };
        let data = if flags & 2 != 0 { number(octets, &mut at)? } else { 0 };
        match kind {
            2 => {
                let file_flags = number(octets, &mut at)?;
                number(octets, &mut at)?;
                number(octets, &mut at)?;
                at += if file_flags & 2 != 0 { 4 } else { 0 } + if file_flags & 4 != 0 { 4 } else { 0 };
                number(octets, &mut at)?;
                number(octets, &mut at)?;
                let length = number(octets, &mut at)?;
                let name = slice(octets, at, length)?;
                listing.is_encrypted |= has_encryption(octets.get(end.checked_sub(extra)?..end)?);
                if !listing.add(name) {
                    return None;
                }
            }
            4 => {
                listing.is_encrypted = true;
                return None;
            }
            5 => return None,
            _ => {}
        }
        at = end.checked_add(data)?;
    }
    listing.is_cut |= octets.len() > at;
    Some(())
}

/// Records behind a header: the first kind says how the file is encrypted.
fn has_encryption(extra: &[u8]) -> bool {
    let mut at = 0;
    while let Some(size) = number(extra, &mut at) {
        let end = at.saturating_add(size);
        match number(extra, &mut at) {
            Some(1) => return true,
            Some(_) => at = end.max(at),
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> (String, bool) {
        let mut listing = Listing::default();
        list(octets, &mut listing);
        (listing.entries.join(" "), listing.is_encrypted)
    }

    #[test]
    fn names_in_both_formats() {
        let file = |flags: u16, name: &[u8]| {
            let mut block = vec![0, 0, 0x74];
            block.extend((0x8000 | flags).to_le_bytes());
            block.extend(u16::try_from(32 + name.len()).expect("short").to_le_bytes());
            block.extend(2_u32.to_le_bytes());
            block.extend([0; 15]);
            block.extend(u16::try_from(name.len()).expect("short").to_le_bytes());
            block.extend([0; 4]);
            block.extend(name);
            block.extend(b"xx");
            block
        };
        let main = |flags: u8| [&b"Rar!\x1a\x07\0"[..], &[0, 0, 0x73, flags, 0, 13, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(read(&[main(0), file(0, b"a.exe"), file(0, b"b.txt\0zz")].concat()), ("a.exe b.txt".into(), false));
        assert_eq!(read(&[main(0), file(4, b"a.exe")].concat()), ("a.exe".into(), true));
        assert_eq!(read(&main(0x80)), (String::new(), true));

        // Behind so many blocks nobody looks.
        for blocks in [MAX_BLOCKS - 1, MAX_BLOCKS] {
            let mut listing = Listing::default();
            list(
                &[&b"Rar!\x1a\x07\0"[..], &[0, 0, 0x7a, 0, 0, 7, 0].repeat(blocks), &file(0, b"a.exe")].concat(),
                &mut listing,
            );
            let is_seen = blocks < MAX_BLOCKS;
            assert_eq!((listing.entries.len(), listing.is_cut), (usize::from(is_seen), !is_seen));
        }

        let fifth = b"Rar!\x1a\x07\x01\0";
        let main = [0, 0, 0, 0, 3, 1, 0, 0];
        let plain = [&[0, 0, 0, 0, 13, 2, 0, 0, 0, 0, 0, 0, 5][..], b"a.exe"].concat();
        let locked = [&[0, 0, 0, 0, 16, 2, 1, 2, 0, 0, 0, 0, 0, 5][..], b"b.exe", &[1, 1]].concat();
        assert_eq!(read(&[&fifth[..], &main, &plain].concat()), ("a.exe".into(), false));
        assert_eq!(read(&[&fifth[..], &main, &locked, &plain].concat()), ("b.exe a.exe".into(), true));
        assert_eq!(read(&[&fifth[..], &[0, 0, 0, 0, 2, 4, 0]].concat()), (String::new(), true));
        let mut listing = Listing::default();
        list(&[&fifth[..], &main.repeat(MAX_BLOCKS), &plain].concat(), &mut listing);
        assert!(listing.is_cut);
    }
}

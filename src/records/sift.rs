//! The entries of a segment that may be wanted, of an index that is read piece by piece: most searches look at a
//! million entries and want a hundred, so none is kept that is not wanted, and memory is used again.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::index::{Entry, LENGTH};
use super::segment::{self, MAGIC, Place};

/// Entries that are read at a time; they fit into the nearest caches.
const AT_ONCE: usize = 2048;

/// Opens the records of `place`, with those entries that `wanted` lets through, in the order in which they were written.
/// The same as all [`Place::contents`] of which that is so, in less time.
///
/// # Errors
/// As `contents` has them.
pub(super) fn sift(place: &Place, wanted: impl Fn(&Entry) -> bool) -> io::Result<(File, Vec<Entry>)> {
    let file = File::open(place.records())?;
    if let Some(entries) = by_index(place, &file, &wanted)? {
        return Ok((file, entries));
    }
    // A lost index, one of another version, or one that tells of more than there is.
    let mut entries = place.contents()?.entries;
    entries.retain(wanted);
    Ok((file, entries))
}

/// `None`: the index alone does not tell.
fn by_index(place: &Place, file: &File, wanted: &impl Fn(&Entry) -> bool) -> io::Result<Option<Vec<Entry>>> {
    let mut magic = [0; MAGIC.len()];
    let mut index = match (file.read_exact_at(&mut magic, 0), File::open(place.index())) {
        (Ok(()), Ok(index)) if magic == MAGIC => index,
        _ => return Ok(None),
    };
    let mut buffer = vec![0; AT_ONCE * LENGTH];
    let (mut entries, mut last) = (Vec::new(), None);
    loop {
        let filled = fill(&mut index, &mut buffer)?;
        let (whole, _unfinished) = buffer.get(..filled).unwrap_or_default().as_chunks::<LENGTH>();
        for octets in whole {
            let Some(entry) = Entry::of_octets(octets) else { return Ok(None) };
            if wanted(&entry) {
                entries.push(entry);
            }
        }
        last = whole.last().and_then(Entry::of_octets).or(last);
        if filled < buffer.len() {
            break;
        }
    }
    let Some(last) = last else { return Ok(None) };
    let is_sound = last.end() <= file.metadata()?.len() && segment::read_frame(file, &last).is_ok();
    if !is_sound {
        return Ok(None);
    }
    // What was written meanwhile has no entry yet.
    let mut later = Vec::new();
    segment::scan(file, last.end(), &mut later)?;
    entries.extend(later.into_iter().filter(wanted));
    Ok(Some(entries))
}

/// Reads until `buffer` is full or the file ends; returns how much there was.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(filled)
}

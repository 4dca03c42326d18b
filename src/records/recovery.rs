//! A segment made whole after a crash.
//!
//! Every frame is looked at. What a crash tore, at the end, is cut off; what is damaged in the middle is left where it
//! is, and passed over: behind it the index says where sound frames go on. Nothing that could be read is taken away.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::segment::{Contents, Form, MAGIC, PRIVATE_FILE, Place, read_frame, scan};

/// What is put behind the names of files that are not ours.
const ASIDE: &str = "other";

/// Mends the segment at `place`, which nobody writes to. `None`: there is none. A file that was begun and no more is
/// taken away; one of another version gets another name, so that it is in nobody's way.
///
/// # Errors
/// The disk. What could be read before can be read still.
pub(super) fn recover(place: &Place) -> io::Result<Option<Contents>> {
    let file = OpenOptions::new().read(true).write(true).open(place.records())?;
    match Form::of(&file)? {
        Form::Ours => {}
        Form::Unborn => {
            place.remove()?;
            return Ok(None);
        }
        Form::Foreign => {
            put_aside(place)?;
            return Ok(None);
        }
    }
    let known = place.indexed()?;
    let mut entries = Vec::new();
    let mut sound = scan(&file, MAGIC.len() as u64, &mut entries)?;
    while let Some(next) = known.iter().find(|entry| entry.offset > sound && read_frame(&file, entry).is_ok()) {
        let (from, to, place) = (sound, next.offset, place.records());
        tracing::warn!(segment = %place.display(), from, to, "records.damaged");
        sound = scan(&file, next.offset, &mut entries)?;
    }
    if sound < file.metadata()?.len() {
        file.set_len(sound)?;
    }
    let octets: Vec<u8> = entries.iter().flat_map(|entry| entry.to_octets()).collect();
    if fs::read(place.index()).ok().as_deref() != Some(&octets) {
        write_index(place, &octets)?;
    }
    Ok(Some(Contents { entries, sound }))
}

fn write_index(place: &Place, octets: &[u8]) -> io::Result<()> {
    let fresh = place.with("new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(PRIVATE_FILE).open(&fresh)?;
    let written = file.write_all(octets).and_then(|()| fs::rename(&fresh, place.index()));
    if written.is_err() {
        // On a full disk it would only take room.
        let _ = fs::remove_file(&fresh);
    }
    written
}

fn put_aside(place: &Place) -> io::Result<()> {
    for path in [place.records(), place.index()] {
        let mut aside = path.clone().into_os_string();
        aside.push(".");
        aside.push(ASIDE);
        match fs::rename(&path, &aside) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        tracing::warn!(from = %path.display(), to = %aside.display(), "records.put_aside");
    }
    Ok(())
}

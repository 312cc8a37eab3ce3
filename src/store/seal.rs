//! The seal: a small file beside the database that says what the database must at least hold.
//!
//! sled cuts its log where it cannot read on, and opens what is left as if nothing had been. So after each group of commits
//! is on disk, and before it is acknowledged, its number and the sum over all entries are written here. The seal itself is
//! not synced each time: it survives the end of the process in the page cache, and after a power cut an older seal is still
//! true. Two slots take turns, so that a torn write leaves the other.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use super::StoreError;
use super::codec::{State, seal as with_checksum, unseal};
use super::place::Place;

const MAGIC: &[u8] = b"gatehouse store\n";
/// Bytes of a slot: a sector of its own, which disks write whole.
const SLOT: u64 = 512;
/// Magic, checksum and the payload of a [`State`].
const LEN: usize = 16 + 4 + 37;

/// The open seal.
#[derive(Debug)]
pub(super) struct Seal(File);

impl Seal {
    /// Makes the seal of a new store; the name appears only once the content is on disk.
    pub(super) fn create(place: &Place, state: State) -> Result<(), StoreError> {
        let (path, draft) = (place.seal(), place.seal().with_extension("new"));
        let made = File::create(&draft).and_then(|file| {
            let seal = Self(file);
            seal.write(state)?;
            seal.sync()?;
            std::fs::rename(&draft, &path)
        });
        place.io("making the seal", made)?;
        place.sync_names(place.root())
    }

    /// Opens the seal and reads the newest slot that is whole.
    pub(super) fn open(place: &Place) -> Result<(Self, State), StoreError> {
        let file = place.io("opening the seal", OpenOptions::new().read(true).write(true).open(place.seal()))?;
        let slots = [place.io("reading the seal", read(&file, 0))?, place.io("reading the seal", read(&file, SLOT))?];
        match slots.into_iter().flatten().max_by_key(|state| state.group) {
            Some(state) => Ok((Self(file), state)),
            None => Err(place.damaged(&place.seal(), "neither of its slots is whole")),
        }
    }

    /// Notes that everything up to `state` is on disk.
    pub(super) fn write(&self, state: State) -> io::Result<()> {
        let slot = with_checksum(MAGIC, &state.encode());
        self.0.write_all_at(&[MAGIC, &slot].concat(), state.group % 2 * SLOT)
    }

    /// Makes the seal itself durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Reads one slot; `None` where it is not whole.
fn read(file: &File, offset: u64) -> io::Result<Option<State>> {
    let mut slot = [0; LEN];
    match file.read_exact_at(&mut slot, offset) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let payload = slot.strip_prefix(MAGIC).and_then(|rest| unseal(MAGIC, rest).ok());
    Ok(payload.and_then(State::decode))
}

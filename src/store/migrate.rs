//! Opening an embedded store: make it, take it as it is, or say why not. Never starts empty where there was something.
//!
//! Before sled sees the directory, its names and the seal are checked; then every entry is read, its checksum and the sum
//! over all entries compared with what the last group of commits left. sled repairs a damaged log by leaving out what it
//! cannot read, sometimes in the middle; the sum notices any entry that is missing, old or foreign. That reads the whole
//! database once at each start.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::codec::{STATE_KEY, State, seal as with_checksum};
use super::place::{Place, SNAPSHOT};
use super::room::Room;
use super::seal::Seal;
use super::verify::verify;
use super::{SCHEMA, StoreError};

/// Pages that sled keeps in memory, in bytes as they are on disk; in memory they take a third more, and what was read of late
/// is kept beside them. The system's own cache has the rest.
const CACHE: u64 = 8 << 20;
/// How often, and how long apart, a lock is tried. One that was given up a moment ago may still be held: by sled, which frees its
/// last references late, or by a process that is being started and has not yet closed what it inherited.
const LOCK_TRIES: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// An open, verified database.
#[derive(Debug)]
pub(super) struct Opened {
    pub sled: sled::Db,
    pub seal: Seal,
    pub room: Room,
    pub state: State,
    /// Keys of the change log, oldest first.
    pub changes: VecDeque<Vec<u8>>,
    /// Keeps others out.
    pub lock: File,
}

/// Opens or makes the store at `place`.
pub(super) fn open(place: &Place) -> Result<Opened, StoreError> {
    place.io("making the directory", fs::create_dir_all(place.root()))?;
    refuse_foreign(place)?;
    let lock = lock(place)?;
    // Again, because another process may have finished making it before we had the lock.
    refuse_foreign(place)?;
    if !exists(place, &place.seal())? {
        create(place)?;
    }
    if exists(place, &place.unfinished())? {
        place.io("finishing the directory", fs::remove_file(place.unfinished()))?;
        place.sync_names(place.root())?;
    }
    let (seal, sealed) = Seal::open(place)?;
    if sealed.schema != SCHEMA {
        return Err(place.schema(sealed.schema, SCHEMA));
    }
    let data = place.data();
    if !exists(place, &data)? || place.io("reading the database's size", fs::metadata(&data))?.len() == 0 {
        return Err(place.damaged(&data, "it is missing or empty"));
    }
    remove_unfinished_snapshots(place)?;
    let room = Room::of(place.io("opening the database", File::options().write(true).open(&data))?);
    place.io("giving back room", room.give_back())?;
    // sled's recovery checks some of what it reads by panicking.
    let verified = catch_unwind(AssertUnwindSafe(|| {
        let sled = open_sled(place)?;
        let (state, changes) = verify(place, &sled, sealed)?;
        Ok((sled, state, changes))
    }));
    let (sled, state, changes) = verified.unwrap_or_else(|_| Err(place.unreadable()))?;
    place.sync_names(&place.sled())?;
    Ok(Opened { sled, seal, room, state, changes, lock })
}

/// Removes what a start left that was cut off, by a full disk or a kill, while sled wrote a snapshot: where its log ends and where
/// its pages are, so that the next start need not read all of it. sled takes every `snap.*` for a finished one and the one whose
/// name sorts last for the newest, so it would find a part of a snapshot and call the database corrupt for ever. Nothing is lost
/// with it: sled syncs the file, then renames it, and only then removes the one before and goes on; until then the log and the
/// snapshot before, where there is one, say all. A finished snapshot that is damaged is still refused.
fn remove_unfinished_snapshots(place: &Place) -> Result<(), StoreError> {
    for entry in place.io("listing the database", fs::read_dir(place.sled()))? {
        let entry = place.io("listing the database", entry)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(SNAPSHOT) && name.ends_with(".generating") {
            place.io("removing an unfinished snapshot", fs::remove_file(entry.path()))?;
        }
    }
    Ok(())
}

/// Refuses a directory that has something, but no seal and no sign that making it was cut off.
fn refuse_foreign(place: &Place) -> Result<(), StoreError> {
    if exists(place, &place.seal())? || exists(place, &place.unfinished())? {
        return Ok(());
    }
    for entry in place.io("listing the directory", fs::read_dir(place.root()))? {
        let name = place.io("listing the directory", entry)?.file_name();
        let name = name.to_string_lossy();
        // A file system of its own has `lost+found`; `lock` alone is left where we were ended before anything else.
        if !matches!(name.as_ref(), "lock" | "lost+found") {
            return Err(place.foreign(&name));
        }
    }
    Ok(())
}

fn lock(place: &Place) -> Result<File, StoreError> {
    let open = File::options().read(true).write(true).create(true).truncate(false).open(place.lock());
    let mut file = place.io("opening the lock", open)?;
    let mut tries = 0;
    while let Err(error) = file.try_lock() {
        match error {
            TryLockError::WouldBlock if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            TryLockError::WouldBlock => {
                let mut holder = String::new();
                // Only to say who: any text, or none, will do.
                let _ = file.read_to_string(&mut holder);
                return Err(place.locked(holder.trim()));
            }
            TryLockError::Error(error) => return Err(place.failed("locking", error)),
        }
    }
    let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    place.io("writing the lock", noted)?;
    Ok(file)
}

/// Makes an empty store. Until the seal is there, `unfinished` says that nothing was ever acknowledged.
fn create(place: &Place) -> Result<(), StoreError> {
    place.io("beginning the directory", File::create(place.unfinished()).and_then(|file| file.sync_all()))?;
    place.sync_names(place.root())?;
    if exists(place, &place.sled())? {
        place.io("removing an unfinished database", fs::remove_dir_all(place.sled()))?;
    }
    let sled = open_sled(place)?;
    let state = State { schema: SCHEMA, ..State::default() };
    let made = sled.insert(STATE_KEY, with_checksum(STATE_KEY, &state.encode())).and_then(|_| sled.flush());
    made.map_err(|error| place.of_sled("making the database", &error))?;
    drop(sled);
    place.io("syncing the database", File::open(place.data()).and_then(|file| file.sync_all()))?;
    place.sync_names(&place.sled())?;
    Seal::create(place, state)
}

/// Opens the database itself.
pub(super) fn open_sled(place: &Place) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new().path(place.sled()).cache_capacity(CACHE);
    let mut tries = 0;
    loop {
        match config.open() {
            Ok(sled) => return Ok(sled),
            // sled has no kind of its own for this.
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                tries += 1;
                if tries == LOCK_TRIES {
                    return Err(place.locked(""));
                }
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(error) => return Err(place.of_sled("opening the database", &error)),
        }
    }
}

fn exists(place: &Place, path: &std::path::Path) -> Result<bool, StoreError> {
    place.io("looking into the directory", path.try_exists())
}

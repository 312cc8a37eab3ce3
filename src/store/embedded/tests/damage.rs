//! A database that is not what was written is refused, or it is provably the same: never a third thing.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::*;

/// A closed store, its content, and room for damaged copies of it.
struct Original {
    directory: tempfile::TempDir,
    content: Snapshot,
}

impl Original {
    fn of(commits: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let content = filled(&directory.path().join("original"), commits);
        Self { directory, content }
    }

    /// A copy on which `damage` was done.
    fn damaged(&self, damage: impl FnOnce(&Path)) -> PathBuf {
        let path = self.directory.path().join("copy");
        let _ = fs::remove_dir_all(&path);
        copy(&self.directory.path().join("original"), &path);
        damage(&path);
        path
    }

    /// Refused as damaged, saying what to do: true; the same content: false; anything else fails.
    fn refused(&self, path: &Path, what: &str) -> bool {
        match Embedded::open(path).and_then(|store| export(&store)) {
            Ok(content) => {
                assert!(content == self.content, "{what}: opened with other content");
                false
            }
            Err(StoreError::Damaged(text)) => {
                assert!(text.contains(path.to_str().unwrap()) && text.contains("restore the last backup"), "{what}: {text}");
                assert!(!text.contains("None") && !text.contains("backtrace"), "{what}: {text}");
                true
            }
            Err(other) => panic!("{what}: {other:?}"),
        }
    }
}

fn flip(file: &Path, at: u64, bit: u8) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ (1 << bit)], at).unwrap();
}

fn truncate(file: &Path, len: u64) {
    OpenOptions::new().write(true).open(file).unwrap().set_len(len).unwrap();
}

/// Where the last byte lies that is not padding.
fn used(file: &Path) -> u64 {
    fs::read(file).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1
}

#[test]
fn a_flipped_bit_anywhere_in_the_data_is_refused_or_harmless() {
    let original = Original::of(150);
    let used = used(&original.directory.path().join("original/sled/db"));
    let mut refused = 0;
    for round in 0..60 {
        let (at, bit) = (fastrand::u64(0..used), fastrand::u8(0..8));
        let path = original.damaged(|path| flip(&path.join("sled/db"), at, bit));
        refused += u32::from(original.refused(&path, &format!("round {round}: bit {bit} of byte {at}")));
    }
    assert!(refused > 0, "no flipped bit was noticed");
}

#[test]
fn a_truncated_database_is_refused_or_has_lost_padding_only() {
    let original = Original::of(150);
    let used = used(&original.directory.path().join("original/sled/db"));
    for len in [0, 1, 20, 512 << 10, used / 4, used / 2, used - 100, used - 1] {
        let path = original.damaged(|path| truncate(&path.join("sled/db"), len));
        let refused = original.refused(&path, &format!("{len} of {used} bytes"));
        assert!(refused || len > used / 2, "{len} of {used} bytes hold everything");
    }
}

#[test]
fn a_missing_file_is_refused() {
    let original = Original::of(20);
    let path = original.damaged(|path| fs::remove_file(path.join("sled/db")).unwrap());
    assert!(original.refused(&path, "without sled/db"));
    let path = original.damaged(|path| fs::remove_dir_all(path.join("sled")).unwrap());
    assert!(original.refused(&path, "without sled"));
    let path = original.damaged(|path| fs::remove_file(path.join("seal")).unwrap());
    let error = Embedded::open(&path).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged(text) if text.contains("not the file `seal`")), "{error}");
}

#[test]
fn a_flipped_bit_in_a_small_file_is_refused_or_harmless() {
    let original = Original::of(20);
    let files = ["seal", "sled/conf"].map(str::to_owned).into_iter();
    let snapshots = fs::read_dir(original.directory.path().join("original/sled")).unwrap();
    let snapshots = snapshots.map(|entry| format!("sled/{}", entry.unwrap().file_name().to_str().unwrap()));
    for name in files.chain(snapshots.filter(|name| name.contains("snap."))) {
        let len = fs::metadata(original.directory.path().join("original").join(&name)).unwrap().len();
        for at in (0..len).step_by(len.div_ceil(16) as usize) {
            let path = original.damaged(|path| flip(&path.join(&name), at, 3));
            original.refused(&path, &format!("byte {at} of {name}"));
            if let Err(error) = Embedded::open(&path) {
                let named = path.join(&name).display().to_string();
                assert!(error.to_string().starts_with(&named), "byte {at} of {name}: {error}");
            }
        }
    }
    let both = original.damaged(|path| [5, 512 + 5].into_iter().for_each(|at| flip(&path.join("seal"), at, 1)));
    assert!(original.refused(&both, "both slots of the seal"));
}

#[test]
fn older_data_than_what_was_acknowledged_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (current, old) = (directory.path().join("current"), directory.path().join("old"));
    filled(&current, 10);
    copy(&current, &old);
    let store = Embedded::open(&current).unwrap();
    runtime().block_on(store.commit(commit_named("acknowledged", TenantId::new(Millis(1))))).unwrap();
    drop(store);
    fs::remove_dir_all(current.join("sled")).unwrap();
    copy(&old.join("sled"), &current.join("sled"));
    let error = Embedded::open(&current).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged(text) if text.contains("lost commits")), "{error}");
}

#[test]
fn an_entry_that_was_lost_or_replaced_behind_our_back_is_refused() {
    for remove in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        filled(directory.path(), 10);
        let sled = crate::store::migrate::open_sled(&crate::store::place::Place::new(directory.path())).unwrap();
        let key = crate::store::codec::head_key(Table::Slugs, "3");
        if remove {
            assert!(sled.remove(key).unwrap().is_some());
        } else {
            // A whole entry with a right checksum, but not what was committed last.
            let value = crate::store::codec::seal(&key, &crate::store::codec::Head::encode(1, b"older"));
            assert!(sled.insert(key, value).unwrap().is_some());
        }
        sled.flush().unwrap();
        drop(sled);
        let error = Embedded::open(directory.path()).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged(text) if text.contains("entries are missing")), "{error}");
    }
}

//! Which directories are opened, made, or refused with a word on what to do.

use std::process::Command;

use super::*;
use crate::store::codec::State;
use crate::store::place::Place;
use crate::store::seal::Seal;

#[test]
fn what_was_committed_is_there_after_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let before = filled(directory.path(), 50);
    for _ in 0..3 {
        let store = Embedded::open(directory.path()).unwrap();
        assert!(export(&store).unwrap() == before);
    }
    let store = Embedded::open(directory.path()).unwrap();
    let next = runtime().block_on(store.commit(commit_named("next", TenantId::new(Millis(2))))).unwrap();
    assert_eq!((next.version.0, next.numbers), (51, vec![51]));
    let changes = runtime().block_on(store.changes(crate::store::Version(49), 100)).unwrap();
    assert_eq!(changes.len(), 4);
}

#[test]
fn a_missing_directory_is_made_with_its_parents() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("var/lib/gatehouse");
    let before = filled(&path, 3);
    assert!(export(&Embedded::open(&path).unwrap()).unwrap() == before);
}

#[test]
fn making_a_store_that_was_cut_off_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("unfinished"), "").unwrap();
    std::fs::create_dir_all(directory.path().join("sled/blobs")).unwrap();
    std::fs::write(directory.path().join("sled/db"), "half of something").unwrap();
    let before = filled(directory.path(), 3);
    assert!(!directory.path().join("unfinished").exists());
    assert!(export(&Embedded::open(directory.path()).unwrap()).unwrap() == before);
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("photo.jpg"), "not ours").unwrap();
    let error = Embedded::open(directory.path()).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged(text) if text.contains("photo.jpg") && text.contains("empty directory")), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_path_that_is_a_file_is_an_error_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Embedded::open(file.path()).unwrap_err();
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_second_open_is_refused_in_one_line_until_the_first_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let first = Embedded::open(directory.path()).unwrap();
    let error = Embedded::open(directory.path()).unwrap_err();
    let process = format!("process {}", std::process::id());
    assert!(matches!(&error, StoreError::Locked(text) if text.contains(&process) && !text.contains('\n')), "{error}");
    runtime().block_on(first.commit(commit_named("still works", TenantId::new(Millis(1))))).unwrap();
    drop(first);
    Embedded::open(directory.path()).unwrap();
}

#[test]
fn another_process_that_opens_it_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _first = Embedded::open(directory.path()).unwrap();
    let child = "store::embedded::tests::opening::child_that_opens";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--nocapture"])
        .env("STORE_UNDER_TEST", directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("said: Locked(\"the store"), "{said}");
}

#[test]
#[ignore = "the process that another test starts"]
fn child_that_opens() {
    let path = std::env::var("STORE_UNDER_TEST").unwrap();
    println!("said: {:?}", Embedded::open(path.as_ref()).unwrap_err());
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let before = filled(directory.path(), 3);
    let place = Place::new(directory.path());
    let (_, state) = Seal::open(&place).unwrap();
    Seal::create(&place, State { schema: 2, ..state }).unwrap();
    let error = Embedded::open(directory.path()).unwrap_err();
    assert!(matches!(&error, StoreError::Schema(text) if text.contains("schema 2") && text.contains("run the version")), "{error}");
    Seal::create(&place, state).unwrap();
    assert!(export(&Embedded::open(directory.path()).unwrap()).unwrap() == before);
}

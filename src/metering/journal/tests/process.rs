//! Processes that are killed, started twice or run out of disk: this test binary runs itself again as the other one.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;

const ROLE: &str = "GATEHOUSE_TEST_JOURNAL_ROLE";
const DIR: &str = "GATEHOUSE_TEST_JOURNAL_DIR";

/// What the other process does, by the name of its role.
#[test]
#[ignore = "the process that the tests beside it start"]
fn other() {
    let (Ok(role), Ok(dir)) = (env::var(ROLE), env::var(DIR)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let dir = Path::new(&dir);
    match role.as_str() {
        "count" => count(&runtime, dir),
        "start" => match runtime.block_on(Journal::open(dir, &Memory::default(), NOW)) {
            Ok(_) => say("said started"),
            Err(error) => say(&format!("said {error}")),
        },
        "die" => drop(runtime.block_on(Journal::open(dir, &DiesOnceStored, NOW))),
        "full" => fill_the_disk(&runtime, dir),
        role => panic!("there is no role {role}"),
    }
}

fn start(role: &str, dir: &TempDir) -> (Child, BufReader<ChildStdout>) {
    let mut other = Command::new(env::current_exe().unwrap());
    other.args(["--exact", "metering::journal::tests::process::other", "--ignored", "--nocapture"]);
    other.env(ROLE, role).env(DIR, dir.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut other = other.spawn().unwrap();
    let lines = BufReader::new(other.stdout.take().unwrap());
    (other, lines)
}

/// One write for a line, so that none is torn when the process is killed.
fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}

/// What the other process said of `kind`, without that word.
fn said<'a>(lines: &'a [String], kind: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
    lines.iter().filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '))
}

/// The counters after `calls` calls: each tenth stays open, each tenth is given back.
fn model(calls: u64) -> Totals {
    let mut totals = Totals { admitted: calls, egress: calls * 3, rejected: calls, ..Totals::default() };
    for number in 0..calls {
        match number % 10 {
            0 => totals.aborted += 1,
            1 => totals.given_back += 1,
            _ => totals.metered += 1,
        }
    }
    totals
}

/// Two threads count and say each call that they have counted; a third folds and says what the store has.
fn count(runtime: &tokio::runtime::Runtime, dir: &Path) {
    let store = Memory::default();
    let journal = runtime.block_on(Journal::open(dir, &store, NOW)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let journal = &journal;
            scope.spawn(move || {
                let slot = journal.slot(tenant(thread), TODAY).unwrap();
                for number in 0_u64.. {
                    admit(&slot);
                    match number % 10 {
                        0 => {}
                        1 => slot.give_back(),
                        _ => {
                            slot.add_metered();
                        }
                    }
                    slot.add_egress(3);
                    slot.add_rejected();
                    say(&format!("counted{thread} {}", number + 1));
                }
            });
        }
        loop {
            runtime.block_on(fold(&journal, &store)).unwrap();
            let rows = runtime.block_on(stored(&store));
            say(&format!("stored {}", serde_json::to_string(&rows).unwrap()));
        }
    });
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_counted_and_counts_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (mut other, mut output) = start("count", &dir);
    let mut lines = Vec::new();
    let mut line = String::new();
    while said(&lines, "counted0").count() < 1_000 || said(&lines, "counted1").count() < 1_000 || said(&lines, "stored").count() < 3 {
        for _ in 0..500 {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "it ended by itself");
            lines.push(line.trim_end().to_owned());
        }
    }
    other.kill().unwrap();
    other.wait().unwrap();
    // What it said before it died is still in the pipe.
    lines.extend(output.lines().map(Result::unwrap));

    // The store that both processes share, with what was folded before the kill.
    let store = Memory::default();
    let folded: Vec<UsageRow> = serde_json::from_str(said(&lines, "stored").next_back().unwrap()).unwrap();
    store.add_usage(folded.clone()).await.unwrap();
    Journal::open(dir.path(), &store, NOW).await.unwrap();
    for thread in 0..2 {
        let counted: u64 = said(&lines, &format!("counted{thread}")).next_back().unwrap().parse().unwrap();
        let (least, most, found) = (model(counted), model(counted + 1), sum(&store, tenant(thread)).await);
        assert_eq!(found.admitted, found.metered + found.given_back + found.aborted);
        let counters = |totals: &Totals| [totals.admitted, totals.metered, totals.given_back, totals.egress, totals.rejected];
        for ((least, most), found) in counters(&least).into_iter().zip(counters(&most)).zip(counters(&found)) {
            assert!((least..=most).contains(&found), "{found} of {least} to {most}");
        }
        // The call under way when it died may have been admitted and not yet answered.
        assert!((least.aborted..=least.aborted + 1).contains(&found.aborted), "{found:?} after {counted}");
    }
    assert_eq!(stored(&store).await.len(), 2, "the same rows as before, under the incarnation that counted");
}

/// Writes what it is given to a file and is killed before it can answer.
struct DiesOnceStored;

#[async_trait]
impl Store for DiesOnceStored {
    async fn add_usage(&self, rows: Vec<UsageRow>) -> Result<(), StoreError> {
        say(&format!("stored {}", serde_json::to_string(&rows).unwrap()));
        std::process::abort();
    }
    async fn commit(&self, _: Tx) -> Result<Committed, StoreError> {
        unreachable!("the journal stores usage only")
    }
    async fn get(&self, _: &Key) -> Result<Option<Record>, StoreError> {
        unreachable!("the journal stores usage only")
    }
    async fn scan(&self, _: Scan) -> Result<Vec<Record>, StoreError> {
        Ok(Vec::new())
    }
    async fn usage(&self, _: TenantId, _: Range<Day>) -> Result<Vec<UsageRow>, StoreError> {
        unreachable!("the journal stores usage only")
    }
    async fn usage_since(&self, _: Day, _: Option<TenantId>, _: usize) -> Result<Vec<UsageRow>, StoreError> {
        unreachable!("the journal stores usage only")
    }
    async fn lease(&self, _: &str, _: &str, _: Millis, _: Duration) -> Result<bool, StoreError> {
        unreachable!("the journal stores usage only")
    }
    async fn changes(&self, _: Version, _: usize) -> Result<Vec<Changed>, StoreError> {
        unreachable!("the journal stores usage only")
    }
    async fn version(&self) -> Result<Version, StoreError> {
        unreachable!("the journal stores usage only")
    }
    async fn export(&self) -> Result<Snapshot, StoreError> {
        unreachable!("the journal stores usage only")
    }
    async fn import(&self, _: Snapshot) -> Result<(), StoreError> {
        unreachable!("the journal stores usage only")
    }
}

#[tokio::test]
async fn killed_between_the_store_and_the_deletion_the_next_start_writes_the_same_again() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    let slot = journal.slot(tenant(1), TODAY).unwrap();
    call(&slot, 10);
    admit(&slot);
    drop((journal, slot));
    let files = segments(dir.path());
    for _ in 0..2 {
        let (mut other, output) = start("die", &dir);
        let lines: Vec<String> = output.lines().map(Result::unwrap).collect();
        assert!(!other.wait().unwrap().success());
        let rows: Vec<UsageRow> = serde_json::from_str(said(&lines, "stored").next().unwrap()).unwrap();
        store.add_usage(rows).await.unwrap();
        assert_eq!(segments(dir.path()), files);
    }
    let before = stored(&store).await;
    small(&dir, &store).await;
    assert_eq!(stored(&store).await, before);
    assert_eq!(sum(&store, tenant(1)).await, Totals { admitted: 2, metered: 1, aborted: 1, egress: 10, ..Totals::default() });
}

#[tokio::test]
async fn a_second_process_is_turned_away_in_one_line_and_the_first_goes_on() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    let slot = journal.slot(tenant(1), TODAY).unwrap();
    let answer = || {
        let (mut other, output) = start("start", &dir);
        let lines: Vec<String> = output.lines().map(Result::unwrap).collect();
        other.wait().unwrap();
        said(&lines, "said").next().unwrap().to_owned()
    };
    let refusal = answer();
    assert!(refusal.contains("in use by another gatehouse") && refusal.contains(&dir.path().display().to_string()), "{refusal}");
    call(&slot, 1);
    assert_eq!(fold(&journal, &store).await.unwrap().len(), 1);
    drop((journal, slot));
    assert_eq!(answer(), "started");
}

/// Lets no file of this process grow beyond `octets`.
fn limit_files(octets: &str) {
    let process = std::process::id().to_string();
    let status = Command::new("prlimit").args(["--pid", &process, &format!("--fsize={octets}")]).status();
    assert!(status.expect("prlimit of util-linux is needed").success());
}

fn fill_the_disk(runtime: &tokio::runtime::Runtime, dir: &Path) {
    let store = Memory::default();
    let journal = runtime.block_on(Journal::open_with(dir, &store, NOW, 64)).unwrap();
    let known = journal.slot(tenant(0), TODAY).unwrap();
    call(&known, 1);
    limit_files("8192:unlimited");
    let files = segments(dir).len();
    for number in 1..128 {
        // Each attempt fails while the spare is in use; those that run are as they were.
        call(&journal.slot(tenant(number), TODAY).unwrap(), 1);
        let outcome = journal.maintain(TODAY);
        assert!(number < 64 || outcome.is_err());
        if let Err(error) = outcome {
            let error = error.to_string();
            assert!(error.contains("cannot make") && error.contains(".usage") && error.contains("File too large"), "{error}");
        }
    }
    assert!(journal.slot(tenant(128), TODAY).is_err(), "never unmetered");
    call(&known, 1);
    assert_eq!(runtime.block_on(fold(&journal, &store)).unwrap().len(), 128);
    let left: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), files + 4, "nothing half-made is left: {left:?}");
    assert!(journal.prepare(1_000).is_ok(), "there is room for some, so a start would not fail");
    let elsewhere = dir.join("elsewhere");
    let error = runtime.block_on(Journal::open_with(&elsewhere, &store, NOW, 64)).err().unwrap().to_string();
    assert!(error.contains("cannot make") && segments(&elsewhere).is_empty(), "{error}");
    limit_files("unlimited:unlimited");
    journal.maintain(TODAY).unwrap();
    call(&journal.slot(tenant(128), TODAY).unwrap(), 1);
    runtime.block_on(fold(&journal, &store)).unwrap();
    assert_eq!(runtime.block_on(sum(&store, tenant(0))), calls(2, 2));
    say(&format!("said {} slots", journal.rows().len()));
}

#[test]
fn a_full_disk_is_reported_and_harms_no_slot_that_runs() {
    let dir = tempfile::tempdir().unwrap();
    // The limit's signal is ignored, so that the system call fails as it does on a full disk.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" --exact metering::journal::tests::process::other --ignored --nocapture"]);
    let output = shell.arg(env::current_exe().unwrap()).env(ROLE, "full").env(DIR, dir.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("said 129 slots"), "{text}");
}

//! `gatehouse demo` does what it says: each line that it prints works as printed, and it leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{eventually, signal};

/// A demo that runs, with all that it has printed.
struct Demo {
    child: Child,
    text: String,
    folders: PathBuf,
}

impl Demo {
    /// Starts it in an empty folder, with nothing set but where temporary files go.
    async fn start(folders: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
        command.arg("demo").current_dir(folders).env_clear().env("TMPDIR", folders);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the demo starts");
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, stdout) = (Arc::clone(&lines), child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                kept.lock().expect("not poisoned").push(line);
            }
        });
        let text = eventually("the demo has printed its lines", || async {
            let text = lines.lock().expect("not poisoned").join("\n");
            text.contains("Ctrl-C").then_some(text)
        })
        .await;
        Self { child, text, folders: folders.to_owned() }
    }

    /// The lines for the shell, as printed.
    fn commands(&self) -> Vec<&str> {
        self.text.lines().filter(|line| line.starts_with("   ")).map(str::trim).collect()
    }

    /// SIGINT, and the exit code.
    async fn interrupt(&mut self) -> Option<i32> {
        signal(self.child.id(), "INT");
        let child = std::cell::RefCell::new(&mut self.child);
        eventually("the demo ends", || async { child.borrow_mut().try_wait().expect("the child can be asked") }).await.code()
    }

    fn left_behind(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folders).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs one line as a person would; what it prints.
fn shell(line: &str) -> String {
    let output = Command::new("bash").args(["-c", line]).env("no_proxy", "*").stdin(Stdio::null()).output().expect("bash runs");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn answer(line: &str) -> Value {
    let text = shell(line);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
}

#[tokio::test]
async fn each_line_that_the_demo_prints_answers_as_described_and_nothing_is_left_behind() {
    let folders = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(folders.path()).await;
    assert_eq!(demo.left_behind().len(), 1, "all that it writes is in one folder");
    let lines: Vec<String> = demo.commands().into_iter().map(str::to_owned).collect();
    let [who_acme, who_globex, mismatch, flood, acme_goes_on, usage, own_usage, suspend, refused, activate, create, new_tenant] =
        &lines[..]
    else {
        panic!("other lines than this test knows: {lines:?}")
    };
    // 1. The same app, two tenants.
    let (acme, globex) = (answer(who_acme), answer(who_globex));
    assert_eq!((&acme["slug"], &acme["plan"]), (&json!("acme"), &json!("pro")));
    assert_eq!((&globex["slug"], &globex["plan"]), (&json!("globex"), &json!("free")));
    assert!(acme["tenant"] != globex["tenant"] && acme["tenant"].as_str().unwrap().starts_with("tenant_"));
    // 2. Nobody becomes another.
    let problem = answer(mismatch);
    assert_eq!((&problem["status"], &problem["code"]), (&json!(403), &json!("tenant_mismatch")));
    // 3. A flood meets the free plan's rate, and nobody else's.
    let statuses = shell(flood);
    let (served, limited) = (statuses.matches("200").count(), statuses.matches("429").count());
    assert_eq!(served + limited, 15, "{statuses}");
    assert!(served >= 9 && limited >= 1, "{statuses}");
    assert_eq!(answer(acme_goes_on)["slug"], "acme");
    // 4. Every call was counted.
    let (usage, own) = (answer(usage), answer(own_usage));
    assert_eq!((&usage["apiCalls"], &usage["rejected"]), (&json!(2), &json!(1)));
    assert!(usage["bandwidth"].as_u64().unwrap() > 100 && usage["tenantId"] == acme["tenant"]);
    assert_eq!((&own["usage"]["apiCalls"], &own["limits"]["maxApiCalls"]), (&json!(2), &json!(100_000)));
    // 5. Suspended within one request, and served again.
    assert_eq!(answer(suspend)["status"], "suspended");
    assert_eq!(answer(refused)["code"], "tenant_suspended");
    assert_eq!(answer(activate)["status"], "active");
    // The flood may have left it at its rate for a moment.
    eventually("globex is served again", || async { (answer(who_globex)["slug"] == "globex").then_some(()) }).await;
    // 6. A new tenant is there at once.
    assert_eq!(answer(create)["slug"], "initech");
    assert_eq!((&answer(new_tenant)["slug"], &answer(new_tenant)["plan"]), (&json!("initech"), &json!("starter")));
    // The page of the admin API that it points to, too.
    let docs = demo.text.lines().find_map(|line| line.trim().strip_prefix("admin API")).expect("a line").trim().to_owned();
    assert!(shell(&format!("curl -sf {docs}")).contains("<html"), "{docs}");

    assert_eq!(demo.interrupt().await, Some(0));
    assert_eq!(demo.left_behind(), Vec::<String>::new());
}

#[tokio::test]
async fn two_demos_run_side_by_side() {
    let (one_folder, two_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut one = Demo::start(one_folder.path()).await;
    let mut two = Demo::start(two_folder.path()).await;
    for demo in [&one, &two] {
        assert_eq!(answer(demo.commands()[0])["slug"], "acme");
    }
    assert_ne!(one.commands(), two.commands());
    assert_eq!((one.interrupt().await, two.interrupt().await), (Some(0), Some(0)));
    assert!(one.left_behind().is_empty() && two.left_behind().is_empty());
}

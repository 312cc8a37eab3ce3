//! A public WebSocket suite reaches the same verdicts through the gateway as without it, whichever side of the gateway it is
//! on and whichever HTTP is spoken there; and what it does not look at: offers, large messages, ends, and many at once.

mod bridge;
mod crowd;
mod ends;
mod messages;
mod offers;
mod suite;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;

use crate::support::peers;

/// The peers, with their versions: the suite, two libraries for WebSocket, and one for HTTP/2.
const PACKAGES: [&str; 4] = ["kosoku==0.1.0", "websockets==15.0.1", "wsproto==1.3.2", "h2==4.4.1"];

/// How long a script may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A script of this folder, with its interpreter.
async fn script(name: &str) -> Command {
    let python = tokio::task::spawn_blocking(|| peers::python(&PACKAGES)).await.unwrap();
    let mut command = Command::new(python);
    // The scripts' own modules are compiled nowhere.
    command.arg("-B").arg(folder().join(name));
    command
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/websocket_suite")
}

/// Runs a script to its end, which has to come within a time: what it prints.
async fn output(command: Command, limit: Duration) -> String {
    let shown = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    let output = timeout(limit, command.stdin(Stdio::null()).kill_on_drop(true).output()).await;
    let output = output.unwrap_or_else(|_| panic!("waited in vain: {shown} ends")).unwrap();
    assert!(output.status.success(), "{shown}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

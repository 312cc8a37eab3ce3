//! The process's log, on stderr: text for people on a terminal, JSON lines elsewhere, filtered by `RUST_LOG`.
//!
//! What it promises: one event is one line, and no control character that came from outside reaches a terminal.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format;

use crate::config::{Log, LogFormat};

/// What is logged where `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "gatehouse=info,warn";

/// Sets up the process's log on stderr; a second call does nothing.
pub fn init_logging(log: &Log) {
    let wanted = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let parsed = EnvFilter::try_new(wanted.as_deref().unwrap_or(DEFAULT_FILTER));
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));

    let for_people = log.format == LogFormat::Auto && io::stderr().is_terminal();
    // Told nowhere: where stderr is closed, saying so there would end the thread that wrote.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false);
    // Fails where a subscriber is already set: that one stays.
    let first = if for_people {
        let fields = format::debug_fn(|writer, field, value| match field.name() {
            "message" => write!(Visible(writer), "{value:?}"),
            name => {
                write!(writer, "{name}=")?;
                write!(Visible(writer), "{value:?}")
            }
        });
        builder.compact().with_writer(io::stderr).fmt_fields(fields.delimited(" ")).try_init().is_ok()
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_writer(|| VisibleJson(io::stderr())).try_init().is_ok()
    };
    if let (true, Some(problem)) = (first, problem) {
        tracing::warn!(problem, "RUST_LOG is not a log filter; `{DEFAULT_FILTER}` is used instead");
    }
}

/// Writes control characters as what they are called, so that they do nothing.
struct Visible<W>(W);

impl<W: fmt::Write> fmt::Write for Visible<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let Some(control) = part.chars().next_back().filter(|last| last.is_control()) else {
                self.0.write_str(part)?;
                continue;
            };
            self.0.write_str(part.strip_suffix(control).unwrap_or(part))?;
            write!(self.0, "{}", control.escape_default())?;
        }
        Ok(())
    }
}

/// Passes whole JSON lines on. JSON itself allows DEL and the C1 controls inside strings, which some terminals act on.
struct VisibleJson<W>(W);

impl<W: Write> Write for VisibleJson<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let acts = |letter: char| letter.is_control() && letter >= '\u{7f}';
        if !text.contains(acts) {
            self.0.write_all(line)?;
            return Ok(line.len());
        }
        let mut safe = String::with_capacity(line.len() + 16);
        for letter in text.chars() {
            if acts(letter) {
                let _ = write!(safe, "\\u{:04x}", u32::from(letter));
            } else {
                safe.push(letter);
            }
        }
        self.0.write_all(safe.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::process::{Command, Output};

    use super::*;
    use crate::config::AccessLog;

    /// What a client might send to play with an operator's terminal or to forge a line.
    const HOSTILE: &str = "a\x1b[2Jb\nINFO forged\r\x07\u{9b}31m\u{7f}";

    /// Set for the process that a test starts to look at its stderr: this test binary again, as a child.
    const CHILD: &str = "GATEHOUSE_TEST_LOGGING";

    fn speak() {
        let log = Log { format: LogFormat::Auto, access: AccessLog::Off };
        init_logging(&log);
        init_logging(&Log { format: LogFormat::Json, ..log });
        tracing::info!(host = %HOSTILE, debugged = ?HOSTILE, count = 3, "message {HOSTILE}");
        tracing::debug!("quiet by default");
        tracing::info!(target: "other", "of a library");
        tracing::warn!(target: "other", "of a library, and it matters");
    }

    /// This test binary, running `test` as the child.
    fn child(test: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(CHILD, "1").env_remove("RUST_LOG");
        command
    }

    fn is_child() -> bool {
        std::env::var_os(CHILD).is_some()
    }

    fn events(output: &Output) -> Vec<serde_json::Value> {
        assert!(output.status.success());
        String::from_utf8(output.stderr.clone())
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    #[test]
    fn away_from_a_terminal_each_event_is_one_json_line_on_stderr() {
        if is_child() {
            return speak();
        }
        let test = "observe::logging::tests::away_from_a_terminal_each_event_is_one_json_line_on_stderr";
        let output = child(test).output().unwrap();
        let events = events(&output);
        assert_eq!(events.len(), 2, "{events:?}");
        assert_eq!(events[0]["host"], HOSTILE, "what was said is still there");
        assert_eq!(events[0]["level"], "INFO");
        assert_eq!(events[0]["count"], 3);
        assert_eq!(events[1]["message"], "of a library, and it matters");
        let raw = String::from_utf8(output.stderr).unwrap();
        assert!(!raw.contains(|letter: char| letter.is_control() && letter != '\n'), "{raw:?}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("of a library"), "nothing on stdout");

        let verbose = child(test).env("RUST_LOG", "gatehouse=debug").output().unwrap();
        assert!(self::events(&verbose).iter().any(|event| event["message"] == "quiet by default"));
        let wrong = child(test).env("RUST_LOG", "gatehouse=loud=er").output().unwrap();
        assert!(self::events(&wrong).iter().any(|event| event["message"].as_str().unwrap().contains("RUST_LOG")));
    }

    #[test]
    fn on_a_terminal_nothing_from_outside_moves_the_cursor_or_forges_a_line() {
        if is_child() {
            return speak();
        }
        let test = "observe::logging::tests::on_a_terminal_nothing_from_outside_moves_the_cursor_or_forges_a_line";
        let inner = child(test);
        let words: Vec<_> = inner.get_args().map(|word| word.to_str().unwrap()).collect();
        let line = format!("{} {} >/dev/null", std::env::current_exe().unwrap().display(), words.join(" "));
        let output =
            Command::new("script").args(["-qec", &line, "/dev/null"]).env(CHILD, "1").env_remove("RUST_LOG").output().expect("util-linux");
        let shown = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = shown.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 2, "{shown:?}");
        assert!(lines[0].contains("\\u{1b}[2J") && lines[0].contains("\\nINFO forged"), "{shown:?}");
        assert!(!shown.contains("\x1b[2J") && !shown.contains(['\u{9b}', '\u{7f}', '\u{7}']), "{shown:?}");
        assert!(serde_json::from_str::<serde_json::Value>(lines[0]).is_err(), "text for people");
    }
}

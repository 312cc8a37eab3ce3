//! The binary as a shell sees it: what goes to which stream, and with which exit code it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::process::{Command, Stdio};

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the binary in an empty directory that holds `config.toml` with `config`, where one is given.
fn gatehouse(config: Option<&str>, arguments: &[&str], env: &[(&str, &str)]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    if let Some(text) = config {
        std::fs::write(dir.path().join("config.toml"), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    let output = command.args(arguments).current_dir(dir.path()).env_clear().envs(env.iter().copied()).output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn a_good_configuration_is_summed_up_on_stdout() {
    let outcome = gatehouse(Some("tls.mode = \"off\"\nupstream.default = \"http://10.0.0.7:8000\""), &["check"], &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(outcome.stdout.starts_with("ok: config.toml\n"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("http://<slug>.example.localhost:8080") && outcome.stdout.contains("http://10.0.0.7:8000"));
    let defaults = gatehouse(None, &["check"], &[]);
    assert_eq!(defaults.code, Some(0));
    assert!(defaults.stdout.starts_with("ok: the defaults\n") && defaults.stdout.contains("certificates for development"));
    assert_eq!(defaults.stderr, "");
    let others = gatehouse(Some("[tenancy]\nbase_domain = \"example.com\"\napi_hosts = []\n"), &["check"], &[]);
    assert!(others.code == Some(0) && others.stderr.contains("note: certs/gatehouse.crt does not exist yet"), "{}", others.stderr);
}

#[test]
fn every_problem_is_a_line_on_stderr_and_the_code_is_2() {
    let wrong = "[listen]\nhtpp = \"0.0.0.0:80\"\nworkers = \"four\"\n";
    for verb in [&["check"][..], &["run"], &[], &["health"]] {
        let outcome = gatehouse(Some(wrong), verb, &[("ENABLE_SSO", "maybe")]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{verb:?}");
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        assert_eq!(
            lines,
            [
                "config.toml:2:1: unknown key `listen.htpp`, did you mean `http`?",
                "config.toml:3:11: listen.workers: expected a whole number from 0 to 1024, found \"four\"",
                "ENABLE_SSO: features.sso: expected true or false, found \"maybe\"",
            ]
        );
    }
}

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    assert_eq!(gatehouse(None, &["chekc"], &[]).code, Some(2));
    assert_eq!(gatehouse(None, &["check", "--what"], &[]).code, Some(2));
    let help = gatehouse(None, &["help", "check"], &[]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.contains("Example:\n  gatehouse check -c my.toml"), "{}", help.stdout);
    assert!(gatehouse(None, &["--version"], &[]).stdout.starts_with("gatehouse "));
}

#[test]
fn settings_stand_anywhere_in_one_place() {
    let set = ["--set", "listen.http=127.0.0.1:1", "--set=listen.https=127.0.0.1:2"];
    for line in [[&set[..], &["check"]].concat(), [&["check"], &set[..]].concat()] {
        assert_eq!(gatehouse(Some("tls.mode = \"off\""), &line, &[]).code, Some(0), "{line:?}");
    }
    let spread = gatehouse(None, &["--set", "listen.http=127.0.0.1:1", "check", "--set", "tls.mode=off"], &[]);
    assert!(spread.code == Some(2) && spread.stderr.contains("in one place"), "{}", spread.stderr);
}

#[test]
fn the_openapi_document_is_data_on_stdout() {
    let outcome = gatehouse(None, &["openapi"], &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/admin/tenants"].is_object());
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_gatehouse")).arg("openapi").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn bash_completes_verbs_and_options_of_verbs_below_others() {
    for (line, expected) in [("gatehouse ten", "tenant"), ("gatehouse key cre", "create"), ("gatehouse feature rollout --b", "--by")] {
        let script = r#"
            source <("$1" completions bash) || exit 1
            read -ra COMP_WORDS <<< "$2"
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _gatehouse gatehouse "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            echo "${COMPREPLY[@]}"
        "#;
        let output = Command::new("bash").args(["-c", script, "bash", env!("CARGO_BIN_EXE_gatehouse"), line]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected, "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let outcome = gatehouse(None, &["completions", shell], &[]);
        assert!(outcome.code == Some(0) && outcome.stdout.contains("rollout"), "{shell}");
    }
    assert_eq!(gatehouse(None, &["completions", "tcsh"], &[]).code, Some(2));
}

/// The image's health check and first command are verbs of this binary, and its user is not root.
#[test]
fn the_image_calls_verbs_that_exist() {
    let dockerfile = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Dockerfile")).unwrap();
    for verb in ["HEALTHCHECK", "CMD [\"run\"]", "ENTRYPOINT [\"gatehouse\"]", "CMD [\"gatehouse\", \"health\"]", "USER 10001:10001"] {
        assert!(dockerfile.contains(verb), "{verb}");
    }
    for verb in ["run", "health"] {
        assert_eq!(gatehouse(None, &[verb, "--help"], &[]).code, Some(0));
    }
}

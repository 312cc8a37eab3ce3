//! What is missing or dangerous in the configuration of a provider is told by its name, and never with the key.

use std::process::{Command, Stdio};

/// `gatehouse check` with this file and environment; exit code and stderr.
/// Settings of the file, of the environment, and what is said.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

fn check(config: &str, env: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    command.args(["check", "-c", "config.toml"]).current_dir(folder.path()).env_clear().envs(env.iter().copied());
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

const STRIPE: &str = "tls.mode = \"off\"\nbilling.provider = \"stripe\"\n";

#[test]
fn a_provider_without_its_key_or_with_a_wrong_one_is_refused_and_no_key_is_shown() {
    let key = |value| [("STRIPE_SECRET_KEY", value)];
    let clock = format!("{STRIPE}dev.test_clock = true\n");
    let in_file = format!("{STRIPE}billing.stripe_secret_key = \"sk_test_hush\"\n");
    let hook = format!("{STRIPE}billing.stripe_webhook_secret = \"whsec_hush\"\n");
    let clear = format!("{STRIPE}billing.stripe_api = \"http://stripe.example\"\n");
    let cases: [Case<'_>; 8] = [
        (STRIPE, &[], &["config.toml:2:20: billing.provider: ", "STRIPE_SECRET_KEY"]),
        (STRIPE, &key("hush"), &["STRIPE_SECRET_KEY: billing.stripe_secret_key: ", "sk_test_", "rk_live_"]),
        (STRIPE, &key("sk_test_"), &["STRIPE_SECRET_KEY: billing.stripe_secret_key: "]),
        (STRIPE, &key("pk_test_hush"), &["STRIPE_SECRET_KEY: billing.stripe_secret_key: "]),
        (&in_file, &[], &["config.toml:3:29: billing.stripe_secret_key: ", "environment", "STRIPE_SECRET_KEY"]),
        (&hook, &key("sk_test_hush"), &["config.toml:3:33: billing.stripe_webhook_secret: ", "STRIPE_WEBHOOK_SECRET"]),
        (&clock, &key("sk_live_hush"), &["config.toml:3:18: dev.test_clock: ", "live key", "real money"]),
        (&clear, &key("sk_test_hush"), &["config.toml:3:22: billing.stripe_api: ", "https://"]),
    ];
    for (config, env, said) in cases {
        let (code, stderr) = check(config, env);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(said.iter().all(|part| stderr.contains(part)) && !stderr.contains("hush"), "{said:?}\n{stderr}");
        assert_eq!(stderr.lines().filter(|line| !line.starts_with("note: ")).count(), 1, "{stderr}");
    }
}

#[test]
fn test_keys_restricted_keys_and_live_keys_are_taken() {
    for key in ["sk_test_hush", "rk_test_hush", "sk_live_hush", "rk_live_hush"] {
        let (code, stderr) = check(STRIPE, &[("STRIPE_SECRET_KEY", key), ("STRIPE_WEBHOOK_SECRET", "whsec_hush")]);
        assert!(code == Some(0) && !stderr.contains("hush"), "{stderr}");
    }
    let clock = format!("{STRIPE}dev.test_clock = true\n");
    assert_eq!(check(&clock, &[("STRIPE_SECRET_KEY", "sk_test_hush")]).0, Some(0));
}

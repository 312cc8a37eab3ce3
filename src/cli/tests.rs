//! How arguments are understood, and what the health probe takes for an answer.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::TcpListener;

use clap::Parser;

use super::{Cli, command, exit_code};

fn run(arguments: &[&str]) -> anyhow::Result<()> {
    Cli::try_parse_from(std::iter::once(&"gatehouse").chain(arguments)).unwrap().execute()
}

#[test]
fn the_help_of_every_verb_has_an_example() {
    let mut command = command();
    command.clone().debug_assert();
    command.build();
    let of_ours = |verb: &&clap::Command| verb.get_name() != "help";
    let below = command.get_subcommands().filter(of_ours).flat_map(|verb| std::iter::once(verb).chain(verb.get_subcommands()));
    let verbs: Vec<_> = std::iter::once(&command).chain(below.filter(of_ours)).collect();
    assert!(verbs.len() > 50, "{}", verbs.len());
    for verb in verbs {
        let help = verb.clone().render_long_help().to_string();
        assert!(help.contains("Example") && help.contains("gatehouse "), "{help}");
    }
}

#[test]
fn without_a_verb_it_is_run() {
    let without = Cli::try_parse_from(["gatehouse", "-c", "a.toml", "--set", "a.b=1"]).unwrap();
    assert!(without.verb.is_none());
    assert_eq!((without.settings.config.unwrap().to_str(), without.settings.overrides.len()), (Some("a.toml"), 1));
    assert!(Cli::try_parse_from(["gatehouse", "rnu"]).unwrap_err().exit_code() == 2);
}

#[test]
fn options_of_all_verbs_stand_before_behind_and_between_them() {
    let spread = |line: &str| {
        let Cli { verb: Some(super::Verb::Tenant(tenant)), settings } = Cli::try_parse_from(line.split_whitespace()).unwrap() else {
            panic!("{line}")
        };
        let shown = format!("{tenant:?}");
        assert!(shown.contains("a.toml") && shown.contains("x=1") && shown.contains("127.0.0.1:1") && shown.contains("Json"), "{shown}");
        assert_eq!(settings.config.unwrap().to_str(), Some("a.toml"));
    };
    spread("gatehouse tenant list -c a.toml --set x=1 --admin http://127.0.0.1:1 -o json");
    spread("gatehouse tenant -c a.toml --set x=1 --admin http://127.0.0.1:1 -o json list");
    spread("gatehouse -c a.toml --set x=1 tenant --admin http://127.0.0.1:1 list -o json");
    spread("gatehouse -c b.toml tenant -o json list -c a.toml --admin http://127.0.0.1:1 --set x=1");
}

#[test]
fn wrong_configurations_and_wrong_usage_have_code_2() {
    for wrong in [
        vec!["check", "-c", "/does/not/exist.toml"],
        vec!["check", "-c", "/dev/null", "--set", "listen.htpp=1"],
        vec!["check", "-c", "/dev/null", "--set", "listen"],
        vec!["health", "--admin", "127.0.0.1:3000"],
        vec!["health", "--admin", "https://127.0.0.1:3000"],
    ] {
        let error = run(&wrong).unwrap_err();
        assert_eq!(exit_code(&error), 2, "{wrong:?}: {error}");
    }
}

/// Answers one connection with `reply`, and gives back what it was asked.
fn answering(reply: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut buffer) = (Vec::new(), [0; 256]);
        while !asked.ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut buffer).unwrap();
            asked.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(reply.as_bytes()).unwrap();
        String::from_utf8(asked).unwrap()
    });
    (url, thread)
}

#[test]
fn only_200_is_healthy() {
    for (reply, healthy) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
        ("SSH-2.0-server", false),
        ("HTTP", false),
        ("", false),
    ] {
        let (url, thread) = answering(reply);
        let outcome = run(&["health", "--admin", &url]);
        assert_eq!(outcome.is_ok(), healthy, "{reply}: {outcome:?}");
        assert!(outcome.is_ok() || exit_code(&outcome.unwrap_err()) == 1);
        let asked = thread.join().unwrap();
        assert!(asked.starts_with("GET /readyz HTTP/1.1\r\nHost: localhost:"), "{asked}");
    }
}

#[test]
fn nobody_listening_is_not_healthy_and_the_listener_comes_from_the_configuration() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let set = format!("listen.admin={free}");
    assert_eq!(exit_code(&run(&["health", "-c", "/dev/null", "--set", &set]).unwrap_err()), 1);
    let (url, thread) = answering("HTTP/1.1 200 OK\r\n\r\n");
    // Listening on every address, it is asked on the loopback one.
    let set = format!("listen.admin=0.0.0.0:{}", url.rsplit(':').next().unwrap());
    run(&["health", "-c", "/dev/null", "--set", &set, "--set", "admin.token=t"]).unwrap();
    thread.join().unwrap();
}

//! A year of billing, and more of it after kills: every invoice is what a calculation of its own says, made by another program from the
//! rules of the interface; numbers have no gaps, and no period has two invoices.
//!
//! What is asked for is made from a seed, which is told. Another one, or more kills:
//!
//! ```text
//! YEAR_SEED=1234 cargo nextest run billing_year
//! KILL_ROUNDS=200 KILL_SEED=1234 cargo nextest run billing_year
//! ```

mod judge;
mod play;
mod scenario;

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use self::scenario::{CONFIG, Scenario, Size};
use crate::support::upstream::RunningUpstream;
use crate::support::{TestGateway, Upstream};

const YEAR: Size = Size { tenants: 1_000, days: 400, creation: 31, every: 1, changes: 2 };

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A gateway and its app.
async fn gateway() -> (TestGateway, RunningUpstream) {
    let origin = Upstream::replying("hello").start().await;
    (TestGateway::to(&origin).toml(CONFIG).set("log.access", "off").plaintext().start().await, origin)
}

/// Plays a scenario to its end, and compares.
async fn plays(seed: u64, size: Size) {
    eprintln!("YEAR_SEED={seed}");
    let scenario = Scenario::of(seed, size);
    let expected = judge::expected(&scenario);
    let (gateway, _origin) = gateway().await;
    let mut refused = Vec::new();
    let begun = std::time::Instant::now();
    let (mut moving, mut asking) = (Duration::ZERO, Duration::ZERO);
    for step in &scenario.steps {
        let at = std::time::Instant::now();
        play::move_to(&gateway, step.at).await;
        moving += at.elapsed();
        let at = std::time::Instant::now();
        refused.extend(play::ask(&gateway, step).await);
        asking += at.elapsed();
    }
    eprintln!("played {:?}: moving {moving:?}, asking {asking:?}", begun.elapsed());
    let found = play::outcome(&gateway).await;
    eprintln!("read {:?}", begun.elapsed());
    judge::same(&found, &expected, &scenario);
    refused.sort();
    let mut should: Vec<Value> = expected["refused"].as_array().unwrap().clone();
    should.sort_by_key(ToString::to_string);
    assert_eq!(json!(refused), json!(should));
    let count = judge::numbered_without_gaps(&found, expected["creditNotes"].as_u64().unwrap());
    eprintln!("{count} invoices");
    let ids = found.values().flat_map(|(_, invoices)| invoices).map(|it| it["id"].as_str().unwrap().to_owned());
    play::explain(&gateway, ids.collect()).await;
    eprintln!("explained {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_year_of_a_thousand_tenants_is_billed_as_calculated() {
    plays(variable("YEAR_SEED").unwrap_or(2028), YEAR).await;
}

#[tokio::test]
async fn three_years_of_many_changes_are_billed_as_calculated() {
    let size = Size { tenants: 60, days: 3 * 366, creation: 62, every: 1, changes: 12 };
    plays(variable("YEAR_SEED").unwrap_or(29), size).await;
}

#[tokio::test]
async fn kills_while_time_moves_leave_every_invoice_exactly_once() {
    let (rounds, seed) = (variable("KILL_ROUNDS").unwrap_or(8), variable("KILL_SEED").unwrap_or_else(|| fastrand::u64(..)));
    eprintln!("KILL_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    // One move of the clock for each kill, and each brings a whole month or more.
    let every = 25;
    let size = Size { tenants: 40, days: i64::try_from(rounds).unwrap() * every, creation: 2 * every, every, changes: 3 };
    let scenario = Scenario::of(rng.u64(..), size);
    let expected = judge::expected(&scenario);
    let (mut gateway, _origin) = gateway().await;
    let mut cut = 0;
    for (nth, step) in scenario.steps.iter().enumerate() {
        if nth > 0 {
            cut += u64::from(kill_while_moving(&mut gateway, step.at, &mut rng).await);
        }
        play::move_to(&gateway, step.at).await;
        play::ask(&gateway, step).await;
    }
    eprintln!("{cut} of {} moves were cut off", scenario.steps.len() - 1);
    let found = play::outcome(&gateway).await;
    judge::same(&found, &expected, &scenario);
    judge::numbered_without_gaps(&found, expected["creditNotes"].as_u64().unwrap());
}

/// Kills the process at some moment of a move of the clock, and starts it again; true where that has cut the move off.
async fn kill_while_moving(gateway: &mut TestGateway, to: i64, rng: &mut Rng) -> bool {
    let client = gateway.client.clone();
    let request = client.post(format!("http://{}/admin/clock", gateway.admin)).header("content-type", "application/json");
    let request = request.body(json!({"to": to}).to_string());
    let moving = tokio::spawn(async move { request.send().await.is_err() });
    tokio::time::sleep(Duration::from_millis(rng.u64(0..400))).await;
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    moving.await.unwrap()
}

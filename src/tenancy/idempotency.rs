//! Answers kept for `Idempotency-Key`: written in the same commit as what they tell, so that a request is done once and
//! told the same every time.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::TenancyError;
use super::change::{decode, encode};
use crate::model::{Millis, hex};
use crate::store::{Key, Precondition, Scan, Store, Table, Tx, Version};

/// How long an answer is kept.
const KEPT_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// An answer as it was given. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptAnswer {
    /// Hash of the request's method, path and body.
    pub fingerprint: String,
    /// HTTP status.
    pub status: u16,
    /// Its body.
    pub body: Value,
    /// When it was given.
    pub time: Millis,
}

impl KeptAnswer {
    /// The fingerprint of a request; the parts cannot run into each other.
    pub fn fingerprint(method: &str, path: &str, body: &[u8]) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [method.as_bytes(), path.as_bytes(), body] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        hex(context.finish().as_ref())
    }
}

/// The answer kept under `name`, and the version of an outdated one that may be written over.
pub async fn kept_answer(store: &dyn Store, name: &str, now: Millis) -> Result<(Option<KeptAnswer>, Option<Version>), TenancyError> {
    let key = answer_key(name);
    let Some(record) = store.get(&key).await? else { return Ok((None, None)) };
    let answer: KeptAnswer = decode(&key, &record.value)?;
    if is_outdated(&answer, now) { Ok((None, Some(record.version))) } else { Ok((Some(answer), None)) }
}

/// Adds the answer to a commit. Of two requests with the same name, only one can commit.
pub fn attach_answer(tx: &mut Tx, name: &str, answer: &KeptAnswer, outdated: Option<Version>) -> Result<(), TenancyError> {
    let key = answer_key(name);
    let fresh = match outdated {
        Some(version) => Precondition::Unchanged(key.clone(), version),
        None => Precondition::Absent(key.clone()),
    };
    tx.preconditions.insert(0, fresh);
    tx.puts.push((key, encode(answer)?));
    Ok(())
}

/// Removes answers older than a day, at most 500; how many. For a job.
pub async fn purge_answers(store: &dyn Store, now: Millis) -> Result<usize, TenancyError> {
    let mut tx = Tx::default();
    let mut after = None;
    loop {
        let scan = Scan { table: Table::Idempotency, prefix: String::new(), after, newest_first: false, limit: 500 };
        let records = store.scan(scan).await?;
        for record in &records {
            let outdated = decode::<KeptAnswer>(&record.key, &record.value).is_ok_and(|answer| is_outdated(&answer, now));
            if outdated && tx.deletes.len() < 500 {
                tx.preconditions.push(Precondition::Unchanged(record.key.clone(), record.version));
                tx.deletes.push(record.key.clone());
            }
        }
        after = records.last().map(|record| record.key.id.clone());
        if records.len() < 500 || tx.deletes.len() >= 500 {
            break;
        }
    }
    let count = tx.deletes.len();
    if count > 0 {
        store.commit(tx).await?;
    }
    Ok(count)
}

fn is_outdated(answer: &KeptAnswer, now: Millis) -> bool {
    now.0.saturating_sub(answer.time.0) >= KEPT_MILLIS
}

/// Clients choose the name, so it is hashed: any text, of any length a header may have, becomes a valid key.
fn answer_key(name: &str) -> Key {
    Key::new(Table::Idempotency, hex(digest::digest(&digest::SHA256, name.as_bytes()).as_ref()))
}

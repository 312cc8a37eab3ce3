//! Restoring a backup: into an empty store only, and whole or not at all. While it runs, the state says so; where it is cut off,
//! the next start removes what it brought.

use std::sync::PoisonError;

use super::apply;
use super::stage::Stage;
use super::writer::{GROUP_BYTES, Writer};
use crate::store::codec::{self, space};
use crate::store::{Snapshot, StoreError, rules};

/// What a backup fills.
const FILLED: [u8; 4] = [space::HEAD, space::PART, space::USAGE, space::NUMBER];

/// Fills the store. The snapshot has been checked.
pub(super) fn import(writer: &mut Writer, snapshot: Snapshot) -> Result<(), StoreError> {
    for space in FILLED {
        if let Some(entry) = writer.shared.entries.space(space).next() {
            return entry.and_then(|_| Err(rules::not_empty()));
        }
    }
    let shared = writer.shared.clone();
    // Nobody sees a part of it.
    let _still = shared.gate.write().unwrap_or_else(PoisonError::into_inner);
    let newest = snapshot.records.iter().map(|record| record.version.0).max().unwrap_or(0);
    let mut step = Stage::new(&shared.entries, writer.state);
    step.state.importing = true;
    for record in &snapshot.records {
        apply::set_record(&mut step, &record.key, Some((record.version.0, &record.value)))?;
        step = part(writer, step)?;
    }
    for row in &snapshot.usage {
        step.put(codec::usage_key(row.tenant, row.day, row.writer), &codec::usage_payload(&row.totals))?;
        step = part(writer, step)?;
    }
    for (name, number) in &snapshot.numbers {
        step.put(codec::named_key(space::NUMBER, name), &number.to_le_bytes())?;
        step = part(writer, step)?;
    }
    step.state.importing = false;
    step.state.version = step.state.version.max(newest);
    write(writer, step)
}

/// Removes what an import brought that did not end.
pub(super) fn undo(writer: &mut Writer) -> Result<(), StoreError> {
    let shared = writer.shared.clone();
    let _still = shared.gate.write().unwrap_or_else(PoisonError::into_inner);
    let mut step = Stage::new(&shared.entries, writer.state);
    for space in FILLED {
        for entry in shared.entries.space(space) {
            step.remove(entry?.0)?;
            step = part(writer, step)?;
        }
    }
    step.state.importing = false;
    write(writer, step)
}

/// Writes the step where it is long enough, and begins the next.
fn part<'a>(writer: &mut Writer, step: Stage<'a>) -> Result<Stage<'a>, StoreError> {
    if step.bytes() < GROUP_BYTES {
        return Ok(step);
    }
    let entries = step.entries;
    write(writer, step)?;
    Ok(Stage::new(entries, writer.state))
}

fn write(writer: &mut Writer, step: Stage<'_>) -> Result<(), StoreError> {
    let group = step.finish();
    writer.put(group.batch, group.state.version)?;
    writer.make_durable(group.state)
}

//! Reports: what an app or an operator says that a tenant has, and who was active. They go through the journal like calls.

use aws_lc_rs::digest;

use crate::model::{Gauge, Millis, TenantId};

/// Stands for a user of the app: the first half of a SHA-256 over its id, so that no id is kept.
pub type UserHash = [u8; 16];

/// One report, as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Of whom.
    pub tenant: TenantId,
    /// When it was made; decides the month.
    pub time: Millis,
    /// What it says.
    pub what: What,
    /// Where it must not be taken twice.
    pub key: Option<ReportKey>,
}

/// What a report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The level of a gauge after it, and how much of that the plan billed: the newest report is the truth, however often it is
    /// folded.
    Level(Gauge, u64, u64),
    /// A user was active, for the first time in the month.
    ActiveUser(UserHash),
    /// A user was active who had been active in the month before; only its key is of interest.
    KnownUser,
}

/// The idempotency key of a report, and what was reported under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportKey {
    /// Hash of tenant and key.
    pub key: [u8; 16],
    /// Hash of what was asked for.
    pub body: [u8; 16],
}

impl ReportKey {
    /// What was asked for, as it is kept.
    pub fn body_text(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.body))
    }
}

/// The first half of a SHA-256 over `parts`, which cannot run into each other.
pub fn short_hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    // A SHA-256 has 32 octets.
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

//! Active users: the distinct users of a tenant in a month, as hashes in the order in which they came, in records of bounded size.
//!
//! Who is new is decided before a report is made (the tenant's set in memory holds all of the month); here they are kept.

use std::collections::HashSet;

use super::report::UserHash;
use super::report_fold::unreadable;
use crate::model::{Month, TenantId};
use crate::store::{Key, Record, Scan, Store, StoreError, Table};

/// Hashes of one record: with them it is one entry of the store.
const USERS: usize = 240;
/// Octets of a hash.
const LEN: usize = 16;
/// Records that are read at once.
const PAGE: usize = 500;

/// The record that holds `users` after those that are there. More than fit make it longer, once.
pub(super) async fn append(store: &dyn Store, month: Month, tenant: TenantId, users: &[UserHash]) -> Result<(Key, Vec<u8>), StoreError> {
    let prefix = format!("{month}/{tenant}/");
    let scan = Scan { table: Table::ActiveUsers, prefix: prefix.clone(), after: None, newest_first: true, limit: 1 };
    let last = store.scan(scan).await?.pop();
    let (key, mut value) = match last {
        Some(record) if record.value.len() < USERS * LEN => (record.key, record.value),
        Some(record) => {
            let number = record.key.id.strip_prefix(&prefix).and_then(|number| number.parse::<u64>().ok());
            let number = number.ok_or_else(|| unreadable(&record.key))? + 1;
            (Key::new(Table::ActiveUsers, format!("{prefix}{number:08}")), Vec::new())
        }
        None => (Key::new(Table::ActiveUsers, format!("{prefix}{:08}", 0)), Vec::new()),
    };
    users.iter().for_each(|user| value.extend_from_slice(user));
    Ok((key, value))
}

/// How many users were active in a month, as far as reports are folded.
pub async fn count_active_users(store: &dyn Store, month: Month, tenant: TenantId) -> Result<u64, StoreError> {
    let mut count = 0;
    each(store, format!("{month}/{tenant}/"), None, |record| {
        count += (record.value.len() / LEN) as u64;
        Ok(())
    })
    .await?;
    Ok(count)
}

/// The users of `from` and of later months, of all tenants: a clock may have been ahead.
pub async fn all_active_users(store: &dyn Store, from: Month) -> Result<Vec<(TenantId, Month, HashSet<UserHash>)>, StoreError> {
    let mut tenants: Vec<(TenantId, Month, HashSet<UserHash>)> = Vec::new();
    // What begins with the month sorts after it.
    each(store, String::new(), Some(from.to_string()), |record| {
        let mut parts = record.key.id.split('/');
        let of = parts.next().and_then(|month| month.parse().ok()).zip(parts.next().and_then(|tenant| tenant.parse().ok()));
        let (month, tenant) = of.ok_or_else(|| unreadable(&record.key))?;
        let users = record.value.as_chunks::<LEN>().0.iter().copied();
        match tenants.last_mut().filter(|(last, of, _)| (*last, *of) == (tenant, month)) {
            Some((_, _, known)) => known.extend(users),
            None => tenants.push((tenant, month, users.collect())),
        }
        Ok(())
    })
    .await?;
    Ok(tenants)
}

async fn each(
    store: &dyn Store,
    prefix: String,
    mut after: Option<String>,
    mut with: impl FnMut(&Record) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    loop {
        let scan = Scan { table: Table::ActiveUsers, prefix: prefix.clone(), after, newest_first: false, limit: PAGE };
        let records = store.scan(scan).await?;
        records.iter().try_for_each(&mut with)?;
        if records.len() < PAGE {
            return Ok(());
        }
        after = records.last().map(|record| record.key.id.clone());
    }
}

//! What the trait promises, as tests that any implementation has to pass. `promises!` runs them all against one factory.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chains;
mod commits;
mod reading;
mod usage;

use std::sync::Arc;

use super::memory::Memory;
use super::{AuditRow, Embedded, Key, Scan, Store, Table, Tx};
use crate::model::{Millis, TenantId};

/// A new store, and what must live as long.
struct Fresh {
    store: Arc<dyn Store>,
    _directory: Option<tempfile::TempDir>,
}

impl std::ops::Deref for Fresh {
    type Target = Arc<dyn Store>;

    fn deref(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

fn memory() -> Fresh {
    Fresh { store: Arc::new(Memory::default()), _directory: None }
}

fn embedded() -> Fresh {
    let directory = tempfile::tempdir().unwrap();
    Fresh { store: Arc::new(Embedded::open(directory.path()).unwrap()), _directory: Some(directory) }
}

/// Behind the one that adds events to what is committed; nobody wants to hear of what these tests commit.
fn outbox() -> Fresh {
    let endpoint = "[events.endpoint.crm]\nurl = \"https://crm.example\"\nsecret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz\"\nevents = [\"invoice.*\"]";
    let config = crate::config::Config::from_toml(endpoint).unwrap().events;
    let events = crate::events::Events::new(Arc::new(Memory::default()), &config, Vec::new(), Arc::default());
    Fresh { store: events.outbox(), _directory: None }
}

macro_rules! promises {
    ($($part:ident: $($promise:ident),+;)+) => {
        mod in_memory {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$part::$promise(&super::memory).await;
            })+)+
        }

        mod behind_the_outbox {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$part::$promise(&super::outbox).await;
            })+)+
        }

        mod in_sled {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$part::$promise(&super::embedded).await;
            })+)+
        }

        mod in_sled_on_one_thread {
            $($(#[tokio::test]
            async fn $promise() {
                super::$part::$promise(&super::embedded).await;
            })+)+
        }
    };
}

promises! {
    chains:
        audit_rows_form_one_chain_without_gaps_whatever_conflicts,
        a_log_of_before_stays_and_the_chain_begins_after_it,
        a_log_that_was_changed_anywhere_is_told_of;
    commits:
        a_commit_happens_as_a_whole,
        a_broken_precondition_names_its_key_and_nothing_happens,
        of_concurrent_claims_of_one_key_exactly_one_wins,
        of_concurrent_changes_of_one_version_exactly_one_wins,
        numbers_have_no_gaps_even_where_commits_conflict,
        one_commit_draws_several_numbers_in_order,
        a_number_is_written_where_its_mark_stands,
        deletes_come_before_puts,
        versions_grow_with_every_commit,
        a_large_value_can_shrink_and_grow,
        audit_rows_share_the_commit_and_its_fate,
        the_audit_log_cannot_be_changed,
        what_cannot_be_held_is_refused_and_nothing_happens;
    reading:
        scans_go_through_a_table_in_the_order_of_ids,
        many_records_are_read_at_once_in_the_order_asked_for,
        pages_join_without_gap_or_overlap_in_both_directions,
        a_scan_with_a_prefix_stays_within_it,
        changes_tell_whole_commits_in_order,
        the_last_ten_thousand_changes_are_kept,
        an_export_fills_an_empty_store_with_the_same,
        numbers_and_versions_go_on_after_an_import,
        an_import_into_a_store_with_data_is_refused,
        an_import_that_is_not_whole_is_refused;
    usage:
        the_same_usage_twice_changes_nothing,
        usage_never_goes_backwards,
        usage_is_read_by_tenant_and_range_of_days,
        usage_of_all_tenants_is_read_in_pages_of_whole_tenants,
        a_lease_has_one_holder_at_a_time,
        a_lease_ends_with_its_time;
}

fn key(id: impl Into<String>) -> Key {
    Key::new(Table::Settings, id)
}

fn put(id: impl Into<String>, value: impl Into<Vec<u8>>) -> Tx {
    Tx { puts: vec![(key(id), value.into())], ..Tx::default() }
}

fn all(table: Table) -> Scan {
    Scan { table, prefix: String::new(), after: None, newest_first: false, limit: usize::MAX }
}

fn audit_row(tenant: Option<TenantId>) -> AuditRow {
    AuditRow {
        time: Millis(1_700_000_000_000),
        actor: "admin".to_owned(),
        source: None,
        action: "tenant.created".to_owned(),
        tenant_id: tenant,
        before: None,
        after: Some(serde_json::json!({ "slug": "acme" })),
        request_id: None,
        reason: None,
    }
}

async fn ids(store: &Arc<dyn Store>, scan: Scan) -> Vec<String> {
    store.scan(scan).await.unwrap().into_iter().map(|record| record.key.id).collect()
}

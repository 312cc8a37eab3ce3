//! Cumulative counters and leases.

use std::time::Duration;

use super::Fresh;
use crate::model::{Day, Millis, TenantId, Totals};
use crate::store::UsageRow;

fn row(tenant: TenantId, day: i32, writer: u64, metered: u64) -> UsageRow {
    UsageRow { writer, tenant, day: Day(day), totals: Totals { metered, egress: metered * 10, ..Totals::default() } }
}

pub async fn the_same_usage_twice_changes_nothing(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let rows: Vec<UsageRow> = (0..1_200).map(|at| row(TenantId::new(Millis(at)), 1, 1, at as u64)).collect();
    for _ in 0..2 {
        store.add_usage(rows.clone()).await.unwrap();
        let mut stored = store.export().await.unwrap().usage;
        stored.sort_by_key(|row| row.totals.metered);
        assert_eq!(stored, rows);
    }
}

pub async fn usage_never_goes_backwards(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let tenant = TenantId::new(Millis(1));
    let (low, high) = (row(tenant, 1, 1, 5), row(tenant, 1, 1, 9));
    store.add_usage(vec![low, high, low]).await.unwrap();
    store.add_usage(vec![low]).await.unwrap();
    assert_eq!(store.usage(tenant, Day(1)..Day(2)).await.unwrap(), [high]);
    // Each counter for itself.
    let mixed = UsageRow { totals: Totals { metered: 1, egress: 1_000, ..Totals::default() }, ..high };
    store.add_usage(vec![mixed]).await.unwrap();
    let expected = UsageRow { totals: Totals { egress: 1_000, ..high.totals }, ..high };
    assert_eq!(store.usage(tenant, Day(1)..Day(2)).await.unwrap(), [expected]);
}

pub async fn usage_is_read_by_tenant_and_range_of_days(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let (mine, other) = (TenantId::new(Millis(1)), TenantId::new(Millis(2)));
    let mut rows = Vec::new();
    for day in [-1, 0, 1, 2, 3] {
        rows.extend([row(mine, day, 1, 10), row(mine, day, 2, 20), row(other, day, 1, 30)]);
    }
    store.add_usage(rows.clone()).await.unwrap();
    let expected = |days: std::ops::Range<i32>| {
        let wanted = |row: &&UsageRow| row.tenant == mine && days.contains(&row.day.0);
        rows.iter().filter(wanted).copied().collect::<Vec<_>>()
    };
    for days in [-1..4, 1..3, 2..3, -5..0, 3..99] {
        let mut found = store.usage(mine, Day(days.start)..Day(days.end)).await.unwrap();
        found.sort_by_key(|row| (row.day, row.writer));
        assert_eq!(found, expected(days));
    }
    assert_eq!(store.usage(mine, Day(2)..Day(2)).await.unwrap(), []);
    assert_eq!(store.usage(mine, Day(3)..Day(1)).await.unwrap(), []);
    assert_eq!(store.usage(TenantId::new(Millis(3)), Day(i32::MIN)..Day(i32::MAX)).await.unwrap(), []);
}

pub async fn usage_of_all_tenants_is_read_in_pages_of_whole_tenants(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let mut tenants: Vec<TenantId> = (0..40).map(|at| TenantId::new(Millis(at))).collect();
    tenants.extend([TenantId::from_bytes([0; 16]), TenantId::from_bytes([0xff; 16])]);
    let mut rows = Vec::new();
    for (at, tenant) in tenants.iter().enumerate() {
        // Some have days before the first that is wanted only, one has so many of them that they are skipped.
        let days: Vec<i32> = if at == 7 { (-90..10).collect() } else { (-3..at as i32 % 4).collect() };
        rows.extend(days.into_iter().flat_map(|day| [row(*tenant, day, 1, 10), row(*tenant, day, u64::MAX, 20)]));
    }
    rows.push(row(tenants[3], i32::MAX, 1, 30));
    store.add_usage(rows.clone()).await.unwrap();
    rows.sort_by_key(|row| (row.tenant, row.day, row.writer));
    for from in [i32::MIN, -3, 0, 2, 5, i32::MAX] {
        let wanted: Vec<UsageRow> = rows.iter().filter(|row| row.day.0 >= from).copied().collect();
        for limit in [1, 7, 100, usize::MAX] {
            let (mut joined, mut after) = (Vec::new(), None);
            loop {
                let mut page = store.usage_since(Day(from), after, limit).await.unwrap();
                let one = page.first().map(|row| row.tenant) == page.last().map(|row| row.tenant);
                assert!(page.len() <= limit || one, "only a tenant that is larger than a page exceeds it");
                page.sort_by_key(|row| (row.tenant, row.day, row.writer));
                after = page.last().map(|row| row.tenant);
                joined.extend(page);
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(joined, wanted, "from {from} in pages of {limit}");
        }
    }
    assert_eq!(store.usage_since(Day(0), None, 0).await.unwrap(), []);
}

pub async fn a_lease_has_one_holder_at_a_time(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let mut asking = tokio::task::JoinSet::new();
    for holder in 0..10 {
        let store = store.store.clone();
        asking.spawn(async move { store.lease("fold", &format!("{holder}"), Millis(1_000), Duration::from_secs(10)).await.unwrap() });
    }
    assert_eq!(asking.join_all().await.into_iter().filter(|got| *got).count(), 1);
    assert!(store.lease("other", "someone else", Millis(1_000), Duration::from_secs(10)).await.unwrap());
}

pub async fn a_lease_ends_with_its_time(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let ten = Duration::from_secs(10);
    let ask = async |holder: &str, now: i64, ttl: Duration| store.lease("fold", holder, Millis(now), ttl).await.unwrap();
    assert!(ask("one", 0, ten).await);
    assert!(!ask("two", 9_999, ten).await);
    assert!(ask("one", 9_999, ten).await, "its holder renews it");
    assert!(!ask("two", 10_000, ten).await, "it was renewed");
    assert!(ask("two", 19_999, ten).await);
    assert!(!ask("one", 20_000, ten).await);
    assert!(ask("two", 20_000, Duration::MAX).await);
    assert!(!ask("one", i64::MAX - 1, ten).await);
}

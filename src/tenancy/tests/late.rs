//! What comes while the journal has no room is brought into it when it has: nothing is lost, nothing counts twice.

use std::sync::Arc;

use crate::billing::invoicing::Chargeable;
use crate::clock::{SharedClock, TestClock};
use crate::config::Config;
use crate::metering::{Journal, fold, fold_reports, stored_levels};
use crate::model::{BillingCycle, Gauge, Millis, TenantId};
use crate::store::memory::Memory;
use crate::store::{Store, Version};
use crate::tenancy::{Accounts, Cause, Desk, NewTenant};
use crate::tenancy::{Directory, DirectorySettings, Octets, Plans, Shift, create_tenant};
use crate::upstream::{Resolver, TlsFiles};

const NOW: Millis = Millis(1_795_608_000_000);

fn directory() -> (Directory, TenantId) {
    let config = Config::load(None, std::iter::empty(), Vec::new()).unwrap();
    let clock: SharedClock = Arc::new(TestClock::at(NOW));
    let directory = Directory::new(DirectorySettings {
        issuers: Arc::default(),
        base_domain: config.tenancy.base_domain.clone(),
        custom_domains: false,
        plans: Arc::new(Plans::fixed(&config.plans, &config.add_ons)),
        default_upstream: config.upstream.default.clone(),
        resolver: Arc::new(Resolver::new(Vec::new(), TlsFiles::default()).unwrap()),
        sso: false,
        proves: Arc::new(|_| false),
        serve: Arc::new(|_, _| ()),
        clock,
        accounts: Arc::new(Accounts::new(Arc::new(config.clone()))),
    });
    let new = NewTenant {
        name: "Acme".to_owned(),
        slug: "acme".to_owned(),
        plan: "free".to_owned(),
        billing_cycle: BillingCycle::Monthly,
        custom_domain: None,
        config: None,
        metadata: None,
        upstream: Vec::new(),
        billing: None,
    };
    let cause = Cause::of("system", NOW);
    let plans = Plans::fixed(&config.plans, &config.add_ons);
    let desk = Desk { config: &config, plans: &plans, collects: false, chargeable: Chargeable::default() };
    let tenant = create_tenant(&new, desk, &cause).unwrap().tenant;
    directory.publish(&tenant, Version(1));
    (directory, tenant.id)
}

#[tokio::test]
async fn octets_and_reports_that_find_no_room_are_brought_in_when_there_is_some() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = Journal::open(dir.path(), &store, NOW).await.unwrap();
    let (directory, id) = directory();
    let tenant = directory.by_id(id).unwrap();
    let mut others = 0_u128;
    while journal.slot(TenantId::from_bytes((others + 1).to_be_bytes()), NOW.day()).is_ok() {
        others += 1;
    }
    let gauges = Arc::clone(tenant.gauges(NOW));
    let mut moved = 0;
    while !journal.lacked_room() || moved == 0 {
        gauges.report(&journal, (Gauge::Storage, Shift::By(1)), tenant.at(NOW), None).unwrap();
        moved += 1;
    }
    tenant.count(&journal, NOW.day(), Octets { egress: 100, ingress: 7 });
    gauges.report(&journal, (Gauge::Users, Shift::By(3)), tenant.at(NOW), None).unwrap();
    gauges.report_user(&journal, [9; 16], tenant.at(NOW), None).unwrap();
    assert!(journal.lacked_room() && journal.totals(id, NOW.day()).is_none());
    assert_eq!((gauges.levels().storage, gauges.levels().users), (moved, 3), "seen at once all the same");

    fold(&journal, &store).await.unwrap();
    fold_reports(&journal, &store).await.unwrap();
    for _ in 0..2 {
        journal.maintain(NOW.day()).unwrap();
        directory.catch_up(&journal, NOW);
        fold_reports(&journal, &store).await.unwrap();
        let totals = journal.totals(id, NOW.day()).unwrap();
        assert_eq!((totals.egress, totals.ingress), (100, 7));
        let stored = stored_levels(&store, id).await.unwrap().unwrap();
        assert_eq!(stored.now, gauges.levels());
        let users = crate::metering::count_active_users(&store, NOW.day().month(), id).await.unwrap();
        assert_eq!(users, 1);
    }
    assert!(!journal.lacked_room());
    assert!(store.usage(id, NOW.day()..NOW.day().next()).await.unwrap().is_empty(), "the day goes on");
}

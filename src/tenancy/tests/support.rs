//! A directory to publish into, and claims on domains.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::NOW;
use crate::clock::TestClock;
use crate::config::Config;
use crate::model::{BillingCycle, CustomDomain, Host, Limits, Money, Origin, Overage, Plan, Rate, Slug, Status, Tenant, TenantId};
use crate::tenancy::{Accounts, Directory, DirectorySettings, Plans};
use crate::upstream::{Resolver, TlsFiles};

/// A directory with a plan without a rate and two with one, and whether domains are proved by a certificate.
pub fn directory() -> (Directory, Arc<AtomicBool>) {
    directory_with(BTreeMap::new())
}

/// The same, where each plan has these flags.
pub fn directory_with(features: BTreeMap<String, bool>) -> (Directory, Arc<AtomicBool>) {
    let plan = |name: &str, rate: Option<u32>| {
        let plan = Plan {
            name: name.to_owned(),
            version: 1,
            price_monthly: Money(0),
            price_yearly: Money(0),
            limits: Limits::default(),
            rate: rate.map(|burst| Rate { per_second: 1, burst }),
            concurrency: None,
            overage: Overage::Block,
            features: features.clone(),
        };
        (name.to_owned(), plan)
    };
    let proved = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&proved);
    let directory = Directory::new(DirectorySettings {
        issuers: Arc::default(),
        base_domain: Host::parse("example.com").unwrap(),
        custom_domains: true,
        plans: Arc::new(Plans::fixed(&[plan("free", Some(2)), plan("large", Some(9)), plan("open", None)].into(), &Default::default())),
        default_upstream: vec![Origin::parse("http://127.0.0.1:9000").unwrap()],
        resolver: Arc::new(Resolver::new(Vec::new(), TlsFiles::default()).unwrap()),
        sso: true,
        proves: Arc::new(move |_| asked.load(Ordering::Relaxed)),
        serve: Arc::new(|_, _| ()),
        clock: Arc::new(TestClock::at(NOW)),
        accounts: Arc::new(Accounts::new(Arc::new(Config::from_toml("").unwrap()))),
    });
    (directory, proved)
}

/// A claim of a tenant, proved or not.
pub fn claim(tenant: &Tenant, domain: &str, is_proved: bool) -> CustomDomain {
    let claim = CustomDomain::claim(Host::parse(domain).unwrap(), tenant.id, "n".to_owned(), NOW);
    CustomDomain { proved_at: is_proved.then_some(NOW), ..claim }
}

/// An active tenant on the free plan.
pub fn tenant(slug: &str) -> Tenant {
    Tenant {
        id: TenantId::new(NOW),
        name: format!("The {slug}"),
        slug: Slug::parse(slug).unwrap(),
        status: Status::Active,
        previous_status: None,
        status_reason: None,
        previous_reason: None,
        plan: "free".to_owned(),
        billing_cycle: BillingCycle::Monthly,
        subscription: Default::default(),
        billing: Default::default(),
        custom_domain: None,
        config: Default::default(),
        metadata: Default::default(),
        upstream: Vec::new(),
        created_at: NOW,
        updated_at: NOW,
        trial_ends_at: None,
        deleted_at: None,
        issuers: Vec::new(),
        is_released: false,
    }
}

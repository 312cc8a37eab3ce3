//! The directory: which names lead to a tenant, and what its runtime keeps when it changes.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::NOW;
use super::support::{claim, directory, tenant};
use crate::message::Name;
use crate::model::{Day, Host, Status, Tenant, TenantId, Totals};
use crate::store::{UsageRow, Version};
use crate::tenancy::{Directory, known_tenant_document, tenant_document};

fn at(directory: &Directory, host: &str) -> Option<TenantId> {
    directory.by_host(host).map(|tenant| tenant.id())
}

fn host(name: &str) -> Host {
    Host::parse(name).unwrap()
}

#[test]
fn a_tenant_is_found_by_its_slug_and_its_domains_and_a_deleted_one_by_its_id_alone() {
    let (directory, _) = directory();
    let mut acme = tenant("acme");
    directory.publish(&acme, Version(1));
    for name in ["acme.org", "shop.acme.org"] {
        directory.show_domain(&host(name), Some(&claim(&acme, name, true)), None);
    }
    let names = ["acme.example.com", "acme.org", "shop.acme.org"];
    assert_eq!(names.map(|name| at(&directory, name)), [Some(acme.id); 3]);
    assert_eq!(directory.by_name("acme").map(|tenant| tenant.id()), Some(acme.id));
    for host in ["example.com", "acme", "www.acme.example.com", ".example.com", "acme.example.com.", "acme.example.org", "acmeexample.com"]
    {
        assert_eq!(at(&directory, host), None, "{host}");
    }
    directory.show_domain(&host("acme.org"), None, None);
    assert_eq!(names.map(|name| at(&directory, name)), [Some(acme.id), None, Some(acme.id)]);
    (acme.status, acme.deleted_at) = (Status::Deleted, Some(NOW));
    directory.publish(&acme, Version(3));
    assert_eq!(names.map(|name| at(&directory, name)), [None; 3]);
    assert!(directory.by_name("acme").is_none() && directory.by_name(&acme.id.to_string()).is_some());
}

#[test]
fn a_name_that_went_on_to_another_tenant_is_not_taken_from_it_again() {
    let (directory, _) = directory();
    let (mut first, second) = (tenant("acme"), tenant("acme"));
    directory.publish(&first, Version(1));
    directory.show_domain(&host("acme.org"), Some(&claim(&first, "acme.org", true)), None);
    directory.publish(&second, Version(3));
    directory.show_domain(&host("acme.org"), Some(&claim(&second, "acme.org", true)), None);
    (first.status, first.deleted_at) = (Status::Deleted, Some(NOW));
    directory.publish(&first, Version(2));
    assert_eq!((at(&directory, "acme.example.com"), at(&directory, "acme.org")), (Some(second.id), Some(second.id)));
}

#[test]
fn a_domain_is_served_while_dns_or_a_certificate_proves_it() {
    let (directory, proved) = directory();
    let acme = tenant("acme");
    directory.publish(&acme, Version(1));
    for (by_dns, by_certificate) in [(false, false), (false, true), (true, true), (true, false), (false, false)] {
        proved.store(by_certificate, Ordering::Relaxed);
        let before = directory.generation();
        directory.show_domain(&host("acme.org"), Some(&claim(&acme, "acme.org", by_dns)), None);
        assert_eq!(at(&directory, "acme.org"), (by_dns || by_certificate).then_some(acme.id));
        assert!(directory.generation() > before && at(&directory, "acme.example.com").is_some());
    }
    proved.store(true, Ordering::Relaxed);
    directory.check_domains();
    assert_eq!(at(&directory, "acme.org"), Some(acme.id));
}

#[test]
fn a_change_refills_no_bucket_unless_it_changes_the_rate() {
    let (directory, _) = directory();
    let mut acme = tenant("acme");
    directory.publish(&acme, Version(1));
    let runtime = directory.by_id(acme.id).unwrap();
    let ask = || runtime.facts().plan.rate.map(|rate| runtime.ask_rate(rate).allowed);
    assert_eq!([ask(), ask(), ask()], [Some(true), Some(true), Some(false)]);
    acme.name = "Another".to_owned();
    directory.publish(&acme, Version(2));
    assert_eq!(ask(), Some(false));
    for (version, plan, first) in [(3, "large", Some(true)), (4, "open", None), (5, "free", Some(true))] {
        acme.plan = plan.to_owned();
        directory.publish(&acme, Version(version));
        assert_eq!(ask(), first, "{plan}");
    }
    assert_eq!([ask(), ask()], [Some(true), Some(false)]);
}

#[test]
fn a_rate_changed_before_the_first_request_is_the_one_that_holds() {
    let (directory, _) = directory();
    let mut acme = tenant("acme");
    directory.publish(&acme, Version(1));
    let runtime = directory.by_id(acme.id).unwrap();
    let old = runtime.facts_owned();
    acme.plan = "large".to_owned();
    directory.publish(&acme, Version(2));
    // A request that had read its facts before the change comes first.
    let decision = runtime.ask_rate(old.plan.rate.unwrap());
    assert_eq!((decision.allowed, decision.remaining), (true, 8));
}

#[test]
fn the_directory_tells_of_a_tenant_what_the_store_does() {
    let (directory, _) = directory();
    let (mut own, plain) = (tenant("acme"), tenant("globex"));
    own.config.features = BTreeMap::from([("beta".to_owned(), true), ("chat".to_owned(), false)]);
    own.config.settings.insert("deep".to_owned(), json!({ "ü": [1, null, 2.5] }));
    own.config.branding.other.insert("font".to_owned(), json!("Inter"));
    for tenant in [own, plain] {
        directory.publish(&tenant, Version(1));
        let facts = directory.by_id(tenant.id).unwrap().facts_owned();
        assert_eq!(known_tenant_document(&facts), tenant_document(&tenant, facts.features()));
        let labels = facts.labels();
        assert_eq!(labels.id_text, tenant.id.to_string());
        let said = |name| labels.fields.get(name).map(|value| std::str::from_utf8(value).unwrap());
        let names = [Name::XTenantId, Name::XTenantSlug, Name::XTenantPlan];
        assert_eq!(names.map(said), [labels.id_text.as_str(), tenant.slug.as_str(), "free"].map(Some));
        assert_eq!(said(Name::XTenantFeatures), tenant.config.features.contains_key("beta").then_some("beta"));
    }
}

#[test]
fn what_was_stored_of_the_month_counts_from_the_first_request_on() {
    let (directory, _) = directory();
    let (used, fresh) = (tenant("acme"), tenant("globex"));
    let (today, tomorrow) = (NOW.day(), NOW.day().next());
    let totals = Totals { admitted: 5, metered: 5, egress: 7, ..Totals::default() };
    let row = |day: Day| UsageRow { writer: 1, tenant: used.id, day, totals };
    directory.publish_with_usage(&used, Version(1), &[row(today)]).unwrap();
    directory.publish_with_usage(&fresh, Version(1), &[]).unwrap();
    directory.roll(tomorrow);
    let month_of = |tenant: &Tenant| directory.by_id(tenant.id).unwrap().window(tomorrow).month().metered;
    assert_eq!((month_of(&used), month_of(&fresh)), (5, 0));
}

//! Feature flags: what decides over one, and that a changed roll-out comes to every tenant.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::NOW;
use super::support::{directory, directory_with, tenant};
use crate::message::Name;
use crate::model::{FlagSource, Percentage, Rollout, RolloutBy, Tenant};
use crate::store::Version;
use crate::tenancy::{Facts, Rollouts, flags_of};

fn rollout(flag: &str, percentage: f64, by: RolloutBy, plans: Option<&str>) -> Rollout {
    let percentage = Percentage::try_from(percentage).unwrap();
    let plans = plans.map(|plan| vec![plan.to_owned()]);
    Rollout { flag: flag.to_owned(), percentage, by, plans, description: None, updated_at: NOW }
}

fn rollouts(all: impl IntoIterator<Item = Rollout>) -> Rollouts {
    Rollouts { by_flag: all.into_iter().map(|it| (it.flag.clone(), Arc::new(it))).collect(), is_sso_off: false }
}

fn said(facts: &Facts) -> Option<String> {
    facts.labels().fields.get(Name::XTenantFeatures).map(|value| String::from_utf8(value.to_vec()).unwrap())
}

#[tokio::test]
async fn the_deployment_decides_before_the_tenant_its_plan_and_roll_outs_in_this_order() {
    use FlagSource::{Default, Deployment, Plan as OfPlan, Rollout as RolledOut, Tenant as OfTenant};
    let (all, none) = (Some((100.0, None)), Some((0.0, None)));
    let (here, elsewhere) = (Some((100.0, Some("free"))), Some((100.0, Some("large"))));
    // The flag, its switch of the deployment, the tenant's own config, its plan, its roll-out: what it is, and by what.
    let table = [
        ("f", false, None, None, None, (false, Default)),
        ("f", false, None, None, all, (true, RolledOut)),
        ("f", false, None, None, none, (false, RolledOut)),
        ("f", false, None, None, here, (true, RolledOut)),
        ("f", false, None, None, elsewhere, (false, Default)),
        ("f", false, None, Some(true), none, (true, OfPlan)),
        ("f", false, None, Some(false), all, (false, OfPlan)),
        ("f", false, Some(true), Some(false), none, (true, OfTenant)),
        ("f", false, Some(false), Some(true), all, (false, OfTenant)),
        ("f", true, Some(true), None, None, (true, OfTenant)),
        ("sso", false, Some(true), None, None, (true, OfTenant)),
        ("sso", false, None, Some(true), None, (true, OfPlan)),
        ("sso", true, Some(true), Some(true), all, (false, Deployment)),
        ("sso", true, None, None, None, (false, Deployment)),
    ];
    for (flag, is_sso_off, own, of_plan, rolled_out, (on, source)) in table {
        let features = of_plan.map(|on| (flag.to_owned(), on)).into_iter().collect();
        let (directory, _) = directory_with(features);
        let mut acme = tenant("acme");
        acme.config.features = own.map(|on| (flag.to_owned(), on)).into_iter().collect();
        let rolled_out = rolled_out.map(|(percentage, plans)| rollout(flag, percentage, RolloutBy::Tenant, plans));
        let rollouts = Rollouts { is_sso_off, ..rollouts(rolled_out) };
        directory.show_rollouts(rollouts.clone()).await;
        directory.publish(&acme, Version(1));
        let facts = directory.by_id(acme.id).unwrap().facts_owned();
        let states = flags_of(&acme, &facts.plan, &rollouts, None, &[flag]);
        let [state] = states.as_slice() else { panic!("{states:?}") };
        assert_eq!((state.enabled, state.source), (on, source), "{flag} {own:?} {of_plan:?} {rollouts:?}");
        assert_eq!((state.own, state.plan_default, state.rollout.is_some()), (own, of_plan, !rollouts.by_flag.is_empty()));
        // Requests are decided by the same.
        assert_eq!((facts.has_feature(flag, None), facts.has_feature(flag, Some("u1"))), (on, on));
        assert_eq!((facts.features().contains(&flag.to_owned()), said(&facts)), (on, on.then(|| flag.to_owned())));
        assert_eq!(facts.features_for(Some("u1")), None, "no flag is by user");
    }
}

#[tokio::test]
async fn a_flag_by_user_is_off_without_one_and_each_user_has_flags_of_its_own() {
    let (directory, _) = directory();
    let mut acme = tenant("acme");
    acme.config.features = BTreeMap::from([("zeta".to_owned(), true), ("off".to_owned(), false)]);
    directory.publish(&acme, Version(1));
    let by_user = |flag: &str, percentage| rollout(flag, percentage, RolloutBy::User, None);
    directory.show_rollouts(rollouts([by_user("half", 50.0), by_user("every", 100.0), by_user("off", 100.0), by_user("no", 0.0)])).await;
    let facts = directory.by_id(acme.id).unwrap().facts_owned();
    assert_eq!((said(&facts).as_deref(), facts.features_for(None)), (Some("zeta"), None));
    assert!(!facts.has_feature("every", None) && facts.has_feature("zeta", None));
    let users: Vec<String> = (0..100).map(|at| format!("user-{at}")).collect();
    let halves = users.iter().filter(|user| facts.has_feature("half", Some(user))).count();
    assert!((20..=80).contains(&halves), "{halves}");
    for user in users.iter().map(String::as_str) {
        let half = facts.has_feature("half", Some(user));
        let expected = if half { "every,half,zeta" } else { "every,zeta" };
        assert_eq!(facts.features_for(Some(user)).as_deref(), Some(expected));
        assert!(!facts.has_feature("off", Some(user)) && !facts.has_feature("no", Some(user)));
        let states = flags_of(&acme, &facts.plan, &directory.rollouts(), Some(user), &[]);
        let on: Vec<&str> = states.iter().filter(|state| state.enabled).map(|state| state.name.as_str()).collect();
        assert_eq!(on.join(","), expected);
    }
}

#[tokio::test]
async fn a_changed_roll_out_comes_to_every_tenant_and_to_those_that_come_later() {
    let (directory, _) = directory();
    let before: Vec<Tenant> = (0..1_000).map(|at| tenant(&format!("tenant-{at}"))).collect();
    before.iter().for_each(|tenant| directory.publish(tenant, Version(1)));
    let facts = |tenant: &Tenant| directory.by_id(tenant.id).unwrap().facts_owned();
    // Each has said who it is.
    assert!(before.iter().all(|tenant| said(&facts(tenant)).is_none()));
    for (percentage, expected) in [(100.0, Some("beta")), (0.0, None), (100.0, Some("beta"))] {
        directory.show_rollouts(rollouts([rollout("beta", percentage, RolloutBy::Tenant, None)])).await;
        let late = tenant("late");
        directory.publish(&late, Version(2));
        let changed: Tenant = Tenant { name: "Changed".to_owned(), ..before[0].clone() };
        directory.publish(&changed, Version(3));
        for tenant in before.iter().chain([&late]) {
            let facts = facts(tenant);
            assert_eq!((said(&facts).as_deref(), facts.has_feature("beta", None)), (expected, expected.is_some()));
        }
        assert_eq!(&*facts(&before[0]).tenant.name, "Changed");
    }
}

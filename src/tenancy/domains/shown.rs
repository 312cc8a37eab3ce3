//! What the directory knows of claims: whose a name is, and whether its record in DNS proves it.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Actor, CustomDomain, Host, Millis, Reason, TenantId};

/// Claims by name and by tenant.
#[derive(Default)]
pub struct Shown {
    claims: HashMap<Box<str>, Claim>,
    by_tenant: BTreeSet<(TenantId, Box<str>)>,
    /// By when they are looked at next; without those that are being looked at.
    due: BTreeSet<(Millis, Box<str>)>,
}

/// What decides over a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tenancy) struct Claim {
    pub tenant: TenantId,
    pub is_proved: bool,
    check_at: Millis,
    fresh_until: Millis,
    failed_orders: u32,
    reason: Option<Reason>,
}

impl Claim {
    /// Who has to act for it.
    pub(in crate::tenancy) fn needs(&self, now: Millis) -> Option<Actor> {
        self.reason.and_then(|reason| reason.needs(now < self.fresh_until, self.failed_orders))
    }
}

impl Shown {
    /// Shows what is stored under a name: a claim, or that there is none.
    pub(in crate::tenancy) fn show(&mut self, name: &Host, domain: Option<&CustomDomain>) {
        let claim = domain.map(|domain| Claim {
            tenant: domain.tenant_id,
            is_proved: domain.is_proved(),
            check_at: domain.check_at,
            fresh_until: domain.fresh_until(),
            failed_orders: domain.failed_orders,
            reason: domain.finding().map(|finding| finding.reason),
        });
        let before = match claim {
            Some(claim) => self.claims.insert(name.as_str().into(), claim),
            None => self.claims.remove(name.as_str()),
        };
        if let Some(before) = before {
            self.due.remove(&(before.check_at, name.as_str().into()));
        }
        if let Some(before) = before.filter(|before| Some(before.tenant) != claim.map(|claim| claim.tenant)) {
            self.by_tenant.remove(&(before.tenant, name.as_str().into()));
        }
        if let Some(claim) = claim {
            self.by_tenant.insert((claim.tenant, name.as_str().into()));
            self.due.insert((claim.check_at, name.as_str().into()));
        }
    }

    /// Takes at most `limit` names that are to be looked at, with whose they are. They come again once they were shown again.
    pub(in crate::tenancy) fn take_due(&mut self, now: Millis, limit: usize) -> Vec<(TenantId, Host)> {
        let mut taken = Vec::new();
        while taken.len() < limit && self.due.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, name)) = self.due.pop_first() else { break };
            let claim = self.claims.get(&name).map(|claim| claim.tenant);
            taken.extend(claim.zip(Host::parse(&name).ok()));
        }
        taken
    }

    /// It could not be looked at.
    pub(in crate::tenancy) fn put_off(&mut self, name: &Host, until: Millis) {
        if let Some(claim) = self.claims.get_mut(name.as_str()) {
            self.due.remove(&(claim.check_at, name.as_str().into()));
            claim.check_at = until;
            self.due.insert((until, name.as_str().into()));
        }
    }

    /// Who claims a name.
    pub(in crate::tenancy) fn claim(&self, name: &str) -> Option<Claim> {
        self.claims.get(name).copied()
    }

    /// The names that a tenant claims, sorted.
    pub(in crate::tenancy) fn of(&self, tenant: TenantId) -> impl Iterator<Item = &str> {
        let from = (tenant, Box::from(""));
        self.by_tenant.range(from..).take_while(move |(of, _)| *of == tenant).map(|(_, name)| &**name)
    }

    /// Every claim, with its name.
    pub(in crate::tenancy) fn iter(&self) -> impl Iterator<Item = (&str, &Claim)> {
        self.claims.iter().map(|(name, claim)| (&**name, claim))
    }

    /// Every name that is claimed.
    pub(in crate::tenancy) fn names(&self) -> Vec<Box<str>> {
        self.claims.keys().cloned().collect()
    }
}

//! The tenant as it is stored: who it is, which state it is in, and how it is configured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BillingCycle, Host, Issuer, Millis, Origin, Party, Slug, Subscription, TenantId, Terms};

/// One customer of the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// For ever.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// Its label under the base domain.
    pub slug: Slug,
    /// Where it is in its life.
    pub status: Status,
    /// The state it was in before it was suspended, canceled or deleted; `activate` and `restore` return to it.
    #[serde(default)]
    pub previous_status: Option<Status>,
    /// Why the last move was made, as the operator said.
    #[serde(default)]
    pub status_reason: Option<String>,
    /// Of a deleted tenant: why it was in the state before, for `restore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_reason: Option<String>,
    /// Name of its plan.
    pub plan: String,
    /// How often it pays.
    pub billing_cycle: BillingCycle,
    /// What it has agreed to pay, and where that stands.
    #[serde(default)]
    pub subscription: Subscription,
    /// Whom its invoices are issued to.
    #[serde(default)]
    pub billing: Party,
    /// Its own domain, verified or not.
    #[serde(default)]
    pub custom_domain: Option<Host>,
    /// Branding, features and settings.
    pub config: TenantConfig,
    /// What the operator keeps with it; gatehouse does not read it.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Where its requests go; empty is the configured default.
    #[serde(default)]
    pub upstream: Vec<Origin>,
    /// Issuers of tokens that are believed for this tenant alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<Issuer>,
    /// When it was made.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
    /// When its trial ends; kept after it.
    #[serde(default)]
    pub trial_ends_at: Option<Millis>,
    /// When it was soft-deleted.
    #[serde(default)]
    pub deleted_at: Option<Millis>,
    /// It was deleted so long ago that its slug and domains are free for others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_released: bool,
}

impl Tenant {
    /// What it pays for at the moment.
    pub fn terms(&self) -> Terms {
        Terms {
            plan: self.plan.clone(),
            plan_version: self.subscription.plan_version,
            billing_cycle: self.billing_cycle,
            add_ons: self.subscription.add_ons.clone(),
            overrides: self.subscription.overrides,
        }
    }

    /// Pays for this from now on.
    pub fn set_terms(&mut self, terms: Terms) {
        self.plan = terms.plan;
        self.billing_cycle = terms.billing_cycle;
        self.subscription.plan_version = terms.plan_version;
        self.subscription.add_ons = terms.add_ons;
        self.subscription.overrides = terms.overrides;
    }
}

/// Where a tenant is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Served, not yet paying.
    Trial,
    /// Served.
    Active,
    /// Served, an invoice is overdue.
    PastDue,
    /// Refused with 403.
    Suspended,
    /// Refused with 404.
    Canceled,
    /// Refused with 404; its slug and domain become free for others.
    Deleted,
}

impl Status {
    /// Every status, in the order of a tenant's life.
    pub const ALL: [Status; 6] = [Status::Trial, Status::Active, Status::PastDue, Status::Suspended, Status::Canceled, Status::Deleted];

    /// True where requests are forwarded.
    pub const fn is_served(self) -> bool {
        match self {
            Status::Trial | Status::Active | Status::PastDue => true,
            Status::Suspended | Status::Canceled | Status::Deleted => false,
        }
    }

    /// As JSON writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Trial => "trial",
            Status::Active => "active",
            Status::PastDue => "past_due",
            Status::Suspended => "suspended",
            Status::Canceled => "canceled",
            Status::Deleted => "deleted",
        }
    }
}

/// What a tenant's app looks like and may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantConfig {
    /// Colours and pictures.
    pub branding: Branding,
    /// Feature flags.
    pub features: BTreeMap<String, bool>,
    /// Whatever the app wants to keep here.
    pub settings: Map<String, Value>,
}

impl Default for TenantConfig {
    fn default() -> Self {
        Self { branding: Branding::default(), features: BTreeMap::new(), settings: Map::new() }
    }
}

/// Colours and pictures; unknown members are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Branding {
    /// A CSS colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_color: Option<String>,
    /// URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub favicon: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Default for Branding {
    fn default() -> Self {
        Self { primary_color: Some("#3B82F6".to_owned()), logo: None, favicon: None, other: Map::new() }
    }
}

//! The types of events that the operator's systems are told, and which rows of the audit log stand for them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum EventType {
    /// A tenant was made.
    TenantCreated,
    /// It is served (again).
    TenantActivated,
    /// An invoice of it is overdue.
    TenantPastDue,
    /// It is refused until further notice.
    TenantSuspended,
    /// Its subscription has ended.
    TenantCanceled,
    /// It was deleted.
    TenantDeleted,
    /// A delete was undone.
    TenantRestored,
    /// Another plan, or another cycle.
    SubscriptionChanged,
    /// An invoice has its number and is open.
    InvoiceIssued,
    /// It is paid.
    InvoicePaid,
    /// A charge was declined.
    InvoicePaymentFailed,
    /// It was not paid in time.
    InvoiceOverdue,
    /// It is void.
    InvoiceVoided,
    /// Nobody expects it to be paid any more.
    InvoiceUncollectible,
    /// A credit note was issued for it.
    InvoiceCredited,
    /// What was credited has been given back.
    InvoiceRefunded,
    /// A threshold of a limit, or a hard cap, was reached.
    UsageThreshold,
    /// A custom domain is served, for the first time or again.
    DomainActive,
    /// A custom domain is not served, and somebody has to act.
    DomainFailed,
    /// Sent on request, to see whether an endpoint works.
    TestPing,
}

/// There is no such type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no event type `{0}`")]
pub struct EventTypeError(String);

impl EventType {
    /// Every type that an endpoint can ask for.
    pub const ALL: [Self; 19] = [
        Self::TenantCreated,
        Self::TenantActivated,
        Self::TenantPastDue,
        Self::TenantSuspended,
        Self::TenantCanceled,
        Self::TenantDeleted,
        Self::TenantRestored,
        Self::SubscriptionChanged,
        Self::InvoiceIssued,
        Self::InvoicePaid,
        Self::InvoicePaymentFailed,
        Self::InvoiceOverdue,
        Self::InvoiceVoided,
        Self::InvoiceUncollectible,
        Self::InvoiceCredited,
        Self::InvoiceRefunded,
        Self::UsageThreshold,
        Self::DomainActive,
        Self::DomainFailed,
    ];

    /// As payloads name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TenantCreated => "tenant.created",
            Self::TenantActivated => "tenant.activated",
            Self::TenantPastDue => "tenant.past_due",
            Self::TenantSuspended => "tenant.suspended",
            Self::TenantCanceled => "tenant.canceled",
            Self::TenantDeleted => "tenant.deleted",
            Self::TenantRestored => "tenant.restored",
            Self::SubscriptionChanged => "subscription.changed",
            Self::InvoiceIssued => "invoice.issued",
            Self::InvoicePaid => "invoice.paid",
            Self::InvoicePaymentFailed => "invoice.payment_failed",
            Self::InvoiceOverdue => "invoice.overdue",
            Self::InvoiceVoided => "invoice.voided",
            Self::InvoiceUncollectible => "invoice.uncollectible",
            Self::InvoiceCredited => "invoice.credited",
            Self::InvoiceRefunded => "invoice.refunded",
            Self::UsageThreshold => "usage.threshold",
            Self::DomainActive => "domain.active",
            Self::DomainFailed => "domain.failed",
            Self::TestPing => "test.ping",
        }
    }

    /// The type that an audit row with this action stands for; none for what concerns the operator's systems not.
    pub fn of_action(action: &str) -> Option<Self> {
        match action {
            "usage.threshold_reached" | "usage.hard_cap_reached" => Some(Self::UsageThreshold),
            "domain.lost" => Some(Self::DomainFailed),
            same => Self::ALL.into_iter().find(|known| known.as_str() == same),
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = EventTypeError;

    fn from_str(text: &str) -> Result<Self, EventTypeError> {
        let known = Self::ALL.into_iter().chain([Self::TestPing]).find(|known| known.as_str() == text);
        known.ok_or_else(|| EventTypeError(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for EventType {
    type Error = EventTypeError;

    fn try_from(text: String) -> Result<Self, EventTypeError> {
        text.parse()
    }
}

impl From<EventType> for &'static str {
    fn from(of: EventType) -> &'static str {
        of.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_back_and_stand_for_audit_rows_of_their_name() {
        for kind in EventType::ALL {
            assert_eq!((kind.as_str().parse(), EventType::of_action(kind.as_str())), (Ok(kind), Some(kind)));
        }
        assert_eq!(EventType::of_action("usage.hard_cap_reached"), Some(EventType::UsageThreshold));
        assert_eq!(EventType::of_action("domain.lost"), Some(EventType::DomainFailed));
        for none in ["test.ping", "key.created", "tenant.updated", "event.resent", "domain.verified", ""] {
            assert_eq!(EventType::of_action(none), None, "{none}");
        }
    }
}

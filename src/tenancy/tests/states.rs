//! The state machine: where each move leads from each state, as a picture.

use std::fmt::Write;

use super::NOW;
use super::support::tenant;
use crate::model::{InvoiceId, Millis, Money, Owed, Status, Tenant};
use crate::tenancy::Move;
use crate::tenancy::states::target;

/// A tenant in each state as billing leaves it there.
fn in_state(status: Status) -> Tenant {
    let mut tenant = Tenant { status, ..tenant("acme") };
    match status {
        Status::Trial => tenant.trial_ends_at = Some(Millis(NOW.0 + 1)),
        Status::Deleted => tenant.previous_status = Some(Status::Active),
        Status::Active | Status::PastDue | Status::Suspended | Status::Canceled => {}
    }
    tenant
}

fn owes(tenant: &Tenant, failed_at: Option<Millis>) -> Tenant {
    let owed = Owed {
        invoice: InvoiceId::new(NOW),
        due: Money(9900),
        due_at: NOW,
        try_at: None,
        attempts: 0,
        is_trying: false,
        failed_at,
        payment: None,
        method: None,
    };
    let mut tenant = tenant.clone();
    tenant.subscription.open.push(owed);
    tenant
}

fn told(tenant: &Tenant, wanted: Move) -> &'static str {
    match target(tenant, wanted, NOW) {
        Ok(Some(status)) => status.as_str(),
        Ok(None) => "stays",
        Err(_) => "-",
    }
}

#[test]
fn each_move_leads_from_each_state_where_the_picture_says() {
    let mut picture = format!("{:17}", "");
    for status in Status::ALL {
        write!(picture, "{:11}", status.as_str()).unwrap();
    }
    for wanted in Move::ALL {
        write!(picture, "\n{:17}", format!("{wanted:?}")).unwrap();
        for status in Status::ALL {
            write!(picture, "{:11}", told(&in_state(status), wanted)).unwrap();
        }
    }
    let lines: Vec<&str> = picture.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
                     trial      active     past_due   suspended  canceled   deleted
    Suspend          suspended  suspended  suspended  stays      -          -
    Activate         active     stays      stays      active     active     -
    Cancel           canceled   canceled   canceled   canceled   stays      -
    Delete           deleted    deleted    deleted    deleted    deleted    stays
    Restore          -          -          -          -          -          active
    TrialEnds        active     -          -          -          -          -
    TrialEndsUnpaid  suspended  -          -          -          -          -
    TrialNotNeeded   active     -          -          -          -          -
    CanceledToTheEnd canceled   canceled   canceled   canceled   -          -
    FallsBehind      stays      past_due   stays      stays      stays      stays
    StaysUnpaid      -          -          suspended  -          -          -
    GivenUp          stays      stays      suspended  stays      stays      stays
    Settled          stays      stays      active     stays      stays      stays
    ");
}

#[test]
fn who_owes_something_overdue_comes_back_as_past_due_and_is_settled_once_nothing_is() {
    let (suspended, canceled) = (in_state(Status::Suspended), in_state(Status::Canceled));
    for tenant in [&suspended, &canceled] {
        assert_eq!(told(&owes(tenant, Some(NOW)), Move::Activate), "past_due");
        assert_eq!(told(&owes(tenant, None), Move::Activate), "active");
    }
    let late = in_state(Status::PastDue);
    for (owed, settled, given_up) in [(Some(NOW), "stays", "stays"), (None, "active", "suspended")] {
        assert_eq!((told(&owes(&late, owed), Move::Settled), told(&owes(&late, owed), Move::GivenUp)), (settled, given_up));
    }
    let mut unpaid = suspended;
    unpaid.subscription.is_suspended_unpaid = true;
    assert_eq!((told(&unpaid, Move::Settled), told(&owes(&unpaid, Some(NOW)), Move::Settled)), ("active", "stays"));
}

#[test]
fn a_trial_that_is_not_over_goes_on_after_a_suspension() {
    let mut suspended = in_state(Status::Suspended);
    suspended.trial_ends_at = Some(Millis(NOW.0 + 1));
    assert_eq!(told(&suspended, Move::Activate), "trial");
    suspended.trial_ends_at = Some(NOW);
    assert_eq!(told(&suspended, Move::Activate), "active");
}

#[test]
fn a_deleted_tenant_comes_back_as_what_it_was_until_its_names_are_free() {
    let mut deleted = in_state(Status::Deleted);
    for (before, after) in [(Status::Suspended, "suspended"), (Status::Canceled, "canceled"), (Status::PastDue, "active")] {
        deleted.previous_status = Some(before);
        assert_eq!(told(&deleted, Move::Restore), after);
    }
    deleted.is_released = true;
    assert_eq!(told(&deleted, Move::Restore), "-");
}

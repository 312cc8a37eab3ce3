//! Subscriptions: from the trial to the last invoice. Each step is computed by a pure function from the tenant's record and its
//! usage, and is one commit: the tenant, the invoices and the audit rows of it. So a step is done once, whoever tries it how often
//! and whatever dies meanwhile.
//!
//! | step | file |
//! | --- | --- |
//! | what is due next, and when | `due` |
//! | a period begins, goes over into the next one, or ends | `period` |
//! | usage of a period becomes lines | `metered` |
//! | the plan, the cycle, add-ons or prices change | `terms`, `change` |
//! | an invoice is paid, declined, overdue, void, credited | `settle`, `credit` |
//! | the provider is asked for money, and what it tells by itself | `collect`, `payer` |
//! | all of it put together as one change | `work` |
//! | done when it is due, in order | `biller`, `turns` |

mod accounts;
mod biller;
mod change;
mod charged;
mod collect;
mod credit;
mod due;
mod hook;
mod metered;
mod payer;
mod period;
mod records;
mod settle;
mod terms;
mod turns;
mod work;

pub use accounts::{Account, Accounts};
pub use biller::Biller;
pub use change::{Planned, When, exceeded, plan_change};
pub use credit::{Credit, credit_invoice};
pub use due::{Duty, next_duty};
pub use hook::Hook;
pub use metered::Metered;
pub use records::{Bills, Movement};
pub use settle::{collect_invoice, give_up_invoice, pay_from_credit, pay_invoice, void_invoice};
pub use terms::Wanted;

pub use payer::{Message, PayerError, Received};
pub use period::upcoming_invoice;

pub(super) use period::{begin, end_now, first as first_period, go_on_from, is_over};
pub(super) use work::INVOICES;
pub use work::Work;

use super::Plans;
use crate::billing::invoicing::Chargeable;
use crate::config::Config;

/// By what subscriptions are judged.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// Rules and tax rates.
    pub config: &'a Config,
    /// Prices and limits.
    pub plans: &'a Plans,
    /// Whether the payment provider collects invoices by itself.
    pub collects: bool,
    /// What it can charge.
    pub chargeable: Chargeable,
}

//! The tenant API on the tenant's own hosts and on api hosts: `GET …/tenant` and `GET …/usage`, answered from memory.

use bytes::Bytes;
use http::Method;

use crate::model::{Millis, Usage};
use crate::tenancy::{DayWindow, Facts, TenantRuntime, known_tenant_document, usage_document};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Who am I?
    Tenant,
    /// What have I used?
    Usage,
}

/// What a request asks of the tenant API; `None` where it is for the app.
pub fn question(prefix: Option<&str>, method: &Method, path: &str) -> Option<Question> {
    match path.strip_prefix(prefix?)? {
        _ if !matches!(*method, Method::GET | Method::HEAD) => None,
        "/tenant" => Some(Question::Tenant),
        "/usage" => Some(Question::Usage),
        _ => None,
    }
}

/// The answer, as JSON. The call that asks is not in it.
pub fn answer(question: Question, tenant: &TenantRuntime, facts: &Facts, window: &DayWindow, now: Millis) -> Bytes {
    let document = match question {
        Question::Tenant => known_tenant_document(facts),
        Question::Usage => {
            let (levels, active_users) = tenant.reported(now);
            let usage = Usage { month: window.month(), today: window.today(), levels, active_users, ..Usage::default() };
            usage_document(&usage, &facts.plan.limits)
        }
    };
    Bytes::from(document.to_string())
}

//! Why there is no certificate: who has to do something about it.

use std::error::Error as _;

use instant_acme::{Error, Problem};

use crate::store::StoreError;

/// Of what an authority says, so much is kept.
const MOST_CHARS: usize = 500;

/// An order failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct OrderError {
    /// Whose matter it is.
    pub fault: OrderFault,
    /// What happened.
    pub detail: String,
    /// The authority does not know our account (any more).
    pub is_account_lost: bool,
}

/// Whose matter a failed order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderFault {
    /// The authority cannot be reached, fails, or answers nonsense: trying later helps.
    Unavailable,
    /// What is configured is no authority, or not one to be trusted.
    Misconfigured,
    /// It asks to wait.
    Limits,
    /// It refuses the name, or could not validate it.
    Refuses,
}

impl OrderError {
    /// Nothing that the authority said.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self { fault: OrderFault::Unavailable, detail: detail.into(), is_account_lost: false }
    }

    /// What is configured is wrong.
    pub fn misconfigured(detail: impl Into<String>) -> Self {
        Self { fault: OrderFault::Misconfigured, detail: detail.into(), is_account_lost: false }
    }

    /// The authority will not.
    pub fn refused(detail: impl Into<String>) -> Self {
        Self { fault: OrderFault::Refuses, detail: detail.into(), is_account_lost: false }
    }

    /// What the authority said (RFC 8555, section 6.7).
    pub fn of(problem: &Problem) -> Self {
        let kind = problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()).unwrap_or_default();
        let fault = match kind {
            "rateLimited" => OrderFault::Limits,
            "serverInternal" | "badNonce" | "accountDoesNotExist" => OrderFault::Unavailable,
            _ if problem.status.is_some_and(|status| status >= 500) => OrderFault::Unavailable,
            _ => OrderFault::Refuses,
        };
        let more = problem.subproblems.iter().filter_map(|part| part.detail.as_deref());
        let texts: Vec<&str> = problem.detail.as_deref().into_iter().chain(more).collect();
        let detail = shown(&if texts.is_empty() { kind.to_owned() } else { format!("{kind}: {}", texts.join("; ")) });
        Self { fault, detail, is_account_lost: kind == "accountDoesNotExist" }
    }
}

impl From<Error> for OrderError {
    fn from(error: Error) -> Self {
        if let Error::Api(problem) = &error {
            return Self::of(problem);
        }
        let mut detail = shown(&error.to_string());
        let mut cause = error.source();
        while let Some(deeper) = cause {
            let text = deeper.to_string();
            if !detail.contains(&text) {
                detail = format!("{detail}: {text}");
            }
            cause = deeper.source();
        }
        // Its certificate is another matter than its being down.
        if detail.contains("invalid peer certificate") { Self::misconfigured(detail) } else { Self::unavailable(detail) }
    }
}

/// What others say, short and without what a terminal would act on.
pub(super) fn shown(text: &str) -> String {
    let is_plain =
        |char: &char| !char.is_control() && !matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let mut shown: String = text.chars().filter(is_plain).take(MOST_CHARS).collect();
    if text.chars().count() > MOST_CHARS {
        shown.push('…');
    }
    shown
}

impl From<StoreError> for OrderError {
    fn from(error: StoreError) -> Self {
        Self::unavailable(format!("the account cannot be kept: {error}"))
    }
}

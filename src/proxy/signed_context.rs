//! The signed context of requests, made anew when half of its time is over: what is the same for many requests is signed once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::context::Exchange;
use crate::access::{Context, ContextSigner, Identity};
use crate::clock::{Clock, SystemClock};
use crate::model::Millis;
use crate::tenancy::Facts;

/// Contexts that a worker remembers, at least.
const MOST: usize = 4096;

/// Contexts of one worker.
pub struct Contexts {
    signer: Arc<ContextSigner>,
    recent: RefCell<HashMap<Place, Signed>>,
    before: RefCell<HashMap<Place, Signed>>,
}

/// Where the facts and the user are. Nothing else can be there while an entry has them.
type Place = (*const Facts, *const Identity);

struct Signed {
    _facts: Arc<Facts>,
    _user: Option<Arc<Identity>>,
    text: Rc<str>,
    until: Millis,
}

impl Contexts {
    /// Of this signer.
    pub fn of(signer: Arc<ContextSigner>) -> Self {
        Self { signer, recent: RefCell::default(), before: RefCell::default() }
    }

    /// The context of a request of this tenant.
    pub fn say(&self, exchange: &Exchange, facts: &Arc<Facts>) -> Option<Rc<str>> {
        let user = exchange.user.as_ref();
        let place: Place = (Arc::as_ptr(facts), user.map_or(std::ptr::null(), Arc::as_ptr));
        let now = SystemClock.now();
        if let Some(signed) = self.recent.borrow().get(&place).filter(|signed| now < signed.until) {
            return Some(Rc::clone(&signed.text));
        }
        let known = self.before.borrow_mut().remove(&place).filter(|signed| now < signed.until);
        let signed = match known {
            Some(signed) => signed,
            None => self.sign(facts, user, now)?,
        };
        let text = Rc::clone(&signed.text);
        let mut recent = self.recent.borrow_mut();
        if recent.len() >= MOST {
            *self.before.borrow_mut() = std::mem::take(&mut *recent);
        }
        recent.insert(place, signed);
        Some(text)
    }

    /// Forgets those that nobody would be told any more.
    pub fn sweep(&self, now: Millis) {
        for signed in [&self.recent, &self.before] {
            signed.borrow_mut().retain(|_, signed| now < signed.until);
        }
    }

    fn sign(&self, facts: &Arc<Facts>, user: Option<&Arc<Identity>>, now: Millis) -> Option<Signed> {
        let own = user.and_then(|user| facts.features_for(Some(&user.said.user)));
        let features = match &own {
            Some(list) => list.split(',').filter(|flag| !flag.is_empty()).collect(),
            None => facts.features().iter().map(String::as_str).collect(),
        };
        let context = Context {
            tenant: &facts.labels().id_text,
            slug: facts.tenant.slug.as_str(),
            plan: &facts.plan.name,
            features,
            user: user.map(|user| &*user.said.user),
            roles: user.map(|user| &*user.said.roles),
        };
        // It proves no user for longer than the user's own token does.
        let end = user.map_or(Millis(i64::MAX), |user| user.said.not_after);
        let text = self.signer.sign(context, now, end)?.into();
        let until = now.plus(self.signer.lifetime() / 2).min(end);
        Some(Signed { _facts: Arc::clone(facts), _user: user.map(Arc::clone), text, until })
    }
}

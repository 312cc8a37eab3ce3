//! Operators: who may use the admin API, in memory for each request and in the store for the next start.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;

use super::change::{decode, encode};
use super::walk::Walk;
use super::{Cause, FieldError, TenancyError};
use crate::access::{new_token, token_hash};
use crate::model::{Millis, Operator, OperatorId, Role};
use crate::store::{Key, Precondition, Store, StoreError, Table, Tx};

/// The actor of the configured token.
const CONFIGURED: &str = "admin";
/// Names that the gateway gives itself, or others that are no operators.
const RESERVED: [&str; 10] = [CONFIGURED, "loopback", "system", "config", "demo", "probe", "unknown", "stripe", "manual", "gatehouse"];
/// Characters of a name.
const LONGEST_NAME: usize = 64;
/// The time of the last use is written at most this often.
const WRITTEN_EVERY_MS: i64 = 60_000;
/// Never used, or never written.
const NEVER: i64 = i64::MIN;

/// Who may use the admin API.
pub struct Operators {
    store: Arc<dyn Store>,
    /// The hash of the configured token.
    configured: Option<String>,
    known: ArcSwap<Vec<Arc<Entry>>>,
    /// Who changes them: what is committed and what is known stay in the same order.
    turn: Mutex<()>,
}

struct Entry {
    operator: Operator,
    used_at: AtomicI64,
    written_at: AtomicI64,
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// As the audit log has it.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// What an operator shall be.
#[derive(Debug, Clone)]
pub struct NewOperator {
    /// As the audit log will have it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// From when on its token is refused.
    pub expires_at: Option<Millis>,
}

/// Why an operator stays.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// Nobody could make another.
    #[error("it is the last owner, and there are others: they could not be changed any more; remove them first, or make another owner")]
    LastOwner,
    /// The store failed.
    #[error(transparent)]
    Tenancy(#[from] TenancyError),
}

impl Operators {
    /// Those of the store, and the configured token.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn load(store: Arc<dyn Store>, token: Option<&SecretString>) -> Result<Self, TenancyError> {
        let (mut known, mut walk) = (Vec::new(), Walk::over(Table::Operators));
        while let Some(records) = walk.next(&*store).await? {
            for record in records {
                known.push(Entry::of(decode(&record.key, &record.value)?));
            }
        }
        let configured = token.map(|token| token_hash(token.expose_secret().as_bytes()));
        Ok(Self { store, configured, known: ArcSwap::from_pointee(known), turn: Mutex::default() })
    }

    /// Whether there is a token, expired or not; without any, loopback needs none. An expired one still keeps loopback closed: nothing
    /// may open by the passing of time.
    pub fn any(&self) -> bool {
        self.configured.is_some() || !self.known.load().is_empty()
    }

    /// Whose token this is. All are compared, each in constant time.
    pub fn identify(self: &Arc<Self>, token: &[u8], now: Millis) -> Option<Identity> {
        let given = token_hash(token);
        let is = |hash: &str| bool::from(given.as_bytes().ct_eq(hash.as_bytes()));
        let mut found = self.configured.as_deref().is_some_and(is).then(|| Identity { name: CONFIGURED.to_owned(), role: Role::Owner });
        for entry in self.known.load().iter() {
            if is(&entry.operator.hash) && entry.operator.is_live(now) {
                self.used(entry, now);
                found = Some(Identity { name: entry.operator.name.clone(), role: entry.operator.role });
            }
        }
        found
    }

    /// All of them, oldest first, with the time of their last use as it is known here.
    pub fn list(&self) -> Vec<Operator> {
        self.known.load().iter().map(|entry| entry.shown()).collect()
    }

    /// Makes an operator and its token. `along` adds to the commit.
    ///
    /// # Errors
    ///
    /// What is wrong with it, a name that is taken, and those of the store.
    pub async fn create(
        self: &Arc<Self>,
        new: NewOperator,
        (now, cause): (Millis, &Cause),
        along: impl FnOnce(&Operator, &mut Tx) -> Result<(), TenancyError> + Send + 'static,
    ) -> Result<(Operator, SecretString), TenancyError> {
        let (this, cause) = (Arc::clone(self), cause.clone());
        let task = tokio::spawn(async move {
            let _turn = this.turn.lock().await;
            if cause.actor == "loopback" && this.any() {
                // It was let in before somebody else made the first.
                return Err(TenancyError::Conflict);
            }
            this.check(&new, now)?;
            let token = new_token();
            let operator = Operator {
                id: OperatorId::new(now),
                name: new.name,
                role: new.role,
                prefix: token.prefix,
                last_four: token.last_four,
                hash: token.hash,
                created_at: now,
                expires_at: new.expires_at,
                last_used_at: None,
            };
            let key = key(operator.id);
            let mut tx = Tx {
                preconditions: vec![Precondition::Absent(key.clone())],
                puts: vec![(key, encode(&operator)?)],
                audit: vec![cause.audit("operator.created", None, None, Some(facts(&operator)))],
                ..Tx::default()
            };
            along(&operator, &mut tx)?;
            this.store.commit(tx).await?;
            this.replace(|known| known.push(Entry::of(operator.clone())));
            Ok((operator, token.secret))
        });
        finished(task).await
    }

    /// Refuses an operator's token from the next request on; `None` where there is no such operator, by its id or its name.
    ///
    /// # Errors
    ///
    /// That it has to stay, and those of the store.
    pub async fn revoke(self: &Arc<Self>, id: &str, now: Millis, cause: &Cause) -> Result<Option<Operator>, RevokeError> {
        let (this, id, cause) = (Arc::clone(self), id.to_owned(), cause.clone());
        let task = tokio::spawn(async move {
            let _turn = this.turn.lock().await;
            let known = this.known.load_full();
            // Of one name there may be expired ones beside the one that is meant.
            let named = |entry: &&Arc<Entry>| entry.operator.name.eq_ignore_ascii_case(&id);
            let by_id = known.iter().find(|entry| entry.operator.id.to_string() == id);
            let live = || known.iter().filter(named).find(|entry| entry.operator.is_live(now));
            let found = by_id.or_else(live).or_else(|| known.iter().find(named));
            let Some(gone) = found.map(|entry| entry.shown()) else { return Ok(Ok(None)) };
            let others = || known.iter().map(|entry| &entry.operator).filter(|other| other.id != gone.id);
            let is_owner = |other: &Operator| other.role == Role::Owner && other.is_live(now);
            if this.configured.is_none() && others().next().is_some() && !others().any(is_owner) {
                return Ok(Err(RevokeError::LastOwner));
            }
            let audit = vec![cause.audit("operator.revoked", None, Some(facts(&gone)), None)];
            this.store.commit(Tx { deletes: vec![key(gone.id)], audit, ..Tx::default() }).await?;
            this.replace(|known| known.retain(|entry| entry.operator.id != gone.id));
            Ok(Ok(Some(gone)))
        });
        finished(task).await?
    }

    fn check(&self, new: &NewOperator, now: Millis) -> Result<(), TenancyError> {
        let mut errors = Vec::new();
        if !is_name(&new.name) {
            let detail = format!("a name has 1 to {LONGEST_NAME} of the characters a–z, A–Z, 0–9, `.`, `_`, `@`, `+` and `-`");
            errors.push(FieldError::new("/name", "invalid", detail));
        }
        if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(&new.name)) {
            errors.push(FieldError::new("/name", "reserved", format!("`{}` is who the gateway itself is in the audit log", new.name)));
        }
        if new.expires_at.is_some_and(|at| at <= now) {
            errors.push(FieldError::new("/expiresAt", "invalid", "it has to be in the future"));
        }
        if new.role != Role::Owner && !self.any() {
            let detail = "the first is an owner: from then on every call needs a token, and only owners make others";
            errors.push(FieldError::new("/role", "first_is_owner", detail));
        }
        if !errors.is_empty() {
            return Err(TenancyError::Invalid(errors));
        }
        let is_taken = |entry: &Arc<Entry>| entry.operator.is_live(now) && entry.operator.name.eq_ignore_ascii_case(&new.name);
        if self.known.load().iter().any(is_taken) {
            let detail = format!("there is an operator `{}`; its rows in the audit log are its own", new.name);
            return Err(TenancyError::Taken(vec![FieldError::new("/name", "name_taken", detail)]));
        }
        Ok(())
    }

    fn replace(&self, change: impl FnOnce(&mut Vec<Arc<Entry>>)) {
        let mut known = Vec::clone(&self.known.load());
        change(&mut known);
        self.known.store(Arc::new(known));
    }

    /// Remembers that it is used now, and has that written once in a while.
    fn used(self: &Arc<Self>, entry: &Arc<Entry>, now: Millis) {
        entry.used_at.fetch_max(now.0, Ordering::Relaxed);
        let written = entry.written_at.load(Ordering::Relaxed);
        let is_due = now.0.saturating_sub(written) >= WRITTEN_EVERY_MS;
        if is_due && entry.written_at.compare_exchange(written, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let (this, entry) = (Arc::clone(self), Arc::clone(entry));
            tokio::spawn(async move {
                if let Err(error) = this.write_use(&entry).await {
                    tracing::debug!(%error, operator = %entry.operator.name, "the time of its last use is not written");
                }
            });
        }
    }

    async fn write_use(&self, entry: &Entry) -> Result<(), TenancyError> {
        let _turn = self.turn.lock().await;
        let key = key(entry.operator.id);
        // Revoked meanwhile.
        let Some(record) = self.store.get(&key).await? else { return Ok(()) };
        let preconditions = vec![Precondition::Unchanged(key.clone(), record.version)];
        self.store.commit(Tx { preconditions, puts: vec![(key, encode(&entry.shown())?)], ..Tx::default() }).await?;
        Ok(())
    }
}

impl Entry {
    fn of(operator: Operator) -> Arc<Self> {
        let used = operator.last_used_at.map_or(NEVER, |at| at.0);
        Arc::new(Self { operator, used_at: AtomicI64::new(used), written_at: AtomicI64::new(used) })
    }

    fn shown(&self) -> Operator {
        let used = self.used_at.load(Ordering::Relaxed);
        Operator { last_used_at: (used != NEVER).then_some(Millis(used)), ..self.operator.clone() }
    }
}

fn is_name(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_good)
}

/// What the audit log tells: nothing that helps to guess the token.
fn facts(operator: &Operator) -> Value {
    let Operator { id, name, role, prefix, expires_at, .. } = operator;
    json!({"id": id, "name": name, "role": role, "prefix": prefix, "expiresAt": expires_at})
}

fn key(id: OperatorId) -> Key {
    Key::new(Table::Operators, id.to_string())
}

async fn finished<T>(task: tokio::task::JoinHandle<Result<T, TenancyError>>) -> Result<T, TenancyError> {
    task.await.map_err(|error| TenancyError::Store(StoreError::Unavailable(format!("the commit was cut off: {error}"))))?
}

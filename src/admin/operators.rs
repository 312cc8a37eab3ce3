//! `/admin/operators`: who may use the admin API by a token of their own. A token is told once, in the answer that made it; a repeated
//! answer (`Idempotency-Key`) is without it.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::idempotency::write_other;
use super::views::{ProblemView, json_of, page_json};
use crate::clock::{Clock, SystemClock};
use crate::model::{Millis, Operator, Role};
use crate::store::Tx;
use crate::tenancy::{NewOperator, RevokeError, did_you_mean};

/// What an operator shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateOperator {
    /// As the audit log will have it; no two operators have the same.
    #[schema(example = "ada")]
    name: String,
    /// `owner`, `support`, `billing` or `read-only`. The first is an owner.
    #[schema(example = "support")]
    role: String,
    /// From when on the token is refused, epoch milliseconds.
    #[schema(value_type = Option<i64>)]
    expires_at: Option<Millis>,
}

/// An operator as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Operator)]
pub struct OperatorView {
    /// Its name in lists.
    pub id: String,
    /// Its name in the audit log.
    pub name: String,
    /// What it may do.
    #[schema(value_type = String)]
    pub role: Role,
    /// The first characters of the token.
    pub prefix: String,
    /// The last characters of the token.
    pub last_four: String,
    /// When it was made.
    pub created_at: i64,
    /// From when on the token is refused.
    pub expires_at: Option<i64>,
    /// When the token was last used; `null` for never.
    pub last_used_at: Option<i64>,
    /// The token itself, in the answer that made it and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl OperatorView {
    fn of(operator: &Operator, secret: Option<String>) -> Self {
        let Operator { id, name, role, prefix, last_four, created_at, expires_at, last_used_at, .. } = operator.clone();
        let millis = |at: Option<Millis>| at.map(|at| at.0);
        let (expires_at, last_used_at) = (millis(expires_at), millis(last_used_at));
        Self { id: id.to_string(), name, role, prefix, last_four, created_at: created_at.0, expires_at, last_used_at, secret }
    }
}

/// Make an operator and its token. `secret` is told in this answer only, and not in one that `Idempotency-Key` repeats. The first one
/// ends what is answered without a token.
#[utoipa::path(post, path = "/admin/operators", tag = "operators", request_body = CreateOperator,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = OperatorView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn create(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let body: CreateOperator = call.json()?;
    let Some(role) = Role::ALL.into_iter().find(|role| role.as_str() == body.role) else {
        let hint = did_you_mean(&body.role, Role::ALL.into_iter().map(Role::as_str));
        let detail = format!("a role is `owner`, `support`, `billing` or `read-only`{hint}");
        return Err(Problem::field("/role", "invalid", detail));
    };
    let new = NewOperator { name: body.name, role, expires_at: body.expires_at };
    write_other(&app, &call, |slip| async {
        let along = move |operator: &Operator, tx: &mut Tx| slip.keep(tx, StatusCode::CREATED, json_of(&OperatorView::of(operator, None)));
        let (operator, secret) = app.operators.create(new.clone(), (SystemClock.now(), &call.cause), along).await?;
        let secret = secret.expose_secret().to_owned();
        Ok((StatusCode::CREATED, json_of(&OperatorView::of(&operator, Some(secret)))))
    })
    .await
}

/// List operators, oldest first; those whose tokens have expired as well.
#[utoipa::path(get, path = "/admin/operators", tag = "operators",
    responses((status = 200, description = "`{\"data\": [Operator], \"nextCursor\": null}`")))]
pub async fn list(State(app): State<App>) -> Response {
    let shown = app.operators.list().iter().map(|operator| json_of(&OperatorView::of(operator, None))).collect();
    axum::Json(page_json(shown, None)).into_response()
}

/// Revoke an operator's token, by its id or its name; the next request with it is refused. When the last token of all is gone, and none
/// is configured, programs on this machine need none again.
#[utoipa::path(delete, path = "/admin/operators/{id}", tag = "operators", params(("id" = String, Path)),
    responses((status = 200, body = OperatorView), (status = 404, body = ProblemView), (status = 409, body = ProblemView)))]
pub async fn revoke(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let gone = app.operators.revoke(&id, SystemClock.now(), &call.cause).await.map_err(|error| match error {
        RevokeError::LastOwner => Problem::new(StatusCode::CONFLICT, "last_owner", "The last owner", error.to_string()),
        RevokeError::Tenancy(error) => Problem::from(error),
    })?;
    let gone = gone.ok_or_else(|| Problem::not_found("Operator not found", "There is no operator with this id or name."))?;
    Ok(axum::Json(OperatorView::of(&gone, None)).into_response())
}

//! The admin API: the router as a table, and what wraps every request.
//!
//! From the outside in: a request gets its id, a panic becomes a 500, [`auth`] lets it in or not, as [`permissions`] says of its role,
//! a handler answers. Every
//! error is a [`Problem`] that is rendered where the id is known. The OpenAPI document is made from the
//! same table as the router.

mod actions;
mod add_ons;
mod audit;
mod audit_export;
mod auth;
mod call;
mod clock;
mod config;
mod docs;
mod domain_views;
mod domains;
mod error;
mod event_views;
mod events;
mod features;
mod health;
mod idempotency;
mod invoice_actions;
mod invoice_documents;
mod invoice_views;
mod invoices;
mod issuers;
mod jwks;
mod keys;
mod operators;
mod ops;
mod payment_method;
mod permissions;
mod plan_bodies;
mod plan_views;
mod plans;
mod price;
mod reports;
mod revenue_views;
mod rollouts;
mod stats;
mod subscription;
mod tenant_api;
mod tenants;
#[cfg(test)]
mod tests;
mod usage;
mod verify;
mod views;
mod webhook;
mod words;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::call::RequestId;
use self::error::Problem;
use crate::access::ContextSigner;
use crate::billing::quote::Signer;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::events::Events;
use crate::metering::Journal;
use crate::model::Tenant;
use crate::observe::{Duties, Metrics};
use crate::tenancy::{Biller, ClockMover, Hook, Keeper, Operators, Reporter, Tenants, UsageReader, Versioned};

pub use self::audit::checked_json;
pub use self::verify::balance_json;

/// What the admin API works with.
pub struct AdminState {
    /// Reads and changes tenants.
    pub tenants: Arc<Tenants>,
    /// Live usage.
    pub usage: Arc<UsageReader>,
    /// Who may use it.
    pub operators: Arc<Operators>,
    /// Takes reports.
    pub reporter: Arc<Reporter>,
    /// Events to the operator's systems.
    pub events: Arc<Events>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// What `/readyz?verbose` shows.
    pub duties: Arc<Duties>,
    /// Its room is shown as well.
    pub journal: Arc<Journal>,
    /// Billing time.
    pub clock: SharedClock,
    /// Token, plans and switches.
    pub config: Arc<Config>,
    /// False while the process drains or is not up yet.
    pub ready: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Looks after custom domains.
    pub keeper: Arc<Keeper>,
    /// Bills tenants.
    pub biller: Arc<Biller>,
    /// Takes messages of the payment provider, where there is one.
    pub hook: Option<Arc<Hook>>,
    /// Signs quotes.
    pub quotes: Arc<Signer>,
    /// Signs the context of requests, where that is wanted.
    pub context: Option<Arc<ContextSigner>>,
    /// Moves billing time, where it can be moved.
    pub clock_mover: Option<Arc<ClockMover>>,
}

/// The state as handlers get it.
type App = Arc<AdminState>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gatehouse admin API",
        description = "Tenants, plans, keys and usage. Times are epoch milliseconds, `{id}` is a tenant's id or slug, errors are `application/problem+json`."
    ),
    components(schemas(views::TenantView, views::ProblemView, views::KeyView, invoice_views::InvoiceView))
)]
struct Document;

/// Every path of the API, with its handlers.
fn table() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(tenants::create, tenants::list))
        .routes(routes!(tenants::read, tenants::update, tenants::delete))
        .routes(routes!(subscription::replace))
        .routes(routes!(actions::suspend))
        .routes(routes!(actions::activate))
        .routes(routes!(actions::cancel))
        .routes(routes!(actions::restore))
        .routes(routes!(usage::month, reports::report))
        .routes(routes!(usage::daily))
        .routes(routes!(verify::one))
        .routes(routes!(verify::all))
        .routes(routes!(config::read, config::patch))
        .routes(routes!(features::list))
        .routes(routes!(features::set, features::remove))
        .routes(routes!(features::set_in_config, features::remove_in_config))
        .routes(routes!(rollouts::list))
        .routes(routes!(rollouts::read, rollouts::set, rollouts::remove))
        .routes(routes!(domains::list, domains::add))
        .routes(routes!(domains::read, domains::update, domains::remove))
        .routes(routes!(domains::verify))
        .routes(routes!(domains::renew))
        .routes(routes!(domains::list_all))
        .routes(routes!(domains::read_any))
        .routes(routes!(issuers::list, issuers::replace))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(keys::rotate))
        .routes(routes!(invoices::of_tenant))
        .routes(routes!(invoices::upcoming))
        .routes(routes!(invoices::list))
        .routes(routes!(invoices::read))
        .routes(routes!(invoices::explain))
        .routes(routes!(invoice_documents::html))
        .routes(routes!(invoice_documents::pdf))
        .routes(routes!(invoice_documents::credit_note_html))
        .routes(routes!(invoice_documents::credit_note_pdf))
        .routes(routes!(invoice_actions::pay))
        .routes(routes!(invoice_actions::void))
        .routes(routes!(invoice_actions::give_up))
        .routes(routes!(invoice_actions::credit))
        .routes(routes!(payment_method::set, payment_method::remove))
        .routes(routes!(clock::advance))
        .routes(routes!(health::read))
        .routes(routes!(plans::list, plans::add))
        .routes(routes!(plans::read, plans::withdraw))
        .routes(routes!(add_ons::list, add_ons::add))
        .routes(routes!(add_ons::withdraw))
        .routes(routes!(operators::list, operators::create))
        .routes(routes!(operators::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(events::list))
        .routes(routes!(events::endpoints))
        .routes(routes!(events::test))
        .routes(routes!(events::read))
        .routes(routes!(events::resend))
        .routes(routes!(stats::read))
        .routes(routes!(tenant_api::tenant))
        .routes(routes!(tenant_api::usage))
        .routes(routes!(webhook::stripe))
        .routes(routes!(ops::metrics))
        .routes(routes!(jwks::read))
        .routes(routes!(ops::livez))
        .routes(routes!(ops::readyz))
        .routes(routes!(docs::openapi))
        .routes(routes!(docs::page))
}

/// The API, to be served with `into_make_service_with_connect_info::<SocketAddr>()`: who the peer is decides who is let in.
pub fn router(state: AdminState) -> Router {
    let app: App = Arc::new(state);
    let door = auth::Door::new(Arc::clone(&app));
    let (router, _) = table().split_for_parts();
    router
        .fallback(async || Problem::of_status(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || Problem::of_status(StatusCode::METHOD_NOT_ALLOWED))
        .layer(from_fn_with_state(door, auth::guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(finish))
        .with_state(app)
}

/// The API's OpenAPI 3.1 document.
pub fn openapi_json() -> String {
    docs::document().to_string()
}

impl AdminState {
    /// The tenant of a path, or 404.
    async fn find(&self, id: &str) -> Result<Versioned<Tenant>, Problem> {
        match self.tenants.get(id).await? {
            Some(tenant) => Ok(tenant),
            None => Err(match self.tenants.get_kept(id).await? {
                Some(deleted) => Problem::tenant_deleted(&deleted.value),
                None => Problem::tenant_not_found(id),
            }),
        }
    }

    /// The same, where a deleted one counts as well.
    async fn find_kept(&self, id: &str) -> Result<Versioned<Tenant>, Problem> {
        self.tenants.get_kept(id).await?.ok_or_else(|| Problem::tenant_not_found(id))
    }
}

/// Gives every request an id, and every error its document.
async fn finish(mut request: Request, next: Next) -> Response {
    let id = uuid::Uuid::now_v7().simple().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    if let Some(problem) = problem_of(&response) {
        let (parts, _) = response.into_parts();
        response = problem.render(&id);
        if let Some(allow) = parts.headers.get(http::header::ALLOW) {
            response.headers_mut().insert(http::header::ALLOW, allow.clone());
        }
    }
    // Hexadecimal digits are always a valid field value.
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response.headers_mut().entry(http::header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// What went wrong; an error that a library answered gets a problem of its own.
fn problem_of(response: &Response) -> Option<Problem> {
    let status = response.status();
    let known = response.extensions().get::<Problem>().cloned();
    known.or_else(|| (status.is_client_error() || status.is_server_error()).then(|| Problem::of_status(status)))
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("no text"), "an admin handler panicked");
    Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

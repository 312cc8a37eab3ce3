//! Problems: every error of the admin API as `application/problem+json` (RFC 9457), rendered in one place.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::model::Tenant;
use crate::store::StoreError;
use crate::tenancy::{FieldError, TenancyError};

/// One error, before it knows the id of its request.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// An extension member (RFC 9457, section 3.2).
    member: Option<Box<(&'static str, Value)>>,
}

impl Problem {
    /// An error with its code, its short text and what to do about it.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, title, detail: detail.into(), errors: Vec::new(), headers: Vec::new(), member: None }
    }

    /// The request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "Bad request", detail)
    }

    /// Members of the request are wrong.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = details(&errors);
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", "Validation failed", detail) }
    }

    /// One member of the request is wrong.
    pub fn field(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(pointer, code, detail)])
    }

    /// No such tenant.
    pub fn tenant_not_found(id: &str) -> Self {
        let shown: String = id.chars().take(80).collect();
        let detail = format!("There is no tenant with the id or slug `{shown}`.");
        Self::new(StatusCode::NOT_FOUND, "tenant_not_found", "Tenant not found", detail)
    }

    /// The tenant was deleted, and its slug is kept for it.
    pub fn tenant_deleted(tenant: &Tenant) -> Self {
        let Tenant { id, slug, .. } = tenant;
        let detail = format!("The tenant `{slug}` was deleted; its id `{id}` still finds it, and `restore` brings it back.");
        Self::new(StatusCode::NOT_FOUND, "tenant_not_found", "Tenant not found", detail)
    }

    /// Nothing of this kind.
    pub fn not_found(title: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", title, detail)
    }

    /// It is the configuration that says it.
    pub fn configured(what: &str, way_out: &str) -> Self {
        let detail = format!("{what} stands in the configuration; {way_out}.");
        Self::new(StatusCode::CONFLICT, "configured", "Part of the configuration", detail)
    }

    /// Adds a header field.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a member to the document.
    pub fn with_member(mut self, name: &'static str, value: Value) -> Self {
        self.member = Some(Box::new((name, value)));
        self
    }

    /// The problem that a bare error status stands for.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found("Not found", "There is nothing at this path; see /docs."),
            StatusCode::METHOD_NOT_ALLOWED => {
                Self::new(status, "method_not_allowed", "Method not allowed", "This path has other methods; see the field Allow.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(status, "body_too_large", "Body too large", "A request has at most 1 MiB."),
            _ if status.is_server_error() => {
                Self::new(status, "internal_error", "Internal error", "Gatehouse failed; its log has the request's id.")
            }
            _ => Self::new(status, "bad_request", "Bad request", "The request cannot be read."),
        }
    }

    /// The JSON document.
    pub fn document(&self, request_id: &str) -> Value {
        let mut document = json!({
            "type": format!("urn:gatehouse:problem:{}", self.code),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "error": self.title,
            "requestId": request_id,
        });
        if !self.errors.is_empty() {
            let error = |error: &FieldError| json!({"pointer": error.pointer, "code": error.code, "detail": error.detail});
            document["errors"] = self.errors.iter().map(error).collect();
        }
        if let Some((name, value)) = self.member.as_deref() {
            document[*name] = value.clone();
        }
        document
    }

    /// The whole response; every error goes out through here.
    pub fn render(&self, request_id: &str) -> Response {
        let mut response = Response::new(Body::from(self.document(request_id).to_string()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in &self.headers {
            response.headers_mut().append(name.clone(), value.clone());
        }
        response
    }
}

/// Carries the problem out to where the request's id is known.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<TenancyError> for Problem {
    fn from(error: TenancyError) -> Self {
        let detail = error.to_string();
        match error {
            TenancyError::Invalid(errors) => Self::invalid(errors),
            TenancyError::Taken(errors) => {
                let code = errors.first().map_or("conflict", |first| first.code);
                Self { detail: details(&errors), errors, ..Self::new(StatusCode::CONFLICT, code, "Already taken", "") }
            }
            TenancyError::Transition { .. } => Self::new(StatusCode::CONFLICT, "invalid_transition", "Not possible in this state", detail),
            TenancyError::Invoice(_) => Self::new(StatusCode::CONFLICT, "invalid_transition", "Not possible for this invoice", detail),
            TenancyError::Conflict => Self::new(StatusCode::CONFLICT, "conflict", "Changed meanwhile", detail),
            TenancyError::Store(error) => Self::from(error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) => Self::new(StatusCode::CONFLICT, "conflict", "Changed meanwhile", "Try again."),
            StoreError::Refused(text) => Self::field("", "too_long", text),
            StoreError::Unavailable(_) | StoreError::Locked(_) => {
                // The store says it once, when it stops; not each call that meets it.
                tracing::debug!(%error, "the admin API has no store");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "store_unavailable",
                    "Store not available",
                    "The store does not answer, and nothing was changed. The log says what to do; try again then.",
                )
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("5"))
            }
            StoreError::Damaged(_) | StoreError::Schema(_) => {
                tracing::error!(%error, "the store's data cannot be used");
                Self::of_status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

fn details(errors: &[FieldError]) -> String {
    errors.iter().map(|error| error.detail.as_str()).collect::<Vec<_>>().join("; ")
}

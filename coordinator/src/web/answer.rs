//! Answers: pages, what cannot be shown, and the headers of all of them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use maud::{Markup, PreEscaped};

use super::frame;
use crate::cli::failure::{Failure, USAGE};

/// What a page of ours may load: what comes with it from here. No script of a page, no style of an element, no other host.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Why there is no page.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

pub(super) type Answer = Result<Response, Refused>;

impl Refused {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
        }
    }

    pub(super) fn not_found(why: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, why)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let status = if failure.code == USAGE {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        Self::new(status, failure.text())
    }
}

impl From<mayfly_kit::store::StoreError> for Refused {
    fn from(error: mayfly_kit::store::StoreError) -> Self {
        Failure::from(error).into()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut answer = page(frame::refusal(self.status, &self.why));
        *answer.status_mut() = self.status;
        answer
    }
}

/// A page.
pub(super) fn page(PreEscaped(text): Markup) -> Response {
    with_type("text/html; charset=utf-8", text)
}

/// Text of one of our own types.
pub(super) fn with_type(kind: &'static str, body: impl Into<Body>) -> Response {
    let mut answer = Response::new(body.into());
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// Go and look there.
pub(super) fn see_other(path: &str) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(LOCATION, to);
    answer
}

/// What every answer carries; what an answer says of itself stays.
pub(super) fn protect(headers: &mut HeaderMap) {
    let mut unless_said = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    unless_said(CONTENT_SECURITY_POLICY, POLICY);
    unless_said(X_CONTENT_TYPE_OPTIONS, "nosniff");
    unless_said(X_FRAME_OPTIONS, "DENY");
    // Without a referrer browsers do not say either where a form comes from.
    unless_said(REFERRER_POLICY, "same-origin");
    unless_said(OPENER, "same-origin");
    unless_said(RESOURCE, "same-origin");
    unless_said(CACHE_CONTROL, "no-store");
}

/// For pages of others, which shall have no hold on ours: a page of ours that they open does not know them.
pub(super) fn of_others(headers: &mut HeaderMap, policy: &str) {
    let policy = HeaderValue::from_str(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(OPENER, HeaderValue::from_static("unsafe-none"));
}

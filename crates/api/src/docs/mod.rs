//! `GET /docs`: the documentation page, which a script of the API's own makes from the OpenAPI document. The page loads
//! nothing from other hosts. The token that a reader enters stays in the tab's session storage.

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

/// Nothing is loaded from another host, nothing is inline, and the page cannot be framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) async fn page() -> Response {
    let mut page = file(include_str!("page.html"), "text/html; charset=utf-8");
    page.headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    page
}

pub(crate) async fn script() -> Response {
    file(include_str!("page.js"), "text/javascript; charset=utf-8")
}

pub(crate) async fn style() -> Response {
    file(include_str!("page.css"), "text/css; charset=utf-8")
}

fn file(body: &'static str, content_type: &'static str) -> Response {
    let mut response = body.into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

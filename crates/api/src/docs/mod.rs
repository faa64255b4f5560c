//! `GET /docs`: the API's own pages, made from its OpenAPI document by a script that comes from here, like all that they
//! load. The token that a reader enters stays in the tab's session storage.

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

/// Nothing of another host, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page.
pub(crate) async fn page() -> Response {
    let mut page = file(include_str!("page.html"), "text/html; charset=utf-8");
    page.headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    page
}

/// What fills it.
pub(crate) async fn script() -> Response {
    file(include_str!("page.js"), "text/javascript; charset=utf-8")
}

/// How it looks.
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

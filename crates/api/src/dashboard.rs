//! `GET /` and its assets: the dashboard, which `cargo xtask web` builds into files.
//!
//! The files are read when they are requested: a cold start does not pay for them, and an API without a dashboard works as
//! well. The dashboard gets its data from the API, like any other client.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
};
use http::{HeaderName, StatusCode};
use mesh_http::Problem;
use sha2::{Digest, Sha256};

use crate::state::ApiState;

/// An asset's name contains a hash of its content, so the content under that name never changes.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// The page names the assets: a browser may cache it, but must revalidate it.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// The only page. The part of its address after `#` selects what it shows.
pub(crate) async fn page(State(api): State<Arc<ApiState>>, headers: HeaderMap) -> Result<Response, Problem> {
    let page = read(&api, "index.html").await.ok_or_else(Problem::no_dashboard)?;
    let bucket = api.payloads.address().await.ok();
    let policy = policy(bucket.as_deref(), api.events.as_deref());
    // A weak tag, because the answer may be compressed.
    let tag = format!("W/\"{}\"", hex::encode(&Sha256::digest(&page)[..8]));
    let cached = headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let mut response = if cached.is_some_and(|tags| tags.split(',').any(|cached| cached.trim() == tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer(page, "text/html; charset=utf-8")
    };
    for (name, value) in [(ETAG, tag), (CONTENT_SECURITY_POLICY, policy)] {
        set(&mut response, name, HeaderValue::try_from(value).ok());
    }
    set(&mut response, CACHE_CONTROL, Some(REVALIDATE));
    Ok(response)
}

/// A file that the page loads.
pub(crate) async fn asset(
    State(api): State<Arc<ApiState>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let name = name.ok().map(|Path(name)| name);
    let (name, content_type) = name
        .and_then(|name| content_type(&name).map(|content_type| (name, content_type)))
        .ok_or_else(Problem::route_not_found)?;
    let file = read(&api, &format!("assets/{name}")).await;
    let mut response = answer(file.ok_or_else(Problem::route_not_found)?, content_type);
    set(&mut response, CACHE_CONTROL, Some(IMMUTABLE));
    Ok(response)
}

/// The page's Content-Security-Policy. It may call its own API, the event stream, and the payload bucket, where images and
/// recordings are read and large contents are uploaded. It has no inline scripts, evaluates no code, makes no markup from
/// text, and cannot be framed.
fn policy(payloads: Option<&str>, events: Option<&str>) -> String {
    let bucket = payloads.map(|address| format!(" {address}")).unwrap_or_default();
    let events = events.map(|address| format!(" {address}")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:{bucket}; media-src blob:{bucket}; \
         connect-src 'self'{bucket}{events}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// The media type of an asset, by its extension. `None` for a name that no asset has: an asset lies directly in the folder
/// and is not hidden, so no name leads out of the folder.
fn content_type(name: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.starts_with('.') || !name.bytes().all(is_plain) {
        return None;
    }
    match name.rsplit_once('.')?.1 {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "jpg" => Some("image/jpeg"),
        "mp3" => Some("audio/mpeg"),
        _ => None,
    }
}

/// Reads a file of the dashboard. `None` if the stack has none.
async fn read(api: &ApiState, name: &str) -> Option<Vec<u8>> {
    tokio::fs::read(api.dashboard.as_ref()?.join(name)).await.ok()
}

fn answer(body: Vec<u8>, content_type: &'static str) -> Response {
    let mut response = body.into_response();
    let content_type = HeaderValue::from_static(content_type);
    set(&mut response, CONTENT_TYPE, Some(content_type));
    response
}

fn set(response: &mut Response, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for name in [
            "../index.html",
            "..%2findex.js",
            "a/b.js",
            "a\\b.js",
            ".hidden.js",
            "..",
            "",
            "a\0.js",
            "é.js",
        ] {
            assert_eq!(content_type(name), None, "{name:?}");
        }
    }

    #[test]
    fn only_files_that_the_page_loads_are_served() {
        assert_eq!(
            content_type("index-B1x_9.js"),
            Some("text/javascript; charset=utf-8")
        );
        assert_eq!(content_type("index-B1x_9.css"), Some("text/css; charset=utf-8"));
        assert_eq!(content_type("bootstrap"), None);
        assert_eq!(content_type("index.js.map"), None);
    }

    #[test]
    fn the_page_may_call_its_own_stack_and_no_other_host() {
        let own = policy(None, None);
        assert!(!own.contains("http") && !own.contains("unsafe"), "{own}");
        let whole = policy(Some("https://bucket.example/"), Some("https://events.example/"));
        assert!(
            whole.contains("connect-src 'self' https://bucket.example/ https://events.example/;"),
            "{whole}"
        );
        // Images and media come from the bucket too.
        assert_eq!(whole.matches("https://").count(), 4, "{whole}");
    }
}

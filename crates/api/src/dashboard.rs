//! `GET /` and its assets: the dashboard, which `cargo xtask web` builds into files beside the function.
//!
//! The files are read on request: a cold start pays nothing, and an API without its dashboard works as well. The dashboard
//! gets its data from the API, as any other client does.

use std::path::PathBuf;
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

use crate::app::Api;

/// The folder's name, beside the function's bootstrap.
const FOLDER: &str = "web";
/// An asset's name contains a hash of its content: under that name it never changes.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// The page names the assets: a browser may cache it, but must revalidate it before use.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// The page, from which the others follow by what stands behind the `#` of its address.
pub(crate) async fn page(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, Problem> {
    let page = read("index.html").await.ok_or_else(Problem::no_dashboard)?;
    let bucket = api.payloads.address().await.ok();
    let policy = policy(bucket.as_deref(), api.events.as_deref());
    // A weak one: the answer may be compressed on its way.
    let tag = format!("W/\"{}\"", hex::encode(&Sha256::digest(&page)[..8]));
    let known = headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let mut response = if known.is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag)) {
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

/// One of the files that the page loads.
pub(crate) async fn asset(name: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let name = name.ok().map(|Path(name)| name);
    let (name, content_type) = name
        .and_then(|name| content_type(&name).map(|content_type| (name, content_type)))
        .ok_or_else(Problem::route_not_found)?;
    let file = read(&format!("assets/{name}")).await;
    let mut response = answer(file.ok_or_else(Problem::route_not_found)?, content_type);
    set(&mut response, CACHE_CONTROL, Some(IMMUTABLE));
    Ok(response)
}

/// What the page may load and whom it may ask: its own API, the event stream, and the payload bucket, which photographs and
/// recordings come from and large contents go to. Nothing inline, nothing evaluated, no markup made of text, in nobody's frame.
fn policy(payloads: Option<&str>, events: Option<&str>) -> String {
    let bucket = payloads.map(|address| format!(" {address}")).unwrap_or_default();
    let events = events.map(|address| format!(" {address}")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:{bucket}; media-src blob:{bucket}; \
         connect-src 'self'{bucket}{events}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// The type of an asset, by the end of its name; none where no asset can bear the name. A name is one step below the
/// folder, and no hidden one: it can't lead out of it.
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

/// A file of the dashboard, if there is one.
async fn read(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("LAMBDA_TASK_ROOT").map(PathBuf::from)?;
    tokio::fs::read(folder.join(FOLDER).join(name)).await.ok()
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
    fn only_what_a_page_is_made_of_is_served() {
        assert_eq!(
            content_type("index-B1x_9.js"),
            Some("text/javascript; charset=utf-8")
        );
        assert_eq!(content_type("index-B1x_9.css"), Some("text/css; charset=utf-8"));
        assert_eq!(content_type("bootstrap"), None);
        assert_eq!(content_type("index.js.map"), None);
    }

    #[test]
    fn the_page_may_ask_the_stack_s_own_and_no_other_host() {
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

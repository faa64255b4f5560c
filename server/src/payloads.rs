//! The addresses of payloads, which are signed: who has one needs no token.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::BodyDataStream;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::StreamExt;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use mesh_embedded::{EmbeddedPayloads, Incoming, Signed, UploadRefusal};
use mesh_http::{Problem, ProblemKind, browser};
use serde::Deserialize;
use tokio::time::timeout;
use tower_http::services::ServeFile;

/// How long an upload may take: 50 MB then need 120 kbit/s.
const UPLOAD_TIME: Duration = Duration::from_hours(1);

/// What a signed address states.
#[derive(Deserialize)]
struct Signature {
    expires: i64,
    #[serde(rename = "type")]
    content_type: String,
    #[serde(default)]
    sha256: String,
    signature: String,
}

pub(crate) fn router(payloads: Arc<EmbeddedPayloads>) -> Router {
    let routes = Router::new()
        .route("/payloads/{*key}", get(read).put(upload))
        .layer(from_fn(mesh_http::render));
    // Only who has an address can use it, so pages of any origin may: the dashboard may be open at another name of the server.
    let cors = browser::cors(
        &HeaderValue::from_static("*"),
        [Method::GET, Method::HEAD, Method::PUT],
        [CONTENT_TYPE],
    );
    browser::layers(routes, Some(cors)).with_state(payloads)
}

async fn read(
    State(payloads): State<Arc<EmbeddedPayloads>>,
    Path(key): Path<String>,
    signature: Result<Query<Signature>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let signature = complete(signature)?;
    check(&payloads, "GET", &key, &signature, 0)?;
    let file = payloads.file(&key).await?;
    let (path, _) = file.ok_or_else(Problem::route_not_found)?;
    // It answers requests of ranges, without which a browser can't seek in a recording.
    let served = ServeFile::new(path).try_call(request).await;
    let served = served
        .ok()
        .filter(|served| served.status() != StatusCode::NOT_FOUND);
    let mut response = served.ok_or_else(Problem::route_not_found)?.into_response();
    let content_type = HeaderValue::from_str(&signature.content_type).map_err(|_| changed_address())?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(response)
}

async fn upload(
    State(payloads): State<Arc<EmbeddedPayloads>>,
    Path(key): Path<String>,
    signature: Result<Query<Signature>, QueryRejection>,
    headers: HeaderMap,
    request: Request,
) -> Result<StatusCode, Problem> {
    let signature = complete(signature)?;
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let length = length.unwrap_or(0);
    check(&payloads, "PUT", &key, &signature, length)?;
    let given = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if given != Some(signature.content_type.as_bytes()) {
        return Err(changed_address());
    }
    let body = request.into_body().into_data_stream();
    let incoming = receive(&payloads, body, length, UPLOAD_TIME).await?;
    let announced = (signature.sha256.as_str(), length);
    match payloads
        .accept(key, signature.content_type, incoming, announced)
        .await
    {
        Ok(()) => Ok(StatusCode::OK),
        Err(UploadRefusal::Backend(error)) => Err(error.into()),
        Err(refusal) => Err(refused(refusal.to_string())),
    }
}

async fn receive(
    payloads: &EmbeddedPayloads,
    body: BodyDataStream,
    length: u64,
    time: Duration,
) -> Result<Incoming, Problem> {
    let received = timeout(time, receive_all(payloads, body, length)).await;
    received.unwrap_or_else(|_| {
        let why = "the content took more than an hour: send it over a faster connection";
        Err(refused(why.to_owned()))
    })
}

async fn receive_all(
    payloads: &EmbeddedPayloads,
    mut body: BodyDataStream,
    length: u64,
) -> Result<Incoming, Problem> {
    let mut incoming = payloads.receive()?;
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| refused(format!("the content ended early: {error}")))?;
        incoming.write(&part)?;
        if incoming.bytes() > length {
            return Err(refused("the content is longer than announced".to_owned()));
        }
    }
    Ok(incoming)
}

fn check(
    payloads: &EmbeddedPayloads,
    method: &str,
    key: &str,
    given: &Signature,
    length: u64,
) -> Result<(), Problem> {
    let signed = Signed {
        method,
        key,
        expires: given.expires,
        content_type: &given.content_type,
        sha256: &given.sha256,
        length,
    };
    if payloads.accepts(&signed, &given.signature) {
        Ok(())
    } else {
        Err(changed_address())
    }
}

/// Refuses an address without all that is signed.
fn complete(signature: Result<Query<Signature>, QueryRejection>) -> Result<Signature, Problem> {
    signature
        .map(|Query(signature)| signature)
        .map_err(|_| changed_address())
}

fn changed_address() -> Problem {
    let why =
        "the address was changed or has expired: request a new one, and send the announced headers unchanged";
    refused(why.to_owned())
}

fn refused(why: String) -> Problem {
    Problem::new(ProblemKind::InvalidUpload, why)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::fs;

    use axum::body::{Body, Bytes};
    use futures_util::stream;
    use mesh_embedded::{Embedded, Settings};

    use super::*;

    #[tokio::test]
    async fn an_upload_that_never_ends_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            address: "http://127.0.0.1:8000".to_owned(),
            max_receives: 3,
        };
        let embedded = Embedded::open(folder.path(), settings).unwrap();
        let endless = stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"a")), ()))
        });
        let body = Body::from_stream(endless).into_data_stream();
        let received = receive(&embedded.payloads(), body, u64::MAX, Duration::from_millis(20)).await;
        let problem = received.unwrap_err();
        assert_eq!(problem.kind(), ProblemKind::InvalidUpload);
        assert_eq!(
            fs::read_dir(folder.path().join("payloads/.unfinished"))
                .unwrap()
                .count(),
            0
        );
    }
}

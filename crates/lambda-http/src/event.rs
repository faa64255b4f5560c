//! The event of a request, and the request that it describes.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method, Uri};
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use mesh_http::Problem;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use url::Url;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The address of a request that is refused: one that no router serves, so that the refusal counts for no route.
const NO_ADDRESS: &str = "/-";

/// The most headers of a request: no gateway sends as many.
const MAX_HEADERS: usize = 1_000;

/// The names of an event's headers.
#[derive(Deserialize)]
struct Headers {
    headers: Option<HashMap<String, IgnoredAny>>,
}

/// What an HTTP API or a Function URL sends for a request, whether or not it can be read.
#[derive(Debug)]
pub struct HttpEvent(Option<Box<ApiGatewayV2httpRequest>>);

impl<'de> Deserialize<'de> for HttpEvent {
    /// Fails only where the event is not JSON: an event of another shape becomes a refused request.
    fn deserialize<D: Deserializer<'de>>(event: D) -> Result<Self, D::Error> {
        let event = <&RawValue>::deserialize(event)?.get();
        // Beyond a number of names, the map of headers panics.
        let Ok(Headers { headers }) = serde_json::from_str(event) else {
            return Ok(Self(None));
        };
        if headers.is_some_and(|headers| headers.len() > MAX_HEADERS) {
            return Ok(Self(None));
        }
        Ok(Self(serde_json::from_str(event).ok()))
    }
}

impl HttpEvent {
    /// The request, or one that contains the problem that answers it.
    pub(crate) fn into_request(self) -> Request {
        let Some(mut event) = self.0 else {
            let why = "the method or a header is not valid HTTP, or there are too many headers: send an ordinary method, and up to 1,000 headers without control characters";
            return refused(Problem::invalid_request(why), Method::GET, HeaderMap::new());
        };
        let parts = address(&event).and_then(|uri| Ok((uri, body(&mut event)?)));
        let method = event.request_context.http.method;
        match parts {
            Ok((uri, body)) => {
                let mut request = Request::new(body);
                *request.uri_mut() = uri;
                *request.method_mut() = method;
                *request.headers_mut() = event.headers;
                request
            }
            Err(why) => refused(Problem::invalid_request(why), method, event.headers),
        }
    }
}

/// A request that [`mesh_http::render`] answers with the problem.
fn refused(problem: Problem, method: Method, headers: HeaderMap) -> Request {
    let mut request = Request::default();
    *request.uri_mut() = Uri::from_static(NO_ADDRESS);
    // An answer to HEAD has no body. A preflight would be answered before the problem.
    if method == Method::HEAD {
        *request.method_mut() = method;
    }
    *request.headers_mut() = headers;
    request.extensions_mut().insert(problem);
    request
}

/// The path and the query, or what is wrong with the address.
fn address(event: &ApiGatewayV2httpRequest) -> Result<Uri, &'static str> {
    check_scheme(&event.headers)?;
    check_host(event)?;
    let path = event.raw_path.as_deref().unwrap_or_default();
    if !path.is_empty() && !path.starts_with('/') {
        return Err("the path does not begin with a slash: send the path alone");
    }
    // An HTTP API sends the path decoded. This encodes what no path contains, and resolves `.` and `..`.
    let mut url = Url::parse("http://localhost").expect("this address is valid");
    url.set_path(path);
    let uri = match event.raw_query_string.as_deref() {
        None | Some("") => url.path().parse(),
        Some(query) => format!("{}?{query}", url.path()).parse(),
    };
    uri.map_err(|_| {
        "the address is too long, or its query contains a character that must be percent-encoded, such as %22 for a quotation mark"
    })
}

/// A gateway sends the scheme of the client's request.
fn check_scheme(headers: &HeaderMap) -> Result<(), &'static str> {
    let is_known = |scheme: &[u8]| {
        [&b"http"[..], b"https"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    };
    if headers
        .get_all(FORWARDED_PROTO)
        .iter()
        .all(|scheme| is_known(scheme.as_bytes()))
    {
        Ok(())
    } else {
        Err("X-Forwarded-Proto is neither http nor https: leave this header out")
    }
}

fn check_host(event: &ApiGatewayV2httpRequest) -> Result<(), &'static str> {
    let host = match event.headers.get(HOST) {
        Some(host) => host.to_str().unwrap_or_default(),
        None => event.request_context.domain_name.as_deref().unwrap_or_default(),
    };
    // The first finds what is not a host and a port alone, the second what is not a name or a number of a host.
    let is_host = host
        .parse::<Authority>()
        .is_ok_and(|host| !host.as_str().contains('@'))
        && Url::parse(&format!("http://{host}")).is_ok();
    is_host
        .then_some(())
        .ok_or("the host is missing or malformed: send the API's own name as the Host header")
}

fn body(event: &mut ApiGatewayV2httpRequest) -> Result<Body, &'static str> {
    match event.body.take() {
        None => Ok(Body::empty()),
        Some(body) if event.is_base64_encoded => {
            let body = STANDARD.decode(body);
            body.map(Body::from)
                .map_err(|_| "the event's body is not base64: send the request again")
        }
        Some(body) => Ok(Body::from(body)),
    }
}

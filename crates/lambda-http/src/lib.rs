//! Serves a router on Lambda, behind an API Gateway HTTP API or a Function URL: both send events of version 2.0.
//!
//! Anybody can send a request, so every event gets an answer. `lambda_http` panics where an event is not a valid request,
//! and Lambda reports a panic as a failure of the function. So this crate makes the request by itself, and gives
//! `lambda_http` an empty event. Where an event is not a request, [`mesh_http::render`] answers with a problem.

mod event;

use std::convert::Infallible;
use std::mem::take;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::response::Response;
use futures_util::Stream;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::lambda_runtime::{self, StreamResponse, service_fn};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, StreamAdapter};
use mesh_http::RequestContext;
use mesh_telemetry::begin_invocation;
use serde::Serialize;
use tower::{Service, ServiceExt};

pub use event::HttpEvent;
pub use lambda_http::{Context, Error, LambdaEvent};

/// Lambda takes 6 MB for a synchronous invocation's event (AWS Lambda quotas).
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

/// Serves a router until Lambda ends the process. Each answer is sent whole.
///
/// # Errors
/// When Lambda's runtime API can't be reached.
pub async fn run(router: Router) -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event| answer(router.clone(), event))).await
}

/// Serves a router until Lambda ends the process. Each answer is sent while it is made.
///
/// # Errors
/// When Lambda's runtime API can't be reached.
pub async fn run_streaming(router: Router) -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event| answer_streaming(router.clone(), event))).await
}

/// Answers one event, as [`run`] does for each.
///
/// # Errors
/// Never.
pub async fn answer(router: Router, event: LambdaEvent<HttpEvent>) -> Result<impl Serialize, Infallible> {
    let (service, empty) = serve(router, event);
    Adapter::from(service).call(empty).await
}

/// Answers one event, as [`run_streaming`] does for each.
///
/// # Errors
/// Never.
pub async fn answer_streaming(
    router: Router,
    event: LambdaEvent<HttpEvent>,
) -> Result<StreamResponse<impl Stream<Item = Result<Bytes, axum::Error>> + Unpin + Send + 'static>, Infallible>
{
    let (service, empty) = serve(router, event);
    StreamAdapter::from(service).call(empty).await
}

/// A service that answers the event's request whatever it is called with, and an event to call it with.
fn serve(
    router: Router,
    event: LambdaEvent<HttpEvent>,
) -> (
    impl Service<lambda_http::Request, Response = Response, Error = Infallible, Future: Send>,
    LambdaEvent<LambdaRequest>,
) {
    let LambdaEvent { payload, context } = event;
    let mut request = request(payload, &context);
    let service = router.map_request(move |_| take(&mut request));
    let empty = LambdaRequest::ApiGatewayV2(ApiGatewayV2httpRequest::default());
    (service, LambdaEvent::new(empty, context))
}

/// The request of an event, with what Lambda knows about it. From here on each line of the log contains its id.
fn request(event: HttpEvent, context: &Context) -> Request {
    begin_invocation(&context.request_id);
    let mut request = event.into_request();
    request.extensions_mut().insert(RequestContext {
        max_event_bytes: Some(MAX_EVENT_BYTES),
        ..RequestContext::new(&context.request_id, context.deadline())
    });
    request
}

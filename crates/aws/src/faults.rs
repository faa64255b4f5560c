//! Calls to AWS that fail on demand, for tests: compiled in by a feature and asleep unless `AI_MESH_FAULTS` is `on`.
//!
//! `AI_MESH_CALL_FAULTS` says what goes wrong at random: `CALL=KIND:SHARE, ...`, CALL being an operation's name or `*`,
//! SHARE the part of the calls it strikes, 0 to 1. The kinds:
//! - `before`: the call fails and was never sent,
//! - `after`: the call fails, and yet it took effect,
//! - `resend`: its answer is lost after it took effect, and the client sends it again by itself,
//! - `throttle`: the service answers that it is asked too often,
//! - `delay`: it takes up to two seconds longer,
//! - `abort`: the process ends before it is sent.
//!
//! `AI_MESH_FAULT_SEED` is what that chance follows from. [`scope`] does the same to the calls of one future, every time. `AI_MESH_BROKEN` takes a promise's guard away, so that
//! a test can show that it would notice: `fence` (whoever has claimed a task may end it) or `claim` (anyone may claim).

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use mesh_task::{Change, Condition, Field, Status, Write};

const MAX_DELAY: Duration = Duration::from_secs(2);

/// Whether this process may fail on demand.
pub fn enabled() -> bool {
    std::env::var("AI_MESH_FAULTS").is_ok_and(|value| value == "on")
}

static AT_RANDOM: LazyLock<Vec<Fault>> = LazyLock::new(|| {
    let faults = std::env::var("AI_MESH_CALL_FAULTS").unwrap_or_default();
    faults.split(',').filter_map(Fault::read).collect()
});

tokio::task_local! {
    static SCOPED: Vec<Fault>;
}

/// Runs a future whose calls fail as the text says, in the words of `AI_MESH_CALL_FAULTS`; SHARE may be left out.
pub async fn scope<F: Future>(faults: &str, future: F) -> F::Output {
    if !enabled() {
        return future.await;
    }
    let faults = faults.split(',').filter_map(Fault::read).collect();
    SCOPED.scope(faults, future).await
}

#[derive(Debug, Clone)]
struct Fault {
    call: String,
    kind: Kind,
    share: f64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Before,
    After,
    Resend,
    Throttle,
    Delay,
    Abort,
}

impl Fault {
    fn read(text: &str) -> Option<Self> {
        let (call, rest) = text.trim().split_once('=')?;
        let (kind, share) = rest.split_once(':').unwrap_or((rest, "1"));
        let kind = match kind {
            "before" => Kind::Before,
            "after" => Kind::After,
            "resend" => Kind::Resend,
            "throttle" => Kind::Throttle,
            "delay" => Kind::Delay,
            "abort" => Kind::Abort,
            _ => return None,
        };
        Some(Self {
            call: call.to_owned(),
            kind,
            share: share.parse().ok()?,
        })
    }

    fn applies(&self, call: &str) -> bool {
        (self.call == "*" || self.call == call) && roll() < self.share
    }
}

/// A number in 0..1, from the seed in `AI_MESH_FAULT_SEED` and this process's id, if there is a seed.
fn roll() -> f64 {
    static DICE: LazyLock<Mutex<fastrand::Rng>> = LazyLock::new(|| {
        let seed = std::env::var("AI_MESH_FAULT_SEED")
            .ok()
            .and_then(|seed| seed.parse::<u64>().ok());
        let of_process = |seed: u64| seed.rotate_left(32) ^ u64::from(std::process::id());
        Mutex::new(seed.map_or_else(fastrand::Rng::new, |seed| {
            fastrand::Rng::with_seed(of_process(seed))
        }))
    });
    DICE.lock().unwrap_or_else(PoisonError::into_inner).f64()
}

/// Puts the faults between the clients and the network.
pub(crate) fn wrap(client: SharedHttpClient) -> SharedHttpClient {
    if enabled() {
        SharedHttpClient::new(FaultyClient(client))
    } else {
        client
    }
}

#[derive(Debug)]
struct FaultyClient(SharedHttpClient);

impl HttpClient for FaultyClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(FaultyConnector(self.0.http_connector(settings, components)))
    }
}

#[derive(Debug)]
struct FaultyConnector(SharedHttpConnector);

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = operation(&request);
        crate::meter::note_call(&call);
        let strikes = |faults: &Vec<Fault>| {
            faults
                .iter()
                .find(|fault| fault.applies(&call))
                .map(|fault| fault.kind)
        };
        let fault = SCOPED.try_with(strikes).ok().flatten();
        let Some(kind) = fault.or_else(|| strikes(&AT_RANDOM)) else {
            return self.0.call(request);
        };
        tracing::debug!(call, ?kind, "a call fails as a test asked");
        let inner = self.0.clone();
        HttpConnectorFuture::new(async move {
            match kind {
                Kind::Before => Err(final_error()),
                Kind::After => {
                    inner.call(request).await?;
                    Err(final_error())
                }
                Kind::Resend => {
                    inner.call(request).await?;
                    Err(ConnectorError::io("a test cut the connection".into()))
                }
                Kind::Throttle => throttled(),
                Kind::Delay => {
                    tokio::time::sleep(MAX_DELAY.mul_f64(roll())).await;
                    inner.call(request).await
                }
                Kind::Abort => std::process::abort(),
            }
        })
    }
}

/// An error that the client does not meet with another try of its own.
fn final_error() -> ConnectorError {
    ConnectorError::user("a test lets this call fail".into())
}

/// As DynamoDB and SQS say it; S3, which has XML, is taken at its status.
fn throttled() -> Result<HttpResponse, ConnectorError> {
    let body =
        r#"{"__type": "com.amazonaws#ThrottlingException", "message": "a test lets this call be throttled"}"#;
    let status = StatusCode::try_from(400).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}

/// `UpdateItem` of `DynamoDB_20120810.UpdateItem`; S3 has no such header, and its methods tell enough.
fn operation(request: &HttpRequest) -> String {
    let target = request.headers().get("x-amz-target");
    match (target, request.method()) {
        (Some(target), _) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        (None, "PUT") => "PutObject".to_owned(),
        (None, _) => "GetObject".to_owned(),
    }
}

/// The write without the guard that `AI_MESH_BROKEN` takes away.
pub(crate) fn without_guard(write: &Write) -> Write {
    static BROKEN: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("AI_MESH_BROKEN").ok().filter(|_| enabled()));
    let guards: &[Field] = match BROKEN.as_deref() {
        Some("fence") => &[Field::Fence],
        Some("claim") if is_claim(write) => &[Field::Status, Field::LeaseUntil, Field::NextAttemptAt],
        _ => &[],
    };
    let mut write = write.clone();
    if let Some(condition) = without(&write.condition, guards) {
        write.condition = condition;
    }
    write
}

fn is_claim(write: &Write) -> bool {
    write
        .changes
        .contains(&Change::Set(Field::Status, Status::Processing.as_str().into()))
}

/// The condition as if whatever it asks of these fields were so; none if it asks nothing else.
fn without(condition: &Condition, fields: &[Field]) -> Option<Condition> {
    match condition {
        Condition::All(conditions) => {
            let mut left: Vec<_> = conditions
                .iter()
                .filter_map(|condition| without(condition, fields))
                .collect();
            match left.len() {
                0 => None,
                // DynamoDB takes no parentheses around a single condition that has its own.
                1 => left.pop(),
                _ => Some(Condition::All(left)),
            }
        }
        Condition::Any(conditions) => {
            let left: Option<Vec<_>> = conditions
                .iter()
                .map(|condition| without(condition, fields))
                .collect();
            left.map(Condition::Any)
        }
        Condition::Is(field, _)
        | Condition::Absent(field)
        | Condition::AtMost(field, _)
        | Condition::Below(field, _)
        | Condition::BelowField(field, _) => (!fields.contains(field)).then(|| condition.clone()),
    }
}

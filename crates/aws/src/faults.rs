//! Fault injection for tests: calls to AWS fail on demand. Compiled in by the feature `faults`, and off unless the variable
//! `AI_MESH_FAULTS` is `on`.
//!
//! `AI_MESH_CALL_FAULTS` is a list `CALL=KIND:SHARE, CALL=KIND#N, ...`. CALL is an operation's name (`UpdateItem`) or `*`.
//! SHARE is the part of the calls that fail, 0 to 1; N is the one call that fails, counted from 1 among the calls of that
//! operation; without either every call fails. The kinds:
//! - `before`: the call fails and is never sent,
//! - `after`: the call fails although it took effect,
//! - `resend`: the response is lost after the call took effect, and the client sends it again by itself,
//! - `throttle`: the service answers that it is called too often,
//! - `delay`: the call takes up to two seconds longer,
//! - `abort`: the process ends before the call is sent.
//!
//! `AI_MESH_FAULT_SEED` seeds the random choice. [`scope`] injects faults into the calls of one future.
//! `AI_MESH_BROKEN` removes the guard of a promise, so that the soak can show that it detects the missing guard: `fence` (a worker that lost
//! its claim may end the task) or `claim` (any worker may claim a task).
//!
//! A specification that can't be parsed panics: a test whose faults are not injected would pass without testing anything.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
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

/// The operations that a fault can name: those that this crate calls. S3 has no name for an operation in its requests, so that
/// [`operation`] calls all but PutObject GetObject.
const OPERATIONS: [&str; 15] = [
    "BatchGetItem",
    "BatchWriteItem",
    "ChangeMessageVisibility",
    "GetItem",
    "GetMetricData",
    "GetObject",
    "GetQueueAttributes",
    "GetSecretValue",
    "PutItem",
    "PutObject",
    "Query",
    "Scan",
    "SendMessage",
    "SendMessageBatch",
    "UpdateItem",
];

/// The longest time by which the fault `delay` holds up a call.
const MAX_INJECTED_DELAY: Duration = Duration::from_secs(2);

/// Whether this process injects faults.
pub fn enabled() -> bool {
    std::env::var("AI_MESH_FAULTS").is_ok_and(|value| value == "on")
}

/// The faults of the whole process.
static PROCESS_FAULTS: LazyLock<Faults> = LazyLock::new(|| {
    let specification = std::env::var("AI_MESH_CALL_FAULTS").unwrap_or_default();
    parsed("AI_MESH_CALL_FAULTS", &specification)
});

tokio::task_local! {
    static SCOPED_FAULTS: Faults;
}

/// Runs a future whose calls fail as the specification says, in the grammar of `AI_MESH_CALL_FAULTS`. Calls are counted
/// anew in each scope.
///
/// # Panics
/// If the specification can't be parsed, whether or not this process injects faults.
pub async fn scope<F: Future>(specification: &str, future: F) -> F::Output {
    let faults = parsed("a fault scope", specification);
    if !enabled() {
        return future.await;
    }
    SCOPED_FAULTS.scope(faults, future).await
}

fn parsed(origin: &str, specification: &str) -> Faults {
    match specification.parse() {
        Ok(faults) => faults,
        Err(error) => panic!("{origin}: {error}"),
    }
}

/// Faults, the first that applies to a call being injected.
#[derive(Debug, Default)]
struct Faults(Vec<Fault>);

#[derive(Debug)]
struct Fault {
    /// An operation's name, or `*`.
    call: String,
    kind: Kind,
    when: When,
    /// How many calls of that name this fault has seen.
    seen: AtomicU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Before,
    After,
    Resend,
    Throttle,
    Delay,
    Abort,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    /// The fraction of the calls that fail, 0 to 1.
    Share(f64),
    /// Only the call with this number fails, counted from 1.
    Nth(u32),
}

/// The text is not a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a fault: write CALL=KIND, CALL=KIND:SHARE with a share from 0 to 1, or CALL=KIND#N with N from 1"
)]
struct InvalidFault(String);

impl FromStr for Faults {
    type Err = InvalidFault;

    fn from_str(text: &str) -> Result<Self, InvalidFault> {
        let faults = text.split(',').map(str::trim).filter(|fault| !fault.is_empty());
        faults.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Fault {
    type Err = InvalidFault;

    fn from_str(text: &str) -> Result<Self, InvalidFault> {
        let invalid = || InvalidFault(text.to_owned());
        let (call, fault) = text.split_once('=').ok_or_else(invalid)?;
        let is_name = call == "*" || OPERATIONS.contains(&call);
        let (kind, when) = if let Some((kind, share)) = fault.split_once(':') {
            let share = share.parse().ok().filter(|share| (0.0..=1.0).contains(share));
            (kind, share.map(When::Share))
        } else if let Some((kind, nth)) = fault.split_once('#') {
            (kind, nth.parse().ok().filter(|nth| *nth > 0).map(When::Nth))
        } else {
            (fault, Some(When::Share(1.0)))
        };
        let kind = match kind {
            "before" => Kind::Before,
            "after" => Kind::After,
            "resend" => Kind::Resend,
            "throttle" => Kind::Throttle,
            "delay" => Kind::Delay,
            "abort" => Kind::Abort,
            _ => return Err(invalid()),
        };
        Ok(Self {
            call: Some(call).filter(|_| is_name).ok_or_else(invalid)?.to_owned(),
            kind,
            when: when.ok_or_else(invalid)?,
            seen: AtomicU32::new(0),
        })
    }
}

impl Faults {
    /// The fault to inject into a call, if one applies. Every fault counts every call of its name.
    fn inject(&self, call: &str) -> Option<Kind> {
        let applying: Vec<_> = self.0.iter().filter(|fault| fault.applies(call)).collect();
        applying.first().map(|fault| fault.kind)
    }
}

impl Fault {
    fn applies(&self, call: &str) -> bool {
        if self.call != "*" && self.call != call {
            return false;
        }
        let number = self.seen.fetch_add(1, Relaxed) + 1;
        match self.when {
            When::Share(share) => random() < share,
            When::Nth(nth) => number == nth,
        }
    }
}

/// A number in 0..1. With `AI_MESH_FAULT_SEED` it follows from the seed and this process's id.
fn random() -> f64 {
    static GENERATOR: LazyLock<Mutex<fastrand::Rng>> = LazyLock::new(|| {
        let seed = std::env::var("AI_MESH_FAULT_SEED")
            .ok()
            .map(|seed| match seed.parse::<u64>() {
                Ok(seed) => seed,
                Err(error) => panic!("AI_MESH_FAULT_SEED {seed:?}: {error}"),
            });
        let of_process = |seed: u64| seed.rotate_left(32) ^ u64::from(std::process::id());
        Mutex::new(seed.map_or_else(fastrand::Rng::new, |seed| {
            fastrand::Rng::with_seed(of_process(seed))
        }))
    });
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner).f64()
}

/// An HTTP client that injects the faults, around the one that reaches the network.
pub(crate) fn wrap(client: SharedHttpClient) -> SharedHttpClient {
    if enabled() {
        // A specification that can't be parsed stops the process here, not in the middle of a call.
        LazyLock::force(&PROCESS_FAULTS);
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
        crate::meter::count_call(&call);
        let scoped = SCOPED_FAULTS.try_with(|faults| faults.inject(&call));
        let Some(kind) = scoped.ok().flatten().or_else(|| PROCESS_FAULTS.inject(&call)) else {
            return self.0.call(request);
        };
        tracing::debug!(
            event = "fault_injected",
            call,
            ?kind,
            "a fault is injected into a call"
        );
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
                    Err(ConnectorError::io("an injected fault cut the connection".into()))
                }
                Kind::Throttle => throttled(),
                Kind::Delay => {
                    tokio::time::sleep(MAX_INJECTED_DELAY.mul_f64(random())).await;
                    inner.call(request).await
                }
                Kind::Abort => std::process::abort(),
            }
        })
    }
}

/// An error that the AWS SDK does not retry.
fn final_error() -> ConnectorError {
    ConnectorError::user("a fault was injected into this call".into())
}

/// A throttling error of DynamoDB and SQS. S3 has XML bodies, and its client judges by the status.
fn throttled() -> Result<HttpResponse, ConnectorError> {
    let body = r#"{"__type": "com.amazonaws#ThrottlingException", "message": "an injected fault throttles this call"}"#;
    let status = StatusCode::try_from(400).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}

/// The operation of a request: `UpdateItem` of the header `DynamoDB_20120810.UpdateItem`. S3 has no such header; of its
/// operations only PutObject and GetObject are told apart, by their methods.
fn operation(request: &HttpRequest) -> String {
    let target = request.headers().get("x-amz-target");
    match (target, request.method()) {
        (Some(target), _) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        (None, "PUT") => "PutObject".to_owned(),
        (None, _) => "GetObject".to_owned(),
    }
}

/// A guard that `AI_MESH_BROKEN` removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    Fence,
    Claim,
}

impl FromStr for Guard {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "fence" => Ok(Self::Fence),
            "claim" => Ok(Self::Claim),
            _ => Err(format!(
                "AI_MESH_BROKEN {name:?} is not a guard: write fence or claim"
            )),
        }
    }
}

/// The write as it is sent: without the guard that `AI_MESH_BROKEN` removes.
pub(crate) fn broken(write: &Write) -> Write {
    static REMOVED: LazyLock<Option<Guard>> = LazyLock::new(|| {
        let name = std::env::var("AI_MESH_BROKEN").ok().filter(|_| enabled())?;
        Some(name.parse().unwrap_or_else(|error| panic!("{error}")))
    });
    match *REMOVED {
        Some(guard) => without_guard(write, guard),
        None => write.clone(),
    }
}

fn without_guard(write: &Write, guard: Guard) -> Write {
    let fields: &[Field] = match guard {
        Guard::Fence => &[Field::Fence],
        Guard::Claim if is_claim(write) => &[Field::Status, Field::LeaseUntil, Field::NextAttemptAt],
        Guard::Claim => &[],
    };
    let mut write = write.clone();
    if let Some(condition) = without_fields(&write.condition, fields) {
        write.condition = condition;
    }
    write
}

fn is_claim(write: &Write) -> bool {
    write
        .changes
        .contains(&Change::Set(Field::Status, Status::Processing.as_str().into()))
}

/// The condition without its parts about these fields, as if they held; `None` if nothing else is left.
fn without_fields(condition: &Condition, fields: &[Field]) -> Option<Condition> {
    match condition {
        Condition::All(conditions) => {
            let mut left: Vec<_> = conditions
                .iter()
                .filter_map(|condition| without_fields(condition, fields))
                .collect();
            match left.len() {
                0 => None,
                // DynamoDB refuses a second pair of parentheses around a single condition.
                1 => left.pop(),
                _ => Some(Condition::All(left)),
            }
        }
        Condition::Any(conditions) => {
            let left: Option<Vec<_>> = conditions
                .iter()
                .map(|condition| without_fields(condition, fields))
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

#[cfg(test)]
mod tests;

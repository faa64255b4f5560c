//! The functions' log: JSON lines on standard error, with the key names of AWS Lambda Powertools, so that one query finds
//! a task's story in all of them.
//!
//! No line holds what a task is asked of: our own code logs names and numbers, and of other crates (the AWS SDK would
//! print whole requests at `debug`) only warnings are let through. A tenant is logged as a hash.
//!
//! <https://docs.aws.amazon.com/powertools/python/latest/core/logger/>

use std::fmt;
use std::panic::PanicHookInfo;
use std::sync::{LazyLock, PoisonError, RwLock};

use jiff::Timestamp;
use mesh_task::{Message, Tenant};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Span, Subscriber, field};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::without_text;
use crate::trace::{self, Trace};
use crate::{metrics, setting};

/// What the log calls us, whichever function writes.
const SERVICE: &str = "ai-mesh";
/// What the names of our own crates begin with.
const OURS: [&str; 9] = [
    "mesh_",
    "api",
    "text_worker",
    "image_worker",
    "audio_worker",
    "language_worker",
    "janitor",
    "reactor",
    "event_stream",
];

/// The invocation that runs: an environment serves one at a time.
#[derive(Debug, Default)]
struct Invocation {
    request_id: String,
    /// How many this environment has begun.
    begun: u64,
}

static INVOCATION: RwLock<Invocation> = RwLock::new(Invocation {
    request_id: String::new(),
    begun: 0,
});

/// Sends the log to standard error, from `LOG_LEVEL` up (`info` when it is not set), and panics with it.
pub fn init_logging() {
    let level = setting::<LevelFilter>("LOG_LEVEL").unwrap_or(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(Line)
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(lines)
        .with(targets(level))
        .init();
    std::panic::set_hook(Box::new(log_panic));
}

/// Tells where the code panicked, and why if that is a fixed text: one that was put together may quote what the code was
/// at work on, as that of a string cut within a character does.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let why = panic.payload().downcast_ref::<&'static str>().copied();
    tracing::error!(place, why, "the code panicked");
}

fn targets(level: LevelFilter) -> Targets {
    let others = level.min(LevelFilter::WARN);
    Targets::new()
        .with_default(others)
        .with_targets(OURS.map(|name| (name, level)))
}

/// Begins an invocation: from here on every line carries its request id.
pub fn begin(request_id: &str) {
    let mut invocation = INVOCATION.write().unwrap_or_else(PoisonError::into_inner);
    invocation.begun += 1;
    request_id.clone_into(&mut invocation.request_id);
}

/// What an invocation came to; a failure is logged, since Lambda keeps its words for who waits for the answer, and nobody
/// waits for a schedule's or a stream's.
///
/// # Errors
/// The invocation's own.
pub fn logged<T, E: ToString>(outcome: Result<T, E>) -> Result<T, E> {
    if let Err(error) = &outcome {
        tracing::error!(error = without_text(error), "the invocation failed");
    }
    outcome
}

/// Whether the invocation that runs is the first of its environment.
#[must_use]
pub fn is_cold() -> bool {
    INVOCATION.read().unwrap_or_else(PoisonError::into_inner).begun == 1
}

/// A tenant as logs name it: always the same, and no name.
#[must_use]
pub fn tenant_hash(tenant: &Tenant) -> String {
    let hash = Sha256::digest(tenant.as_str());
    hex::encode(&hash[..8])
}

/// What is logged in it is of that task. `attempt` and `correlation_id` are recorded when the task has been read; the
/// trace is the one that its message came with.
#[must_use]
pub fn task_span(message: &Message, trace: Option<&Trace>) -> Span {
    // Of the highest level, so that no LOG_LEVEL takes it from the lines that are left.
    tracing::error_span!(
        "task",
        task_id = %message.id,
        tenant_hash = tenant_hash(&message.tenant),
        attempt = field::Empty,
        correlation_id = field::Empty,
        xray_trace_id = trace.map(Trace::id),
    )
}

/// Writes one event as one line.
struct Line;

impl<S> FormatEvent<S, JsonFields> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    JsonFields: for<'a> FormatFields<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = head();
        line.insert("level".to_owned(), json!(event.metadata().level().as_str()));
        line.insert("location".to_owned(), json!(event.metadata().target()));
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            if let Some(Ok(fields)) = fields.map(|fields| serde_json::from_str::<Map<_, _>>(&fields.fields)) {
                line.extend(fields);
            }
        }
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// What each line holds, of the log and of the metrics: when, whose, and in which invocation.
pub(crate) fn head() -> Map<String, Value> {
    static MEMORY: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").ok());
    let invocation = INVOCATION.read().unwrap_or_else(PoisonError::into_inner);
    let mut head = Map::new();
    let mut set = |name: &str, value: Value| head.insert(name.to_owned(), value);
    set("timestamp", json!(format!("{:.3}", Timestamp::now())));
    set("service", json!(SERVICE));
    if let Some(function) = metrics::function() {
        set("function_name", json!(function));
    }
    if let Some(memory) = &*MEMORY {
        set("function_memory_size", json!(memory));
    }
    if invocation.begun > 0 {
        set("function_request_id", json!(invocation.request_id));
        set("cold_start", json!(invocation.begun == 1));
    }
    if let Some(trace) = trace::current() {
        set("xray_trace_id", json!(trace.id()));
    }
    head
}

/// An event's own fields, last: what it says itself counts more than what is said around it.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use mesh_task::TaskId;
    use tracing::Level;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn the_sdk_prints_no_requests_whatever_the_level() {
        let targets = targets(LevelFilter::TRACE);
        for ours in ["api::tasks::submit", "mesh_worker::settle", "text_worker"] {
            assert!(targets.would_enable(ours, &Level::TRACE), "{ours}");
        }
        for other in ["aws_smithy_runtime::client::http", "lambda_runtime", "hyper"] {
            assert!(!targets.would_enable(other, &Level::INFO), "{other}");
            assert!(targets.would_enable(other, &Level::WARN), "{other}");
        }
    }

    /// What is logged in it, line by line.
    fn written(during: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let lines = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(Line)
            .with_writer(kept.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), during);
        let written = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines = written.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_panic_is_told_by_its_place_and_not_by_the_text_that_it_met() {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let lines = written(|| {
            let text = "caf\u{e9} of a task";
            let within = text.len() - " of a task".len() - 1;
            std::panic::catch_unwind(|| text[..within].len()).unwrap_err();
            std::panic::catch_unwind(|| panic!("a fixed text")).unwrap_err();
        });
        std::panic::set_hook(before);
        let [cut, fixed] = &lines[..] else {
            panic!("two lines: {lines:?}")
        };
        assert!(!cut.to_string().contains("of a task"), "{cut}");
        assert!(cut["place"].as_str().unwrap().contains("log.rs:"), "{cut}");
        assert_eq!(cut.get("why"), None);
        assert_eq!(fixed["why"], "a fixed text");
    }

    #[test]
    fn a_failed_invocation_is_told_with_its_cause() {
        let lines = written(|| {
            logged::<_, &str>(Ok(())).unwrap();
            logged::<(), _>(Err("Query: AccessDenied")).unwrap_err();
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["level"], "ERROR");
        assert_eq!(lines[0]["error"], "Query: AccessDenied");
    }

    #[test]
    fn a_line_has_the_keys_of_powertools_and_those_of_its_task() {
        let message = Message {
            tenant: Tenant::first(),
            id: TaskId::generate(),
            generation: 1,
        };
        let trace = Trace::read("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
        begin("request");
        let lines = written(|| {
            let span = task_span(&message, trace.as_ref());
            span.record("attempt", 2_u32);
            span.record("correlation_id", "order-42");
            span.in_scope(|| tracing::warn!(code = "crashed", rung = 3_u64, "a \"task\" failed"));
            tracing::info!("outside");
        });
        let [inside, outside] = &lines[..] else {
            panic!("two lines: {lines:?}")
        };
        let at: Timestamp = inside["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(at <= Timestamp::now());
        for (key, value) in [
            ("level", json!("WARN")),
            ("message", json!("a \"task\" failed")),
            ("service", json!("ai-mesh")),
            ("function_request_id", json!("request")),
            ("cold_start", json!(true)),
            ("task_id", json!(message.id)),
            ("tenant_hash", json!(tenant_hash(&message.tenant))),
            ("attempt", json!(2)),
            ("correlation_id", json!("order-42")),
            ("xray_trace_id", json!("1-5759e988-bd862e3fe1be46a994272793")),
            ("code", json!("crashed")),
            ("rung", json!(3)),
        ] {
            assert_eq!(inside[key], value, "{key} of {inside}");
        }
        assert_eq!(outside.get("task_id"), None, "{outside}");
        assert!(
            !inside.to_string().contains("default"),
            "no tenant's name: {inside}"
        );
    }
}

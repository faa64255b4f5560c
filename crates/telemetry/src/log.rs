//! The log: JSON lines on standard error with the key names of AWS Lambda Powertools, so that one query finds all lines
//! about a task in every function.
//!
//! No line contains a task's input or result. This workspace's code logs names and numbers only; other crates are limited
//! to warnings, because the AWS SDK prints whole requests at `debug`. A tenant is logged as a hash.
//!
//! An event that tests or alarms rely on has a field `event` (`task_requeued`), which stays the same when its message is
//! reworded.
//!
//! <https://docs.aws.amazon.com/powertools/python/latest/core/logger/>

use std::fmt;
use std::panic::PanicHookInfo;

use mesh_task::{Message, Tenant};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Span, Subscriber, field};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::invocation::common_fields;
use crate::redact::redact;
use crate::settings::setting;
use crate::trace::Trace;

/// The prefix of the names of this workspace's library crates.
const LIBRARY_PREFIX: &str = "mesh_";

/// How the lines of the log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for programs.
    Json,
    /// For people.
    Text,
}

/// Sends the log to standard error, from `LOG_LEVEL` up (`info` when it is not set), and panics with it.
/// `binary` is the crate name of the program that runs, whose own lines are logged at that level too
/// (`env!("CARGO_CRATE_NAME")`).
pub fn init_logging(binary: &str) {
    let level = setting::<LevelFilter>("LOG_LEVEL").unwrap_or(LevelFilter::INFO);
    init_logging_as(binary, level, LogFormat::Json);
}

/// Sends the log to standard error in this format, from this level up, and panics with it.
pub fn init_logging_as(binary: &str, level: LevelFilter, format: LogFormat) {
    tracing_subscriber::registry()
        .with(lines(format, std::io::stderr))
        .with(targets(binary, level))
        .init();
    std::panic::set_hook(Box::new(log_panic));
}

/// Writes the events as lines.
fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => lines.fmt_fields(JsonFields::new()).event_format(Line).boxed(),
        LogFormat::Text => lines.with_ansi(false).with_target(false).boxed(),
    }
}

/// Logs where the code panicked, and the message only if it is a literal: a formatted message may quote a task's input, as
/// the one about a string that is cut within a character does.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let why = panic.payload().downcast_ref::<&'static str>().copied();
    tracing::error!(event = "panicked", place, why, "the code panicked");
}

/// Other crates are limited to warnings.
fn targets(binary: &str, level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(LIBRARY_PREFIX, level)
        .with_target(binary, level)
}

/// Logs an invocation's error before it is returned: Lambda gives an error's text to the caller alone, and a schedule or
/// a stream has no caller who reads it.
///
/// # Errors
/// The invocation's own.
pub fn log_failure<T, E: ToString>(result: Result<T, E>) -> Result<T, E> {
    if let Err(error) = &result {
        tracing::error!(
            event = "invocation_failed",
            error = redact(error),
            "the invocation failed"
        );
    }
    result
}

/// The pseudonym of a tenant in the log: the first 8 bytes of its name's SHA-256, in hex.
#[must_use]
pub fn tenant_hash(tenant: &Tenant) -> String {
    let hash = Sha256::digest(tenant.as_str());
    hex::encode(&hash[..8])
}

/// The span of one task's log lines. `attempt` and `correlation_id` are recorded once the task has been read; `trace` is
/// the one that its message brought.
#[must_use]
pub fn task_span(message: &Message, trace: Option<&Trace>) -> Span {
    // At the highest level, so that no LOG_LEVEL removes it from the remaining lines.
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
        let mut line = common_fields();
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

/// Adds an event's own fields, after those of its spans: where both have a field, the event's value wins.
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

    use jiff::Timestamp;
    use mesh_task::TaskId;
    use tracing::Level;

    use super::*;
    use crate::invocation::begin_invocation;

    /// A buffer that the log is written to.
    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Captured {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn the_sdk_prints_no_requests_whatever_the_level() {
        let targets = targets("text_worker", LevelFilter::TRACE);
        for ours in ["mesh_api::submission", "mesh_worker::settle", "text_worker"] {
            assert!(targets.would_enable(ours, &Level::TRACE), "{ours}");
        }
        for other in ["aws_smithy_runtime::client::http", "lambda_runtime", "hyper"] {
            assert!(!targets.would_enable(other, &Level::INFO), "{other}");
            assert!(targets.would_enable(other, &Level::WARN), "{other}");
        }
    }

    /// What `during` writes to the log.
    fn written_as(format: LogFormat, during: impl FnOnce()) -> String {
        let captured = Captured::default();
        let lines = lines(format, captured.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), during);
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    /// The log lines that `during` writes.
    fn written(during: impl FnOnce()) -> Vec<Value> {
        let written = written_as(LogFormat::Json, during);
        let lines = written.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_line_for_people_has_the_level_the_message_and_the_fields_of_event_and_span() {
        let text = written_as(LogFormat::Text, || {
            let span = tracing::error_span!("task", task_id = 7_u64);
            span.in_scope(|| tracing::warn!(event = "task_failed", code = "crashed", "a task failed"));
        });
        let [line] = &text.lines().collect::<Vec<_>>()[..] else {
            panic!("one line: {text}")
        };
        for part in [
            " WARN ",
            "a task failed",
            r#"event="task_failed""#,
            r#"code="crashed""#,
            "task_id=7",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(!line.contains('\u{1b}'), "no colours: {line:?}");
    }

    #[test]
    fn a_panic_is_logged_with_its_place_and_without_a_formatted_message() {
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
    fn a_failed_invocation_is_logged_with_its_cause() {
        let lines = written(|| {
            log_failure::<_, &str>(Ok(())).unwrap();
            log_failure::<(), _>(Err("Query: AccessDenied")).unwrap_err();
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
        let trace =
            Trace::parse("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
        begin_invocation("request");
        let lines = written(|| {
            let span = task_span(&message, trace.as_ref());
            span.record("attempt", 2_u32);
            span.record("correlation_id", "order-42");
            span.in_scope(|| tracing::warn!(code = "crashed", tasks = 3_u64, "a \"task\" failed"));
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
            ("tasks", json!(3)),
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

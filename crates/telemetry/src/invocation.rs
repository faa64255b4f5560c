//! The invocation that this process serves: an environment of Lambda serves one at a time. Each line of the log and of the
//! metrics begins with what is known of it.

use std::sync::{LazyLock, PoisonError, RwLock};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Trace;

/// The `service` of every log line, whichever function writes it.
const SERVICE: &str = "ai-mesh";

#[derive(Debug, Default)]
struct Invocation {
    request_id: String,
    /// How many invocations this process has begun.
    begun: u64,
}

static INVOCATION: RwLock<Invocation> = RwLock::new(Invocation {
    request_id: String::new(),
    begun: 0,
});

/// Begins an invocation: from here on every log line contains its request id.
pub fn begin_invocation(request_id: &str) {
    let mut invocation = INVOCATION.write().unwrap_or_else(PoisonError::into_inner);
    invocation.begun += 1;
    request_id.clone_into(&mut invocation.request_id);
}

/// Whether the current invocation is the first of its process.
#[must_use]
pub fn is_cold_start() -> bool {
    INVOCATION.read().unwrap_or_else(PoisonError::into_inner).begun == 1
}

/// The name of the function that runs; `None` outside of Lambda.
pub(crate) fn function_name() -> Option<&'static str> {
    static FUNCTION: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("AWS_LAMBDA_FUNCTION_NAME").ok());
    FUNCTION.as_deref()
}

/// The fields that every line of the log and of the metrics begins with: time, service, function and invocation.
pub(crate) fn common_fields() -> Map<String, Value> {
    static MEMORY: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").ok());
    let invocation = INVOCATION.read().unwrap_or_else(PoisonError::into_inner);
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    set("timestamp", json!(format!("{:.3}", Timestamp::now())));
    set("service", json!(SERVICE));
    if let Some(function) = function_name() {
        set("function_name", json!(function));
    }
    if let Some(memory) = &*MEMORY {
        set("function_memory_size", json!(memory));
    }
    if invocation.begun > 0 {
        set("function_request_id", json!(invocation.request_id));
        set("cold_start", json!(invocation.begun == 1));
    }
    if let Some(trace) = Trace::current() {
        set("xray_trace_id", json!(trace.id()));
    }
    fields
}

//! What a process tells about itself: its log ([`log`](init_logging)), its metrics ([`Metric`], [`EmfRecord`]), the trace
//! that it is part of ([`Trace`]), and the settings that it reads from its environment ([`setting`]).
//!
//! Every host uses this crate, on AWS and elsewhere. It does not depend on the AWS SDK: metrics leave the process as lines of the log.

mod invocation;
mod log;
mod metrics;
mod redact;
mod settings;
mod trace;

pub use invocation::{begin_invocation, is_cold_start};
pub use log::{LogFormat, init_logging, init_logging_as, log_failure, task_span, tenant_hash};
pub use metrics::{DIMENSION, EmfRecord, Metric, NAMESPACE};
pub use redact::{causes, redact};
pub use settings::{SettingError, retry_policies, setting, sweep_policy};
pub use trace::Trace;

//! The X-Ray trace that an invocation belongs to.
//!
//! Lambda gives each invocation a trace header, which the runtime puts into an environment variable. A message takes it along
//! as the system attribute `AWSTraceHeader`, so that X-Ray links the task's run to its submission.
//!
//! <https://docs.aws.amazon.com/xray/latest/devguide/xray-services-sqs.html>

/// The environment variable with the current invocation's header, set by the Lambda runtime.
const VARIABLE: &str = "_X_AMZN_TRACE_ID";
/// The fields that are passed on. Lambda adds fields of its own, and SQS refuses a message whose header it can't parse.
const FIELDS: [&str; 3] = ["Root", "Parent", "Sampled"];

/// A well-formed trace header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    header: String,
    id: String,
}

impl Trace {
    /// Parses a trace header; `None` if it contains no trace id.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let fields = header.split(';').filter_map(|field| field.trim().split_once('='));
        let known: Vec<_> = fields
            .filter(|(name, value)| FIELDS.contains(name) && is_token(value))
            .collect();
        let id = known
            .iter()
            .find(|(name, value)| *name == "Root" && is_id(value))?
            .1;
        let header: Vec<_> = known
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Some(Self {
            header: header.join(";"),
            id: id.to_owned(),
        })
    }

    /// The trace of the current invocation, if Lambda gave it one.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::parse(&std::env::var(VARIABLE).ok()?)
    }

    /// The header with the fields that are passed on.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The trace's id, as X-Ray shows it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

fn is_token(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether the value is a trace id: version 1, a time of 8 and a random number of 24 hex digits.
fn is_id(value: &str) -> bool {
    let parts: Vec<_> = value.split('-').collect();
    let is_hex =
        |part: &str, digits| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(parts[..], ["1", time, random] if is_hex(time, 8) && is_hex(random, 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

    #[test]
    fn a_header_is_passed_on_without_the_fields_that_lambda_adds() {
        let trace = Trace::parse(&format!(
            "{ROOT};Parent=53995c3f42cd8ad8;Sampled=0;Lineage=1:2c9b:0"
        ))
        .unwrap();
        assert_eq!(trace.header, format!("{ROOT};Parent=53995c3f42cd8ad8;Sampled=0"));
        assert_eq!(trace.id(), "1-5759e988-bd862e3fe1be46a994272793");
        assert_eq!(Trace::parse(ROOT).unwrap().header, ROOT);
    }

    #[test]
    fn a_header_that_sqs_would_refuse_is_not_parsed() {
        for header in [
            "",
            "Parent=53995c3f42cd8ad8",
            "Root=1-5759e988",
            "Root=1-5759e98-bd862e3fe1be46a994272793",
            "Root=1-5759e988-bd862e3fe1be46a99427279z",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
            "5759e988",
        ] {
            assert_eq!(Trace::parse(header), None, "{header}");
        }
    }
}

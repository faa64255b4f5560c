//! Checks submissions by themselves, without a call to any service.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use mesh_extraction_schema::{InvalidSchema, Schema};
use mesh_http::Problem;
use mesh_task::{InvalidInput, InvalidSubmission, NewTask, Parameters};
use serde_json::Value;
use tokio::time::Instant;

use super::fingerprint;

/// Checks the submissions of one request. It compiles each extraction schema once, however many entries of a batch have it.
#[derive(Default)]
pub(super) struct Checker {
    /// The outcome for each schema, by the schema's fingerprint.
    schemas: HashMap<String, Result<(), InvalidSchema>>,
}

impl Checker {
    pub(super) fn check(&mut self, body: Value) -> Result<NewTask, Problem> {
        let new = NewTask::parse(body)?;
        self.check_schema(&new)?;
        Ok(new)
    }

    /// Checks the entries of a batch until the time. Entries that are left then are refused as unavailable, so that there is
    /// time to store the others and the caller sends these again.
    ///
    /// One schema takes up to 0.2 s of a processor, of which the api has a seventh. Between two entries the request's own
    /// limit of time can cut in.
    pub(super) async fn check_all(
        mut self,
        entries: Vec<Value>,
        until: Instant,
    ) -> Vec<Result<NewTask, Problem>> {
        let mut checked = Vec::with_capacity(entries.len());
        for entry in entries {
            checked.push(if Instant::now() < until {
                self.check(entry)
            } else {
                Err(Problem::service_unavailable())
            });
            tokio::task::yield_now().await;
        }
        checked
    }

    /// Refuses an extraction schema that no answer could be validated against.
    fn check_schema(&mut self, new: &NewTask) -> Result<(), Problem> {
        let Parameters::DataExtraction(parameters) = new.input.parameters() else {
            return Ok(());
        };
        let outcome = match self.schemas.entry(fingerprint(&parameters.schema)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(Schema::parse(parameters.schema.clone()).map(drop)),
        };
        outcome
            .clone()
            .map_err(|why| InvalidSubmission::from(InvalidInput(format!("input.schema {why}"))).into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::poll_immediate;
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    fn extraction(schema: Value) -> Value {
        json!({ "type": "data_extraction", "input": { "text": "Ada", "schema": schema } })
    }

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn each_schema_of_a_request_is_compiled_once() {
        let mut checker = Checker::default();
        let mut is_accepted = |schema| checker.check(extraction(schema)).is_ok();
        assert!(is_accepted(json!({ "name": "string", "age": "int" })));
        assert!(is_accepted(json!({ "age": "int", "name": "string" })));
        assert!(!is_accepted(json!({ "name": 7 })));
        assert!(!is_accepted(json!({ "name": 7 })));
        assert_eq!(checker.schemas.len(), 2);

        // What is known of a schema is not found out again.
        for outcome in checker.schemas.values_mut() {
            *outcome = Ok(());
        }
        checker.check(extraction(json!({ "name": 7 }))).unwrap();
    }

    #[test]
    fn refusal_of_a_schema_names_the_limit_and_what_to_send() {
        let patterns: Vec<_> = (0..33).map(|n| json!({ "pattern": format!("a.b{n}") })).collect();
        let schema = json!({ "type": "object", "allOf": patterns });
        let problem = Checker::default().check(extraction(schema)).unwrap_err();
        assert_eq!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let document = serde_json::to_string(&problem.document("r")).unwrap();
        assert!(
            document.contains("input.schema has too many patterns") && document.contains("at most 32"),
            "{document}"
        );
    }

    #[tokio::test]
    async fn batch_gives_way_between_its_entries() {
        let entries = vec![json!({}); 2];
        let mut checking = Box::pin(Checker::default().check_all(entries, in_a_minute()));
        for _ in 0..2 {
            assert!(poll_immediate(&mut checking).await.is_none());
        }
        assert_eq!(checking.await.len(), 2);
    }

    #[tokio::test]
    async fn entries_that_are_not_checked_in_time_are_to_be_sent_again() {
        let entries = vec![extraction(json!({ "name": "string" })), json!({})];
        let in_time = Checker::default().check_all(entries.clone(), in_a_minute()).await;
        let statuses = |checked: &[Result<NewTask, Problem>]| -> Vec<_> {
            let status = |outcome: &Result<_, Problem>| outcome.as_ref().err().map(Problem::status);
            checked.iter().map(status).collect()
        };
        assert_eq!(statuses(&in_time), [None, Some(StatusCode::UNPROCESSABLE_ENTITY)]);
        let late = Checker::default().check_all(entries, Instant::now()).await;
        assert_eq!(statuses(&late), [Some(StatusCode::SERVICE_UNAVAILABLE); 2]);
    }
}

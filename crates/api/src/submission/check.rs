//! Checks submissions by themselves, without a call to any service.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use mesh_extraction_schema::{InvalidSchema, Schema};
use mesh_http::{Problem, json};
use mesh_task::{InvalidInput, InvalidSubmission, NewTask, Parameters};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
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
    /// The second is the fingerprint of the batch: equal for batches that are equal as JSON. So it depends neither on the time
    /// nor on which entries are valid, and all that can be read share the memory.
    ///
    /// A schema takes up to 0.2 s of a processor, of which the api has a seventh. Between two entries the request's own limit
    /// of time can cut in.
    pub(super) async fn check_all(
        mut self,
        entries: &[&RawValue],
        until: Instant,
    ) -> (Vec<Result<NewTask, Problem>>, String) {
        let mut budget = json::MAX_VALUES_BYTES;
        let mut sha256 = Sha256::new_with_prefix(r#"{"tasks":["#);
        let mut checked = Vec::with_capacity(entries.len());
        for (place, entry) in entries.iter().enumerate() {
            sha256.update(if place == 0 { "" } else { "," });
            checked.push(match json::parse_value(entry, &mut budget) {
                Ok(value) => {
                    sha256.update(value.to_string());
                    if Instant::now() < until {
                        self.check(value)
                    } else {
                        Err(Problem::service_unavailable())
                    }
                }
                Err(problem) => {
                    sha256.update(entry.get());
                    Err(problem)
                }
            });
            tokio::task::yield_now().await;
        }
        sha256.update("]}");
        (checked, hex::encode(sha256.finalize()))
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
    use mesh_http::ProblemKind;
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

    fn raw(entries: &[impl ToString]) -> Vec<Box<RawValue>> {
        let raw = |entry: &dyn ToString| RawValue::from_string(entry.to_string()).unwrap();
        entries.iter().map(|entry| raw(entry)).collect()
    }

    async fn check_until(
        entries: &[Box<RawValue>],
        until: Instant,
    ) -> (Vec<Result<NewTask, Problem>>, String) {
        let entries: Vec<_> = entries.iter().map(|entry| &**entry).collect();
        Checker::default().check_all(&entries, until).await
    }

    #[tokio::test]
    async fn batch_gives_way_between_its_entries() {
        let entries = raw(&["{}"; 2]);
        let mut checking = Box::pin(check_until(&entries, in_a_minute()));
        for _ in 0..2 {
            assert!(poll_immediate(&mut checking).await.is_none());
        }
        assert_eq!(checking.await.0.len(), 2);
    }

    #[tokio::test]
    async fn entries_that_are_not_checked_in_time_are_to_be_sent_again_under_the_same_key() {
        let entries = raw(&[extraction(json!({ "name": "string" })), json!({})]);
        let (in_time, fingerprint) = check_until(&entries, in_a_minute()).await;
        let statuses = |checked: &[Result<NewTask, Problem>]| -> Vec<_> {
            let status = |outcome: &Result<_, Problem>| outcome.as_ref().err().map(Problem::status);
            checked.iter().map(status).collect()
        };
        assert_eq!(statuses(&in_time), [None, Some(StatusCode::UNPROCESSABLE_ENTITY)]);
        let (late, of_late) = check_until(&entries, Instant::now()).await;
        assert_eq!(statuses(&late), [Some(StatusCode::SERVICE_UNAVAILABLE); 2]);
        assert_eq!(of_late, fingerprint);
    }

    #[tokio::test]
    async fn an_entry_that_cannot_be_read_is_refused_by_itself() {
        let entries = raw(&[
            r#"{"type": "sentiment", "input": {"text": "fine"}}"#,
            r#"{"type": "sentiment", "input": {"text": "cut \ud83d"}}"#,
            r#"{"type": "sentiment", "input": {"text": "fine"}, "max_attempts": 1e999}"#,
            r#"{"type": "sentiment", "input": {"text": "fine", "\u0074ext": "other"}}"#,
            r#"{"type": "sentiment", "input": {"text": "fine"}, "max_attempts": 3.0}"#,
        ]);
        let (outcomes, _) = check_until(&entries, in_a_minute()).await;
        let kinds: Vec<_> = outcomes
            .iter()
            .map(|outcome| outcome.as_ref().err().map(Problem::kind))
            .collect();
        let refused = Some(ProblemKind::InvalidBody);
        assert_eq!(kinds, [None, refused, refused, refused, None]);
        assert_eq!(outcomes[4].as_ref().unwrap().max_attempts, Some(3));
    }

    #[tokio::test]
    async fn a_fingerprint_does_not_depend_on_the_order_of_fields_or_on_white_space() {
        let of = async |entries: &[&str]| check_until(&raw(entries), in_a_minute()).await.1;
        let fingerprinted = of(&[r#"{"a": 1, "b": [2, 3]}"#, r#"{"c": "\ud83d"}"#]).await;
        let reordered = of(&[r#"{"b":[2,3],"a":1}"#, r#"{"c": "\ud83d"}"#]).await;
        assert_eq!(reordered, fingerprinted);
        for other in [
            &[r#"{"a": 1, "b": [2, 3]}"#, r#"{"c": "\ud83e"}"#][..],
            &[r#"{"a": 1, "b": [3, 2]}"#, r#"{"c": "\ud83d"}"#],
            &[r#"{"a": 1, "b": [2, 3]}"#],
        ] {
            assert_ne!(of(other).await, fingerprinted, "{other:?}");
        }
        let read = json!({ "tasks": [{ "b": 1, "a": 2 }, {}] });
        assert_eq!(of(&[r#"{"b": 1, "a": 2}"#, "{}"]).await, fingerprint(&read));
    }

    #[tokio::test]
    async fn entries_share_a_bound_of_memory() {
        let fields = r#"{"a":0},"#.repeat(1_800);
        let large = extraction(json!({ "type": "object", "x": [] }))
            .to_string()
            .replace(r#""x":[]"#, &format!(r#""x":[{fields}0]"#));
        let (outcomes, _) = check_until(&raw(&vec![large; 60]), in_a_minute()).await;
        let taken = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!((30..60).contains(&taken), "{taken}");
        let last = outcomes.last().unwrap().as_ref().unwrap_err();
        assert_eq!(last.kind(), ProblemKind::InvalidBody);
    }
}

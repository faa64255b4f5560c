//! The query of a list.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use mesh_http::Problem;
use mesh_task::{Metadata, Priority, Status, TaskFilter};

use crate::query::{parse_limit, parse_type};

/// The maximum number of tasks on a page, unless the request says otherwise.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;
/// The prefix of parameters that filter by metadata.
const METADATA: &str = "metadata.";
const KNOWN: &str = "status, type, priority, created_after, created_before, metadata.KEY, limit and cursor, each at most once";

#[derive(Debug)]
pub(super) struct ListQuery {
    pub(super) filter: TaskFilter,
    pub(super) limit: usize,
    pub(super) cursor: Option<String>,
}

impl ListQuery {
    /// Parses a query. Unknown parameters are refused, so that a misspelt filter does not list everything.
    pub(super) fn parse(query: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut given = BTreeMap::new();
        for (name, value) in query {
            if given.contains_key(&name) {
                return Err(Problem::invalid_query(format!(
                    "{name} is given twice: send {KNOWN}"
                )));
            }
            given.insert(name, value);
        }
        let mut take = |name: &str| given.remove(name);
        let parsed = Self {
            limit: take("limit").map_or(Ok(DEFAULT_LIMIT), |limit| parse_limit(&limit, MAX_LIMIT))?,
            cursor: take("cursor"),
            filter: TaskFilter {
                status: take("status").map(|status| parse_status(&status)).transpose()?,
                task_type: take("type").map(|name| parse_type(&name)).transpose()?,
                priority: take("priority").map(|name| parse_priority(&name)).transpose()?,
                created_after: parse_time("created_after", take("created_after"))?,
                created_before: parse_time("created_before", take("created_before"))?,
                metadata: take_metadata(&mut given),
            },
        };
        match given.into_keys().next() {
            None => Ok(parsed),
            Some(name) => Err(Problem::invalid_query(format!(
                "{name} is not a parameter of this list: send {KNOWN}"
            ))),
        }
    }
}

fn take_metadata(given: &mut BTreeMap<String, String>) -> Metadata {
    let pairs = given.extract_if(.., |name, _| {
        name.len() > METADATA.len() && name.starts_with(METADATA)
    });
    pairs
        .map(|(name, value)| (name[METADATA.len()..].to_owned(), value))
        .collect()
}

fn parse_status(given: &str) -> Result<Status, Problem> {
    Status::named(given).ok_or_else(|| {
        let names = Status::ALL.map(Status::as_str).join(", ");
        Problem::invalid_query(format!("unknown status `{given}`: expected one of {names}"))
    })
}

fn parse_priority(given: &str) -> Result<Priority, Problem> {
    let found = Priority::ALL
        .into_iter()
        .find(|priority| priority.as_str() == given);
    found.ok_or_else(|| {
        let names = Priority::ALL.map(Priority::as_str).join(", ");
        Problem::invalid_query(format!("unknown priority `{given}`: expected one of {names}"))
    })
}

fn parse_time(name: &str, given: Option<String>) -> Result<Option<Timestamp>, Problem> {
    let Some(given) = given else { return Ok(None) };
    let time = given.parse().ok().or_else(|| nearest_time(&given));
    time.map(Some).ok_or_else(|| {
        Problem::invalid_query(format!(
            "{name}={given} is not a time: send RFC 3339, such as 2026-01-31T12:00:00Z, and write + as %2B"
        ))
    })
}

/// The nearest time that jiff has to one that is beyond its range, which ends a day before year 9999 does.
fn nearest_time(given: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(given).ok()?;
    let time = pieces.date().to_datetime(pieces.time()?);
    let found = pieces.to_numeric_offset()?.to_timestamp(time);
    let end = if time.year() > 0 {
        Timestamp::MAX
    } else {
        Timestamp::MIN
    };
    Some(found.unwrap_or(end))
}

#[cfg(test)]
mod tests {
    use mesh_task::{Size, TaskId, TaskSummary, TaskType, Tenant, WorkerKind};

    use super::*;

    fn parse(query: &[(&str, &str)]) -> Result<ListQuery, Problem> {
        let query = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ListQuery::parse(query.collect())
    }

    fn task() -> TaskSummary {
        let now = "2026-01-31T12:00:00.123Z".parse().unwrap();
        TaskSummary {
            id: TaskId::generate(),
            tenant: Tenant::first(),
            task_type: TaskType::Ocr,
            worker_kind: WorkerKind::Image,
            size: Size::Small,
            priority: Priority::Normal,
            status: Status::Completed,
            metadata: [
                ("a".to_owned(), "1".to_owned()),
                ("b.c".to_owned(), "=".to_owned()),
            ]
            .into(),
            generation: 1,
            attempt: 1,
            max_attempts: 3,
            error: None,
            created_at: now,
            updated_at: now,
            next_attempt_at: None,
        }
    }

    #[test]
    fn a_task_must_match_every_given_field() {
        let matches = |query: &[(&str, &str)]| parse(query).unwrap().filter.matches(&task());
        assert!(matches(&[]));
        let all = [
            ("status", "completed"),
            ("type", "ocr"),
            ("priority", "normal"),
            ("created_after", "2026-01-31T12:00:00.123Z"),
            ("created_before", "2026-01-31T13:00:00.124+01:00"),
            ("metadata.a", "1"),
            ("metadata.b.c", "="),
        ];
        assert!(matches(&all));
        for other in [
            ("status", "failed"),
            ("type", "sentiment"),
            ("priority", "high"),
            ("created_after", "2026-01-31T12:00:00.124Z"),
            ("created_before", "2026-01-31T12:00:00.123Z"),
            ("metadata.a", "2"),
            ("metadata.d", "1"),
        ] {
            assert!(!matches(&[other]), "{other:?}");
            let mut query = all.to_vec();
            query.retain(|(name, _)| *name != other.0);
            query.push(other);
            assert!(!matches(&query), "{other:?}");
        }
    }

    #[test]
    fn a_time_may_be_any_that_rfc_3339_can_write() {
        for (given, range_end) in [
            ("9999-12-31T23:59:59Z", Timestamp::MAX),
            ("9999-12-31T23:59:60Z", Timestamp::MAX),
            ("9999-12-31T23:59:59.999999999Z", Timestamp::MAX),
            ("9999-12-31t23:59:59z", Timestamp::MAX),
            ("9999-12-31T23:59:59-23:59", Timestamp::MAX),
            (
                "9999-12-31T23:59:59+14:00",
                "9999-12-31T09:59:59Z".parse().unwrap_or(Timestamp::MAX),
            ),
            ("9999-12-30T22:00:00.999999999Z", Timestamp::MAX),
            (
                "0000-01-01T00:00:00+23:59",
                "-000001-12-31T00:01:00Z".parse().unwrap(),
            ),
            ("-009999-01-01T00:00:00+23:59", Timestamp::MIN),
        ] {
            for name in ["created_after", "created_before"] {
                let filter = parse(&[(name, given)]).unwrap().filter;
                let found = filter.created_after.or(filter.created_before);
                assert_eq!(found, Some(range_end), "{given}");
                let is_late = range_end == Timestamp::MAX;
                assert_eq!(
                    filter.matches(&task()),
                    is_late == (name == "created_before"),
                    "{given}"
                );
                assert_eq!(
                    filter.range().contains(task().id),
                    is_late == (name == "created_before"),
                    "{given}"
                );
                let cursor = super::super::cursor::write(&Tenant::first(), &filter, task().id);
                assert!(super::super::cursor::read(&Tenant::first(), &filter, &cursor).is_some());
            }
        }
        for given in [
            "9999-12-31",
            "9999-12-31T23:59:59",
            "9999-13-31T23:59:59Z",
            "9999-12-32T23:59:59Z",
            "9999-12-31T24:00:00Z",
            "10000-01-01T00:00:00Z",
            "",
        ] {
            assert!(parse(&[("created_before", given)]).is_err(), "{given}");
        }
    }

    #[test]
    fn an_invalid_query_is_refused_with_the_valid_values() {
        for (query, word) in [
            (vec![("limit", "0")], "1 to 200"),
            (vec![("limit", "201")], "1 to 200"),
            (vec![("limit", "ten")], "1 to 200"),
            (vec![("status", "done")], "completed"),
            (vec![("type", "poem")], "sentiment"),
            (vec![("priority", "urgent")], "high"),
            (vec![("created_after", "yesterday")], "RFC 3339"),
            (vec![("created_before", "2026-01-31T12:00:00 01:00")], "%2B"),
            (vec![("stauts", "failed")], "stauts"),
            (vec![("metadata", "a")], "metadata.KEY"),
            (vec![("metadata.", "a")], "metadata.KEY"),
            (vec![("status", "failed"), ("status", "failed")], "twice"),
        ] {
            let problem = format!("{:?}", parse(&query).unwrap_err());
            assert!(problem.contains(word), "{query:?}: {problem}");
        }
    }
}

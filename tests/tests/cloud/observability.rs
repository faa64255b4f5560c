//! What operators see: a log that follows a task without its text, metrics in CloudWatch, a trace from the api to the worker,
//! and alarms whose thresholds are breached.

use mesh_task::Tenant;
use mesh_telemetry::{DIMENSION, Metric, tenant_hash};
use mesh_tests::{Api, Cloud, Reply, clients, eventually, log_contains, log_events, sentiment, setting};
use serde_json::{Value, json};

/// Submits a text with these headers and the token.
fn submit(api: &Api, text: &str, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("x-service-token", api.token())];
    all.extend(headers);
    let reply = api.send(
        "POST",
        "/v1/tasks",
        &all,
        Some(sentiment(text).to_string().as_bytes()),
    );
    assert_eq!(reply.status, 202, "{reply:?}");
    reply
}

/// The worker's log entry about the end of the task's latest attempt.
fn attempt_ended(id: &str) -> Value {
    eventually("the end of the attempt is logged", || {
        log_events("attempt_ended", id).pop()
    })
}

/// The api's log entry about the task's submission.
fn task_accepted(id: &str) -> Value {
    let cloud = Cloud::new();
    eventually("the submission is logged", || {
        cloud.api_log_events("task_accepted", id).pop()
    })
}

#[test]
fn the_log_follows_a_task_and_never_contains_its_text() {
    let api = Api::of_cloud();
    let word = format!("zyzzyva{}", fastrand::u64(..));
    let correlation = format!("order-{}", fastrand::u64(..));
    let reply = submit(
        &api,
        &format!("I adore {word}."),
        &[("x-correlation-id", &correlation)],
    );
    let id = reply.text("id");
    api.result(id);

    let (accepted, ended) = (task_accepted(id), attempt_ended(id));
    for entry in [&accepted, &ended] {
        assert_eq!(entry["task_id"], json!(id), "{entry}");
        assert_eq!(entry["correlation_id"], json!(correlation), "{entry}");
        assert_eq!(
            entry["tenant_hash"],
            json!(tenant_hash(&Tenant::first())),
            "{entry}"
        );
        assert_eq!(
            (&entry["level"], &entry["service"]),
            (&json!("INFO"), &json!("ai-mesh")),
            "{entry}"
        );
        assert!(
            entry["timestamp"].is_string() && entry["cold_start"].is_boolean(),
            "{entry}"
        );
        assert!(entry["function_request_id"].is_string(), "{entry}");
    }
    assert_eq!(
        accepted["function_name"],
        json!(setting("API_FUNCTION")),
        "{accepted}"
    );
    assert_eq!(
        accepted["function_request_id"],
        json!(reply.header("x-request-id")),
        "{accepted}"
    );
    assert_eq!(
        ended["function_name"],
        json!(setting("TEXT_WORKER_FUNCTION")),
        "{ended}"
    );
    assert_eq!(
        (&ended["attempt"], &ended["settlement"]),
        (&json!(1), &json!("completed")),
        "{ended}"
    );
    let cloud = Cloud::new();
    assert!(
        cloud.api_log_contains(&correlation) && !cloud.api_log_contains(&word),
        "no line of the api contains the text"
    );
    assert!(
        log_contains(&correlation) && !log_contains(&word),
        "no line of another function contains the text"
    );
}

#[test]
fn a_trace_goes_with_the_task_from_the_api_to_the_worker() {
    let api = Api::of_cloud();
    // A task that waits too long on a busy machine gets a message from the sweeper, with the sweeper's trace.
    let is_swept = |id: &str| {
        ["task_requeued", "task_reclaimed"]
            .iter()
            .any(|event| !log_events(event, id).is_empty())
    };
    let without_sweeper = |submit: &dyn Fn() -> String| {
        eventually("a task completes without a message from the sweeper", || {
            let id = submit();
            api.result(&id);
            (!is_swept(&id)).then_some(id)
        })
    };
    let id = without_sweeper(&|| submit(&api, "fine", &[]).text("id").to_owned());
    let retried =
        without_sweeper(&|| api.submit_limited(json!({ "max_attempts": 4 }), &[("fault", "transient:3")]));
    for id in [id, retried] {
        let accepted = task_accepted(&id);
        let trace = accepted["xray_trace_id"].as_str().expect("the stack has tracing");
        let ends = eventually("the last attempt is logged", || {
            let ends = log_events("attempt_ended", &id);
            ends.iter()
                .any(|end| end["settlement"] == "completed")
                .then_some(ends)
        });
        // Also the fourth attempt, whose message is a new one.
        for end in ends {
            assert_eq!(end["xray_trace_id"], json!(trace), "{end}");
        }
    }
}

#[test]
fn a_client_s_own_trace_id_is_its_task_s_correlation_id() {
    let api = Api::of_cloud();
    let trace = format!("{:032x}", fastrand::u128(1..));
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let reply = submit(&api, "fine", &[("traceparent", &parent)]);
    assert_eq!(reply.header("x-correlation-id"), trace);
    let task = api.finished(reply.text("id"));
    assert_eq!(task["correlation_id"], json!(trace));
    assert_eq!(attempt_ended(reply.text("id"))["correlation_id"], json!(trace));
}

#[test]
fn each_function_emits_its_metrics() {
    let (api, cloud) = clients();
    api.result(&api.submit_text("fine", &[]));
    api.get("/v1/tasks/none").problem(404, "task-not-found");
    cloud.run_sweeper();
    let [api, worker, sweeper, reactor] = [
        "API_FUNCTION",
        "TEXT_WORKER_FUNCTION",
        "JANITOR_FUNCTION",
        "REACTOR_FUNCTION",
    ]
    .map(setting);
    let submit = [(DIMENSION, &*api), ("Route", "POST /v1/tasks")];
    let ended = [
        (DIMENSION, &*reactor),
        ("TaskType", "sentiment"),
        ("Outcome", "completed"),
    ];
    for (metric, dimensions) in [
        (Metric::RequestDuration, &submit[..]),
        (Metric::ClientErrors, &submit[..1]),
        (Metric::TasksCompleted, &[(DIMENSION, &*worker)]),
        (Metric::BatchSize, &[(DIMENSION, &*worker)]),
        (Metric::QueueWait, &[(DIMENSION, &*worker)]),
        (Metric::JanitorRuns, &[(DIMENSION, &*sweeper)]),
        (Metric::ChangesCounted, &ended[..1]),
        (Metric::TasksEnded, &ended[..]),
    ] {
        eventually(metric.name(), || {
            let (count, sum) = cloud.metric_samples(metric, dimensions);
            (count > 0.0 && sum > 0.0).then_some(())
        });
    }
    let (requests, failed) = cloud.metric_samples(Metric::ServerErrors, &submit[..1]);
    assert!(requests > 0.0 && failed <= requests, "{failed} of {requests}");
}

#[test]
fn a_dead_letter_breaches_its_alarm() {
    let (api, cloud) = clients();
    let dead = api.submit_limited(json!({ "max_attempts": 1 }), &[("fault", "transient:1")]);
    api.failed(&dead, "exhausted", "fault");
    let alarms = cloud.alarms(Metric::DeadLetters);
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    let alarm = &alarms[0];
    assert!(!alarm.alarm_actions().is_empty(), "{alarm:?}");
    eventually("the metric breaches the threshold", || {
        cloud.breaches(alarm).then_some(())
    });
}

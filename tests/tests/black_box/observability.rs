//! What operators see: logs that tell a task's story without its text, metrics that CloudWatch has, a trace from the api
//! to the worker, and alarms that go off.

use mesh_task::Tenant;
use mesh_telemetry::{DIMENSION, Metric, tenant_hash};
use mesh_tests::{Api, Cloud, Reply, eventually, is_in_log, logged, sentiment, setting};
use serde_json::{Value, json};

/// Submits a text with these headers beside the token.
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

/// The line of the worker's log that says how an attempt at the task ended.
fn ended(id: &str) -> Value {
    eventually("its end is logged", || logged(&["attempt_ended", id]).pop())
}

/// The line of the api's log that says that the task is accepted.
fn accepted(id: &str) -> Value {
    let cloud = Cloud::new();
    eventually("it is logged", || {
        cloud.logged_by_api(&["a task is accepted", id]).pop()
    })
}

#[test]
fn the_log_tells_a_tasks_story_and_never_its_text() {
    let api = Api::new();
    let word = format!("zyzzyva{}", fastrand::u64(..));
    let correlation = format!("order-{}", fastrand::u64(..));
    let reply = submit(
        &api,
        &format!("I adore {word}."),
        &[("x-correlation-id", &correlation)],
    );
    let id = reply.text("id");
    api.result(id);

    let (accepted, ended) = (accepted(id), ended(id));
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
    assert_eq!(Cloud::new().logged_by_api(&[&word]), [] as [Value; 0]);
    assert!(
        is_in_log(&correlation) && !is_in_log(&word),
        "the text is in no line"
    );
}

#[test]
fn a_trace_goes_with_the_task_from_the_api_to_the_worker() {
    let api = Api::new();
    // One that waited so long that the janitor rang for it goes on under the janitor's trace.
    let is_rung_for = |id: &str| {
        let tended = logged(&["an overdue task is tended", id]);
        tended
            .iter()
            .any(|entry| entry["what"] != "a task is looked at again later")
    };
    let of_its_own = |submit: &dyn Fn() -> String| {
        eventually("a task needs no other message than its own", || {
            let id = submit();
            api.result(&id);
            (!is_rung_for(&id)).then_some(id)
        })
    };
    let id = of_its_own(&|| submit(&api, "fine", &[]).text("id").to_owned());
    let again = of_its_own(&|| api.submit_limited(json!({ "max_attempts": 4 }), &[("fault", "transient:3")]));
    for id in [id, again] {
        let accepted = accepted(&id);
        let trace = accepted["xray_trace_id"].as_str().expect("the stack is traced");
        let ends = eventually("its end is logged", || {
            let ends = logged(&["attempt_ended", &id]);
            ends.iter()
                .any(|end| end["settlement"] == "completed")
                .then_some(ends)
        });
        // The fourth attempt's message is a fresh one.
        for end in ends {
            assert_eq!(end["xray_trace_id"], json!(trace), "{end}");
        }
    }
}

#[test]
fn a_clients_own_trace_is_what_its_task_is_known_by() {
    let api = Api::new();
    let trace = format!("{:032x}", fastrand::u128(1..));
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let reply = submit(&api, "fine", &[("traceparent", &parent)]);
    assert_eq!(reply.header("x-correlation-id"), trace);
    let task = api.finished(reply.text("id"));
    assert_eq!(task["correlation_id"], json!(trace));
    assert_eq!(ended(reply.text("id"))["correlation_id"], json!(trace));
}

#[test]
fn what_was_done_is_in_the_metrics() {
    let (api, cloud) = (Api::new(), Cloud::new());
    api.result(&api.submit_text("fine", &[]));
    api.get("/v1/tasks/none").problem(404, "task-not-found");
    cloud.run_janitor();
    let [api, worker, janitor, reactor] = [
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
        (Metric::JanitorRuns, &[(DIMENSION, &*janitor)]),
        (Metric::ChangesCounted, &ended[..1]),
        (Metric::TasksEnded, &ended[..]),
    ] {
        eventually(metric.name(), || {
            let (count, sum) = cloud.measured(metric, dimensions);
            (count > 0.0 && sum > 0.0).then_some(())
        });
    }
    let (requests, failed) = cloud.measured(Metric::ServerErrors, &submit[..1]);
    assert!(requests > 0.0 && failed <= requests, "{failed} of {requests}");
}

#[test]
fn a_dead_letter_sets_off_its_alarm() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let dead = api.submit_limited(json!({ "max_attempts": 1 }), &[("fault", "transient:1")]);
    api.failed(&dead, "exhausted", "fault");
    eventually("the alarm goes off", || {
        let alarms = cloud.alarms(Metric::DeadLetters);
        assert_eq!(alarms.len(), 1, "{alarms:?}");
        let state = alarms[0].state_value().map(|state| state.as_str().to_owned());
        (state.as_deref() == Some("ALARM")).then_some(())
    });
}

//! The calls, read items and capacity of each request, with few and with many stored tasks. The environment variables
//! name a stack with fault injection, whose API adds these figures to every response.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use mesh_tests::{Api, Cloud, Reply, eventually, sentiment};
use serde_json::{Value, json};

/// The numbers of stored tasks.
const STORED: [usize; 2] = [200, 20_000];

#[derive(Clone, PartialEq)]
struct Cost {
    calls: BTreeMap<String, u64>,
    scanned: u64,
    capacity: f64,
}

pub(crate) fn report() -> Result<()> {
    let (api, cloud) = (Api::new(), Cloud::new());
    let model = api.submit_text("fine", &[("note", "some")]);
    api.result(&model);
    let mut stored = 1;
    let mut costs = Vec::new();
    for wanted in STORED {
        cloud.copy(&model, wanted - stored);
        stored = wanted;
        costs.push(measure(&api, &model)?);
    }
    println!(
        "{:<44} {:>34} {:>34}",
        "",
        format!("{} tasks stored", STORED[0]),
        format!("{} tasks stored", STORED[1])
    );
    println!(
        "{:<44} {:>20} {:>6} {:>6} {:>20} {:>6} {:>6}",
        "request", "calls", "read", "units", "calls", "read", "units"
    );
    let mut equal = true;
    for ((name, few), (_, many)) in costs[0].iter().zip(&costs[1]) {
        println!("{name:<44} {} {}", few.columns(), many.columns());
        equal &= few == many;
    }
    ensure!(equal, "the costs depend on the number of stored tasks");
    Ok(())
}

fn measure(api: &Api, id: &str) -> Result<Vec<(&'static str, Cost)>> {
    let submitted = api.post(&sentiment("fine"));
    api.result(submitted.text("id"));
    let batch = json!({ "tasks": vec![sentiment("fine"); 100] });
    let batch = api.post_to("/v1/tasks/batch", Some(&batch));
    let last = batch.body["results"][99]["task"]["id"]
        .as_str()
        .context("the API did not accept the last task of the batch")?;
    api.result(last);
    eventually("no task is pending", || {
        let page = api.get("/v1/tasks?status=pending");
        page.body["tasks"].as_array()?.is_empty().then_some(())
    });
    let page = api.get("/v1/tasks?limit=50");
    let next = format!("/v1/tasks?limit=50&cursor={}", page.text("next_cursor"));
    let costs = [
        ("POST /v1/tasks", submitted),
        ("POST /v1/tasks/batch (100)", batch),
        ("GET /v1/tasks/{id}", api.get(&format!("/v1/tasks/{id}"))),
        ("GET /status/{id}", api.get(&format!("/status/{id}"))),
        ("GET /v1/stats", api.get("/v1/stats")),
        ("GET /v1/tasks?limit=10", api.get("/v1/tasks?limit=10")),
        ("GET /v1/tasks?limit=50", page),
        ("GET /v1/tasks?limit=50&cursor=...", api.get(&next)),
        ("GET /v1/tasks?limit=200", api.get("/v1/tasks?limit=200")),
        ("GET /v1/tasks?status=failed", api.get("/v1/tasks?status=failed")),
        (
            "GET /v1/tasks?status=pending",
            api.get("/v1/tasks?status=pending"),
        ),
        (
            "GET /v1/tasks?type=sentiment&limit=50",
            api.get("/v1/tasks?type=sentiment&limit=50"),
        ),
    ];
    let cost = |(name, reply): (_, Reply)| Ok((name, Cost::from_reply(&reply)?));
    costs.into_iter().map(cost).collect()
}

impl Cost {
    fn from_reply(reply: &Reply) -> Result<Self> {
        ensure!((200..300).contains(&reply.status), "{reply:?}");
        let metered: Value = serde_json::from_str(reply.header("x-ai-mesh-meter"))
            .context("the response has no figures: start the stack with `cargo xtask up --cloud --faults`")?;
        Ok(Self {
            calls: serde_json::from_value(metered["calls"].clone())?,
            scanned: metered["scanned"].as_u64().context("scanned")?,
            capacity: metered["capacity"].as_f64().context("capacity")?,
        })
    }

    /// Calls are named by their initials: `Q 16` for 16 calls of Query.
    fn columns(&self) -> String {
        let initials = |name: &str| name.chars().filter(char::is_ascii_uppercase).collect::<String>();
        let calls: Vec<_> = self
            .calls
            .iter()
            .map(|(name, calls)| format!("{} {calls}", initials(name)))
            .collect();
        format!(
            "{:>20} {:>6} {:>6}",
            calls.join(", "),
            self.scanned,
            self.capacity
        )
    }
}

//! The rules of a task's life cycle, as a comparison of two states of its item. They repeat the conditions of
//! `crates/task/src/transitions.rs` on purpose, in an independent form.

use serde_json::Value;

/// How many milliseconds before its next attempt a task may be claimed: workers claim it up to a second early rather than
/// spend a receive.
const MAX_EARLY: i64 = 1_000;
/// The number of attempts that an item stores.
const MAX_ATTEMPTS_STORED: usize = 10;

/// The parts of an item that the rules compare. Times are in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) number: u32,
    pub(crate) id: String,
    pub(crate) task_type: String,
    pub(crate) status: String,
    pub(crate) generation: i64,
    pub(crate) attempt: i64,
    max_attempts: i64,
    consecutive_crashes: i64,
    fence: i64,
    pub(crate) updated_at: i64,
    lease_until: Option<i64>,
    next_attempt_at: Option<i64>,
    attempts: Vec<Attempt>,
    pub(crate) error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Attempt {
    started_at: i64,
    outcome: Option<String>,
}

impl State {
    /// Reads a task's item; `None` for the table's other items.
    pub(crate) fn from_item(item: &Value) -> Option<Self> {
        let text = |name: &str| item[name].as_str().map(str::to_owned);
        let number = |name: &str| item[name].as_i64();
        let attempts = item["history"].as_array();
        Some(Self {
            number: item["metadata"]["number"].as_str()?.parse().ok()?,
            id: text("id")?,
            task_type: text("type")?,
            status: text("status")?,
            generation: number("generation")?,
            attempt: number("attempt")?,
            max_attempts: number("max_attempts")?,
            consecutive_crashes: number("suspicion")?,
            fence: number("fence")?,
            updated_at: number("updated_at")?,
            lease_until: number("lease_until"),
            next_attempt_at: number("next_attempt_at"),
            attempts: attempts
                .into_iter()
                .flatten()
                .filter_map(Attempt::from_item)
                .collect(),
            error: item
                .get("error")
                .map(|error| format!("{} {}", error["kind"], error["code"])),
        })
    }

    /// Whether the running attempt began as the second or a later one in a row that did not report its own end.
    fn is_isolated(&self) -> bool {
        self.consecutive_crashes > 1
    }

    pub(crate) fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "cancelled")
    }

    /// What a client can see of it: the rest may change without a client's notice.
    pub(crate) fn visible(&self) -> (&str, i64, i64, i64) {
        (&self.status, self.generation, self.attempt, self.fence)
    }

    /// Whether every attempt failed.
    pub(crate) fn is_dead_letter(&self) -> bool {
        let kind = |name| self.error.as_ref().is_some_and(|error| error.starts_with(name));
        self.status == "failed" && (kind("\"exhausted\"") || kind("\"timeout\""))
    }

    /// Whether the write that made this state of an old one ended an attempt as `lost` and spent it.
    pub(crate) fn spends_a_crash(&self, old: &Self) -> bool {
        let outcome = self
            .attempts
            .last()
            .and_then(|attempt| attempt.outcome.as_deref());
        let is_end = old.status == "processing" && self.status != "processing";
        is_end && outcome == Some("lost") && self.attempt == old.attempt
    }

    /// Orders the states of one task by time.
    pub(crate) fn age(&self) -> (i64, i64, i64, bool) {
        (self.generation, self.fence, self.updated_at, self.is_final())
    }

    /// The state in one line.
    pub(crate) fn summary(&self) -> String {
        let outcomes: Vec<_> = self
            .attempts
            .iter()
            .map(|attempt| {
                format!(
                    "{}:{}",
                    attempt.started_at % 10_000_000,
                    attempt.outcome.as_deref().unwrap_or("-")
                )
            })
            .collect();
        format!(
            "{} {} generation {} attempt {} fence {} lease {:?} next {:?} [{}]",
            self.updated_at % 10_000_000,
            self.status,
            self.generation,
            self.attempt,
            self.fence,
            self.lease_until.map(|time| time % 10_000_000),
            self.next_attempt_at.map(|time| time % 10_000_000),
            outcomes.join(" ")
        )
    }
}

impl Attempt {
    fn from_item(attempt: &Value) -> Option<Self> {
        Some(Self {
            started_at: attempt["started_at"].as_i64()?,
            outcome: attempt["outcome"].as_str().map(str::to_owned),
        })
    }
}

/// The transition that one write made, or the rule that it breaks. `is_start` says whether it was made while a server started,
/// which interrupts what the one before it left.
pub(crate) fn transition(old: Option<&State>, new: &State, is_start: bool) -> Result<&'static str, String> {
    let Some(old) = old else {
        let is_fresh = (new.status.as_str(), new.generation, new.attempt, new.fence) == ("pending", 1, 0, 0);
        return if is_fresh {
            Ok("accepted")
        } else {
            Err("a new task is not in the initial state".to_owned())
        };
    };
    if (new.generation, new.fence, &new.status) == (old.generation, old.fence, &old.status) {
        return same_claim(old, new);
    }
    if new.generation != old.generation {
        return redriven(old, new);
    }
    if old.is_final() {
        return Err(format!("it was {} and became {}", old.status, new.status));
    }
    match (old.status.as_str(), new.status.as_str(), new.fence - old.fence) {
        ("pending", "processing", 1) => claimed(old, new),
        ("processing", "completed" | "failed" | "pending", 0) => ended(old, new, is_start),
        ("processing", "pending" | "failed", 1) => reclaimed(old, new),
        (_, "cancelled", 1) if new.attempts == old.attempts => Ok("cancelled"),
        _ => Err("no transition makes this change".to_owned()),
    }
}

/// A renewed lease, or a deferred check.
fn same_claim(old: &State, new: &State) -> Result<&'static str, String> {
    if (new.attempt, &new.attempts) != (old.attempt, &old.attempts) {
        return Err("the attempts changed without a claim or an end".to_owned());
    }
    match (old.lease_until, new.lease_until) {
        (before, after) if before == after => Ok("check deferred"),
        (Some(before), Some(after)) if after > before => Ok("renewed"),
        _ => Err("a lease was shortened".to_owned()),
    }
}

fn claimed(old: &State, new: &State) -> Result<&'static str, String> {
    let now = new.updated_at;
    if old.next_attempt_at.is_some_and(|until| until > now + MAX_EARLY) {
        return Err("claimed during its back-off".to_owned());
    }
    let (begun, before) = new.attempts.split_last().ok_or("claimed without an attempt")?;
    if new.attempt != old.attempt + 1 || before != old.attempts || begun.outcome.is_some() {
        return Err("a claim did not add exactly one attempt".to_owned());
    }
    Ok("claimed")
}

fn ended(old: &State, new: &State, is_start: bool) -> Result<&'static str, String> {
    let running = old.attempts.last().ok_or("ended without an attempt")?;
    let ended = new.attempts.last().ok_or("ended without an attempt")?;
    if ended.started_at != running.started_at {
        return Err("a stale write was applied: it ended another attempt than the running one".to_owned());
    }
    let stored = &old.attempts[old.attempts.len().saturating_sub(MAX_ATTEMPTS_STORED)..];
    if new.attempts.len() != stored.len() || new.attempts[..stored.len() - 1] != stored[..stored.len() - 1] {
        return Err("the end of an attempt changed earlier attempts".to_owned());
    }
    let outcome = ended.outcome.as_deref().unwrap_or("none");
    let refunded = match outcome {
        "throttled" | "interrupted" => 1,
        // The process of a model died.
        "lost" => i64::from(!old.is_isolated()),
        _ => 0,
    };
    if new.attempt != old.attempt - refunded {
        return Err(format!("an attempt that ended as {outcome} was counted wrongly"));
    }
    match (new.status.as_str(), outcome) {
        ("completed", "completed") => Ok("completed"),
        ("failed", "permanent" | "transient" | "timeout") => Ok("failed"),
        ("failed", "lost") if new.attempt < new.max_attempts => Err("failed with attempts left".to_owned()),
        ("failed", "lost") => Ok("exhausted"),
        ("pending", "lost") => Ok("lost"),
        ("pending", "transient" | "timeout") => Ok("retry scheduled"),
        ("pending", "throttled") => Ok("throttled"),
        ("pending", "interrupted") if is_start || !old.is_isolated() => Ok("interrupted"),
        (status, outcome) => Err(format!(
            "an attempt ended as {outcome} and left its task {status}"
        )),
    }
}

fn reclaimed(old: &State, new: &State) -> Result<&'static str, String> {
    if old.lease_until.is_none_or(|until| until >= new.updated_at) {
        return Err("reclaimed from a worker whose lease had not expired".to_owned());
    }
    let refunded = i64::from(!old.is_isolated());
    if new.attempt != old.attempt - refunded {
        return Err(
            "a crash was counted wrongly: it spends an attempt only of a task that ran isolated".to_owned(),
        );
    }
    if new.status == "failed" && new.attempt < new.max_attempts {
        return Err("failed with attempts left".to_owned());
    }
    Ok(if new.status == "failed" {
        "exhausted"
    } else {
        "reclaimed"
    })
}

fn redriven(old: &State, new: &State) -> Result<&'static str, String> {
    let was_dead = matches!(old.status.as_str(), "failed" | "cancelled");
    let is_fresh = (new.status.as_str(), new.attempt) == ("pending", 0);
    let next = new.generation == old.generation + 1 && new.fence > old.fence;
    if was_dead && is_fresh && next {
        Ok("redriven")
    } else {
        Err("a new generation of a task that can't be redriven".to_owned())
    }
}

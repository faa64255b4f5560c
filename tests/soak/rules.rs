//! The rules of a task's life, as anyone can hold them against two states of its item: written down a second time on
//! purpose, and in other words than the code that must keep them.

use serde_json::Value;

/// Two clocks of the same machine agree, but a claim a second before its time is not worth a receive.
const EARLY: i64 = 1_000;
/// An item keeps its newest attempts when one of them ends.
const KEPT: usize = 10;

/// What the rules look at of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) number: u32,
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) generation: i64,
    pub(crate) attempt: i64,
    fence: i64,
    updated_at: i64,
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
    /// Of a task's item; nothing of another.
    pub(crate) fn of(item: &Value) -> Option<Self> {
        let text = |name: &str| item[name].as_str().map(str::to_owned);
        let number = |name: &str| item[name].as_i64();
        let attempts = item["history"].as_array();
        Some(Self {
            number: item["metadata"]["number"].as_str()?.parse().ok()?,
            id: text("id")?,
            status: text("status")?,
            generation: number("generation")?,
            attempt: number("attempt")?,
            fence: number("fence")?,
            updated_at: number("updated_at")?,
            lease_until: number("lease_until"),
            next_attempt_at: number("next_attempt_at"),
            attempts: attempts.into_iter().flatten().filter_map(Attempt::of).collect(),
            error: item
                .get("error")
                .map(|error| format!("{} {}", error["kind"], error["code"])),
        })
    }

    pub(crate) fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "cancelled")
    }

    /// Greater for the later one of two states of a task.
    pub(crate) fn age(&self) -> (i64, i64, i64, bool) {
        (self.generation, self.fence, self.updated_at, self.is_final())
    }

    /// In a line of a task's history.
    pub(crate) fn shown(&self) -> String {
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
    fn of(attempt: &Value) -> Option<Self> {
        Some(Self {
            started_at: attempt["started_at"].as_i64()?,
            outcome: attempt["outcome"].as_str().map(str::to_owned),
        })
    }
}

/// What one write did, or why it should not have landed.
pub(crate) fn judge(old: Option<&State>, new: &State) -> Result<&'static str, String> {
    let Some(old) = old else {
        let is_fresh = (new.status.as_str(), new.generation, new.attempt, new.fence) == ("pending", 1, 0, 0);
        return if is_fresh {
            Ok("accepted")
        } else {
            Err("a task began in the middle".to_owned())
        };
    };
    if (new.generation, new.fence, &new.status) == (old.generation, old.fence, &old.status) {
        return same_hands(old, new);
    }
    if new.generation != old.generation {
        return redriven(old, new);
    }
    if old.is_final() {
        return Err(format!("it was {} and became {}", old.status, new.status));
    }
    match (old.status.as_str(), new.status.as_str(), new.fence - old.fence) {
        ("pending" | "processing", "processing", 1) => claimed(old, new),
        ("processing", "completed" | "failed" | "pending", 0) => ended(old, new),
        ("processing", "pending" | "failed", 1) => reclaimed(old, new),
        (_, "cancelled", 1) if new.attempts == old.attempts => Ok("cancelled"),
        _ => Err("no move does that".to_owned()),
    }
}

/// A lease that is renewed, a look that is put off.
fn same_hands(old: &State, new: &State) -> Result<&'static str, String> {
    if (new.attempt, &new.attempts) != (old.attempt, &old.attempts) {
        return Err("an attempt changed and nobody claimed or ended it".to_owned());
    }
    match (old.lease_until, new.lease_until) {
        (before, after) if before == after => Ok("put off"),
        (Some(before), Some(after)) if after > before => Ok("renewed"),
        _ => Err("a lease went backwards".to_owned()),
    }
}

fn claimed(old: &State, new: &State) -> Result<&'static str, String> {
    let now = new.updated_at;
    if old.lease_until.is_some_and(|until| until >= now) {
        return Err("claimed while another held it".to_owned());
    }
    if old.next_attempt_at.is_some_and(|until| until > now + EARLY) {
        return Err("claimed during its rest".to_owned());
    }
    let (begun, before) = new.attempts.split_last().ok_or("claimed without an attempt")?;
    if new.attempt != old.attempt + 1 || before != old.attempts || begun.outcome.is_some() {
        return Err("a claim is one more attempt, and no more than that".to_owned());
    }
    Ok("claimed")
}

fn ended(old: &State, new: &State) -> Result<&'static str, String> {
    let running = old.attempts.last().ok_or("ended without an attempt")?;
    let ended = new.attempts.last().ok_or("ended without an attempt")?;
    if ended.started_at != running.started_at {
        return Err("a stale write landed: it ended another attempt than the one that ran".to_owned());
    }
    let kept = &old.attempts[old.attempts.len().saturating_sub(KEPT)..];
    if new.attempts.len() != kept.len() || new.attempts[..kept.len() - 1] != kept[..kept.len() - 1] {
        return Err("an end rewrote earlier attempts".to_owned());
    }
    let outcome = ended.outcome.as_deref().unwrap_or("none");
    let unspent = i64::from(outcome == "throttled");
    if new.attempt != old.attempt - unspent {
        return Err(format!("an attempt that ended as {outcome} was counted wrongly"));
    }
    match (new.status.as_str(), outcome) {
        ("completed", "completed") => Ok("completed"),
        ("failed", "permanent" | "transient" | "timeout") => Ok("failed"),
        ("pending", "transient" | "timeout") => Ok("rests"),
        ("pending", "throttled") => Ok("throttled"),
        (status, outcome) => Err(format!(
            "an attempt ended as {outcome} and left its task {status}"
        )),
    }
}

fn reclaimed(old: &State, new: &State) -> Result<&'static str, String> {
    if old.lease_until.is_none_or(|until| until >= new.updated_at) {
        return Err("taken from a worker whose lease was good".to_owned());
    }
    if new.attempt != old.attempt {
        return Err("a lost attempt is spent".to_owned());
    }
    Ok(if new.status == "failed" {
        "exhausted"
    } else {
        "taken back"
    })
}

fn redriven(old: &State, new: &State) -> Result<&'static str, String> {
    let was_dead = matches!(old.status.as_str(), "failed" | "cancelled");
    let is_fresh = (new.status.as_str(), new.attempt) == ("pending", 0);
    let next = new.generation == old.generation + 1 && new.fence > old.fence;
    if was_dead && is_fresh && next {
        Ok("redriven")
    } else {
        Err("a new generation that nobody may ask for".to_owned())
    }
}

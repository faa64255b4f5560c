//! Does to one task what it needs.

use jiff::Timestamp;
use mesh_cloud::{CloudError, Landed};
use mesh_task::{Message, Task, Tending};

use crate::Janitor;

/// What was done to a task.
#[derive(Debug)]
pub(crate) enum Tended {
    /// Nothing that anybody must hear of.
    Quietly,
    /// It waits for its message, which is now to be sent.
    Ring(Message),
    /// The same, after a worker had left it.
    TakenBack(Message),
    /// It was ended: its attempts were spent.
    Exhausted,
}

impl Janitor {
    /// Does to a task that was just read what it needs. What another has changed since is left to the next look.
    pub(crate) async fn tend(
        &self,
        task: &Task,
        tending: Tending,
        now: Timestamp,
    ) -> Result<Tended, CloudError> {
        let (write, tended) = match tending {
            Tending::Nothing => return Ok(Tended::Quietly),
            Tending::PutOff(due_at) => (task.put_off(due_at), Tended::Quietly),
            Tending::Ring(due_at) => (task.put_off(due_at), Tended::Ring(task.message())),
            Tending::TakeBack(due_at) => (task.take_back(due_at, now), Tended::TakenBack(task.message())),
            Tending::Exhaust => (task.exhaust(now), Tended::Exhausted),
        };
        Ok(match self.table.write(&task.tenant, task.id, &write).await? {
            Landed::Yes(_) => {
                let what = match tended {
                    Tended::Quietly => "a task is looked at again later",
                    Tended::Ring(_) => "a task is rung for again",
                    Tended::TakenBack(_) => "a task was taken back from a worker that is gone",
                    Tended::Exhausted => "a task's attempts ended without a word",
                };
                tracing::info!(
                    task_id = %task.id,
                    attempt = task.attempt,
                    correlation_id = task.correlation_id,
                    what,
                    "an overdue task is tended"
                );
                tended
            }
            Landed::No(_) => Tended::Quietly,
        })
    }
}

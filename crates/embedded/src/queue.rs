//! The queues: one table of messages, each with the time from which on it is visible.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mesh_backend::{BackendError, BackendFuture, BoxFuture, Depth, MAX_DELAY, TaskQueue};
use mesh_task::Message;
use mesh_telemetry::Trace;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use crate::database::Database;
use crate::item::{parse, to_text};

/// The weight of a message's group, where nothing says otherwise.
const WEIGHT: u32 = 1;

/// A message that was received.
#[derive(Debug)]
pub struct Received {
    /// The task that may be ready; `None` if the message does not name one.
    pub message: Option<Message>,
    /// This receive's name, which answers for it.
    pub receipt: String,
    /// How often the message was received, this time included.
    pub receives: u32,
    /// The trace of the sender.
    pub trace: Option<Trace>,
}

/// One queue of the data folder.
#[derive(Debug)]
pub struct EmbeddedQueue {
    name: String,
    /// Where a message goes that was received too often; the dead-letter queue has none.
    dead_letters: Option<DeadLetters>,
    database: Arc<Database>,
    /// Notified when a message may have become visible earlier than its consumer expects.
    arrived: Notify,
}

/// What becomes of a message that was received without success.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetters {
    pub(crate) queue: Arc<EmbeddedQueue>,
    /// After this many receives the message is moved.
    pub(crate) max_receives: u32,
}

impl EmbeddedQueue {
    pub(crate) fn new(name: String, dead_letters: Option<DeadLetters>, database: Arc<Database>) -> Self {
        Self {
            name,
            dead_letters,
            database,
            arrived: Notify::new(),
        }
    }

    /// Receives up to `most` visible messages, and hides each for `visibility`. Where there is none, it waits for one for up to
    /// `wait`. Tenants take turns: the backlog of one does not delay the messages of another.
    ///
    /// # Errors
    /// When the database did not answer.
    pub fn receive(
        &self,
        most: usize,
        visibility: Duration,
        wait: Duration,
    ) -> BackendFuture<'_, Vec<Received>> {
        Box::pin(self.receive_until(most, visibility, Instant::now() + wait))
    }

    async fn receive_until(
        &self,
        most: usize,
        visibility: Duration,
        until: Instant,
    ) -> Result<Vec<Received>, BackendError> {
        loop {
            let (received, next) = self.try_receive(most, visibility).await?;
            let left = until.saturating_duration_since(Instant::now());
            if !received.is_empty() {
                // There may be more, for another consumer.
                self.arrived.notify_one();
            }
            if !received.is_empty() || left.is_zero() {
                return Ok(received);
            }
            let now = Timestamp::now().as_millisecond();
            let pause = next.map_or(left, |next| {
                Duration::from_millis(u64::try_from(next - now).unwrap_or(0)).min(left)
            });
            tokio::select! {
                () = self.arrived.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Receives what is visible now. With it comes the time at which the next message becomes visible.
    async fn try_receive(
        &self,
        most: usize,
        visibility: Duration,
    ) -> Result<(Vec<Received>, Option<i64>), BackendError> {
        let name = self.name.clone();
        let dead = self.dead_letters.clone();
        let target = dead
            .as_ref()
            .map(|dead| (dead.queue.name.clone(), dead.max_receives));
        let written = self.database.write("receive", move |connection| {
            let now = Timestamp::now().as_millisecond();
            let moved = match &target {
                Some((queue, max_receives)) => move_dead(connection, &name, queue, *max_receives, now)?,
                None => 0,
            };
            let mut received = Vec::new();
            for number in next_visible(connection, &name, now, most)? {
                received.push(hide(connection, number, now + millis(visibility))?);
            }
            let next = connection
                .prepare_cached("SELECT min(visible_at) FROM messages WHERE queue = ? AND visible_at > ?")?
                .query_row(params![name, now], |row| row.get(0))?;
            Ok((moved, received, next))
        });
        let (moved, received, next) = written.await?;
        if moved > 0
            && let Some(dead) = dead
        {
            dead.queue.arrived.notify_one();
        }
        Ok((received, next))
    }

    /// Deletes a received message. Nothing happens if the receipt is not that of its last receive any more.
    ///
    /// # Errors
    /// When the message may be delivered again.
    pub async fn delete(&self, receipt: String) -> Result<(), BackendError> {
        let written = self.database.write("delete", move |connection| {
            connection
                .prepare_cached("DELETE FROM messages WHERE receipt = ?")?
                .execute([receipt])
        });
        written.await.map(drop)
    }

    async fn insert(
        &self,
        messages: Vec<Message>,
        delay: Duration,
        trace: Option<Trace>,
    ) -> Result<(), BackendError> {
        let name = self.name.clone();
        let written = self.database.write("send", move |connection| {
            let now = Timestamp::now().as_millisecond();
            let mut insert = connection.prepare_cached(
                "INSERT INTO messages (queue, tenant, message_group, weight, body, trace, sent_at, visible_at, receives)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
            )?;
            for message in &messages {
                let tenant = message.tenant.as_str();
                insert.execute(params![
                    name,
                    tenant,
                    tenant,
                    WEIGHT,
                    to_text(message)?,
                    trace.as_ref().map(Trace::header),
                    now,
                    now + millis(delay.min(MAX_DELAY)),
                ])?;
            }
            Ok(())
        });
        written.await?;
        self.arrived.notify_one();
        Ok(())
    }
}

impl TaskQueue for EmbeddedQueue {
    fn name(&self) -> &str {
        &self.name
    }

    fn send_traced<'a>(
        &'a self,
        message: &'a Message,
        delay: Duration,
        trace: Option<&'a Trace>,
    ) -> BackendFuture<'a, ()> {
        Box::pin(self.insert(vec![message.clone()], delay, trace.cloned()))
    }

    fn send_many(&self, messages: Vec<Message>, until: Instant) -> BoxFuture<'_, Vec<Message>> {
        Box::pin(async move {
            let sent = self.insert(messages.clone(), Duration::ZERO, Trace::current());
            let error = match timeout_at(until, sent).await {
                Ok(Ok(())) => return Vec::new(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the time is over".to_owned(),
            };
            tracing::error!(
                event = "messages_not_sent",
                error,
                messages = messages.len(),
                "a batch of messages may not have been accepted"
            );
            messages
        })
    }

    fn change_visibility<'a>(&'a self, receipt_handle: &'a str, delay: Duration) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            let receipt = receipt_handle.to_owned();
            let written = self.database.write("change_visibility", move |connection| {
                let visible_at = Timestamp::now().as_millisecond() + millis(delay.min(MAX_DELAY));
                connection
                    .prepare_cached("UPDATE messages SET visible_at = ? WHERE receipt = ?")?
                    .execute(params![visible_at, receipt])
            });
            written.await?;
            self.arrived.notify_one();
            Ok(())
        })
    }

    fn depth(&self) -> BackendFuture<'_, Depth> {
        Box::pin(async move {
            let name = self.name.clone();
            let read = self.database.read("depth", move |connection| {
                let now = Timestamp::now().as_millisecond();
                let mut select = connection.prepare_cached(
                    "SELECT count(*) FILTER (WHERE visible_at <= ?2),
                            count(*) FILTER (WHERE visible_at > ?2 AND receipt IS NOT NULL),
                            count(*) FILTER (WHERE visible_at > ?2 AND receipt IS NULL)
                     FROM messages WHERE queue = ?1",
                )?;
                select.query_row(params![name, now], |row| {
                    Ok(Depth {
                        visible: row.get(0)?,
                        in_flight: row.get(1)?,
                        delayed: row.get(2)?,
                    })
                })
            });
            read.await
        })
    }

    fn check(&self) -> BackendFuture<'_, ()> {
        Box::pin(async move { self.depth().await.map(drop) })
    }
}

/// Moves the messages that are visible again after their last receive.
fn move_dead(
    connection: &Connection,
    name: &str,
    dead_letter_queue: &str,
    max_receives: u32,
    now: i64,
) -> rusqlite::Result<usize> {
    let mut update = connection.prepare_cached(
        "UPDATE messages SET queue = ?, visible_at = ?, receipt = NULL WHERE queue = ? AND visible_at <= ? AND receives >= ?",
    )?;
    update.execute(params![dead_letter_queue, now, name, now, max_receives])
}

/// The numbers of the next messages: the oldest of each group in turn, `weight` of a group at a time.
fn next_visible(connection: &Connection, name: &str, now: i64, most: usize) -> rusqlite::Result<Vec<i64>> {
    let mut select = connection.prepare_cached(
        "SELECT number FROM (
             SELECT number, weight,
                    row_number() OVER (PARTITION BY message_group ORDER BY visible_at, number) - 1 AS place
             FROM messages WHERE queue = ? AND visible_at <= ?
         ) ORDER BY place / weight, number LIMIT ?",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let numbers = select.query_map(params![name, now, most], |row| row.get(0))?;
    numbers.collect()
}

/// Counts a receive, and hides the message until a time.
fn hide(connection: &Connection, number: i64, visible_at: i64) -> rusqlite::Result<Received> {
    let receipt = format!("{number}-{:016x}", fastrand::u64(..));
    let mut update = connection.prepare_cached(
        "UPDATE messages SET visible_at = ?, receives = receives + 1, receipt = ? WHERE number = ?
         RETURNING body, receives, trace",
    )?;
    let row = update.query_row(params![visible_at, receipt, number], |row| {
        let trace: Option<String> = row.get(2)?;
        Ok((row.get::<_, String>(0)?, row.get(1)?, trace))
    });
    let (body, receives, trace) = row.optional()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Received {
        message: parse(&body).ok(),
        receipt,
        receives,
        trace: trace.and_then(|header| Trace::parse(&header)),
    })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

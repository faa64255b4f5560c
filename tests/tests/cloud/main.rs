//! The tests that need the template on the local cloud: they look at its tables, queues, functions and logs, or inject faults
//! into their calls. What a client sees on any home is in `tests/api`.

mod batch;
mod cancel;
mod changes;
mod contract;
mod crashes;
mod delivery;
mod dynalite;
mod events;
mod faults;
mod health;
mod http;
mod idempotency;
mod lanes;
mod limits;
mod list;
mod observability;
mod refusals;
mod stats;
mod sweeper;
mod texts;
mod uploads;
mod workers;

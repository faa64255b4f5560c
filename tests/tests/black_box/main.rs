//! The tests that need a deployed stack: they use it over HTTP, as its clients do. All are in one program, because linking
//! thirty programs takes longer than running most of the tests.

mod bad_images;
mod batch;
mod cancel;
mod changes;
mod cli;
mod client;
mod compat;
mod contract;
mod crashes;
mod dashboard;
mod dead_letters;
mod delivery;
mod docs;
mod dynalite;
mod events;
mod faces;
mod faults;
mod health;
mod http;
mod idempotency;
mod lanes;
mod language;
mod limits;
mod list;
#[cfg(feature = "live")]
mod live;
mod middleware;
mod observability;
mod ocr;
mod refusals;
mod security;
mod sentiment;
mod speech;
mod stats;
mod sweeper;
mod texts;
mod uploads;
mod workers;

//! The tests that use a home over HTTP, as its clients do, and nothing else. They run on `mesh-server`, or with
//! `cargo xtask test --cloud` on the local cloud. All are in one program, because linking thirty programs takes longer than
//! running most of the tests.

mod bad_images;
mod batch;
mod cancel;
mod changes;
mod cli;
mod client;
mod compat;
mod dashboard;
mod dead_letters;
mod docs;
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
mod ocr;
mod refusals;
mod security;
mod sentiment;
mod speech;
mod texts;
mod uploads;
mod workers;

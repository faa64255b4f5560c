//! The tests that need a stack: they know of it what its users know, its address. One program, since linking thirty takes
//! longer than running most of them, and a gigabyte and a half.

mod bad_images;
mod batch;
mod cancel;
mod changes;
mod cli;
mod client;
mod compat;
mod dashboard;
mod dead_letters;
mod delivery;
mod docs;
mod events;
mod faces;
mod faults;
mod health;
mod http;
mod hygiene;
mod idempotency;
mod janitor;
mod killers;
mod lanes;
mod language;
mod limits;
mod list;
#[cfg(feature = "live")]
mod live;
mod observability;
mod ocr;
mod refusals;
mod security;
mod sentiment;
mod speech;
mod stats;
mod texts;
mod uploads;
mod workers;

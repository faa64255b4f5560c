//! `mesh` as a program against a mock API: what it sends, what it prints, and its exit codes.

mod batch;
mod batch_resume;
mod change_log;
mod exit_codes;
mod fake_api;
mod output;
mod settings;
mod terminal;
mod watching;
mod world;

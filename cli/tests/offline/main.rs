//! `mesh` as a program, against a server whose answers are made up: what it sends, prints and ends with.

mod answers;
mod batch;
mod batch_resume;
mod endings;
mod keeping;
mod many;
mod settings;
mod terminal;
mod watching;
mod world;

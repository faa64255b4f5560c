//! The server as a process: what it does, and what a kill costs.

mod children;
mod file_limit;
mod harness;
mod kills;
mod serve;

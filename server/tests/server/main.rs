//! The server as a process: what it does, and what a kill costs.

mod children;
mod harness;
mod kills;
mod serve;

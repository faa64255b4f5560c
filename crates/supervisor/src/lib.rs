//! Supervises the child processes of the development tools: `cargo xtask` and `mesh-bench`.
//!
//! A child ends with its supervisor, whatever ends the supervisor. Four mechanisms guarantee this:
//!
//! - [`SupervisedChild`] kills its process group when it is dropped.
//! - [`signals`] terminates the children at Ctrl-C, `kill` and a closed terminal.
//! - [`guard`] makes the kernel send a child SIGTERM when its supervisor is killed.
//! - [`SupervisedChild::release`] and [`guard::detached_command`] are the only ways out, for a child that shall live on.

mod child;
pub mod guard;
pub mod signals;

pub use child::SupervisedChild;
pub use signals::OnSignal;

//! Supervises the child processes of the development tools: `cargo xtask` and `mesh-bench`.
//!
//! A child ends with its supervisor, whatever ends the supervisor. Three mechanisms guarantee this:
//!
//! - [`SupervisedChild`] kills its process group when it is dropped.
//! - [`signals`] terminates the children at Ctrl-C, `kill` and a closed terminal.
//! - [`guard`] makes the kernel send a child SIGTERM when its supervisor is killed.
//!
//! Only a child that is [released](SupervisedChild::release) and [detached](guard::detached_command) lives on.

mod child;
pub mod guard;
pub mod signals;

pub use child::SupervisedChild;
pub use signals::OnSignal;

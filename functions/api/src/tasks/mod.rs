//! Tasks over HTTP.

mod show;
mod submit;

pub(crate) use show::show;
pub(crate) use submit::submit;

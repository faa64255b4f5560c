//! The local stack: a local cloud of its own port and state, with infra/template.yaml deployed to it.
//!
//! What always holds: a stack that counts as up answers its health check and runs what the template says; all its
//! processes carry its nonce, and none of them is left when it is down; whoever changes it holds its lock.

mod deploy;
mod env;
mod launch;
mod members;
mod place;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::functions::{self, Build};
use crate::llm::{self, Address, Provider};
use crate::lock::{self, Lock};
use crate::paths;
use crate::process::Running;
use crate::progress::Step;
use crate::{hash, http};
pub(crate) use deploy::venv;
pub(crate) use env::parse as parse_env;
pub(crate) use members::Member;
use place::State;
pub(crate) use place::{DEFAULT_NAME, Place};

/// What a stack is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Signatures and IAM policies are enforced, as on AWS.
    pub(crate) auth: bool,
    /// The functions have the test faults compiled in, and the switch for them is on.
    pub(crate) faults: bool,
    /// The local cloud keeps what it holds over a restart.
    pub(crate) persist: bool,
    /// A language model on this machine, and the provider that the functions reach it by.
    pub(crate) llm: Option<Provider>,
    /// Values for the template's parameters, beside the token.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Variables of every function, beside the template's.
    pub(crate) function_environment: BTreeMap<String, String>,
}

/// A stack that goes on after this process, until `down`.
pub(crate) fn up(name: &str, options: &Options) -> Result<Place> {
    let place = Place::named(name)?;
    let _lock = lock::acquire(&place.lock())?;
    if let Some(state) = healthy(&place)? {
        let llm = state.llm.map(|llm| llm.provider);
        if (state.auth, state.faults, llm) != (options.auth, options.faults, options.llm) {
            bail!(
                "the stack `{name}` is up already, but with other options (--auth: {}, --faults: {}, --llm: {}): stop \
                 it with `{}`, or choose another name with --name",
                state.auth,
                state.faults,
                llm.map_or_else(
                    || "none".to_owned(),
                    |provider| format!("{provider:?}").to_lowercase()
                ),
                place.down_command()
            );
        }
        return Ok(place);
    }
    let mut started = start(place, options, false)?;
    started.keep();
    Ok(started.place.clone())
}

/// A stack that ends with this process at the latest, or when it is dropped. One of the same name is replaced.
pub(crate) fn attached(name: &str, options: &Options) -> Result<Attached> {
    let place = Place::named(name)?;
    let lock = lock::acquire(&place.lock())?;
    let mut started = start(place, options, true)?;
    started._lock = Some(lock);
    Ok(started)
}

/// The stack of that name, if it is up and well.
pub(crate) fn running(name: &str, options: &Options) -> Result<Option<Place>> {
    let place = Place::named(name)?;
    let state = healthy(&place)?;
    let suits = state.is_some_and(|state| {
        let llm = state.llm.map(|llm| llm.provider);
        state.auth == options.auth && !state.faults && (options.llm.is_none() || llm == options.llm)
    });
    Ok(suits.then_some(place))
}

/// Stops the stack and removes its state. Nothing to stop is no error.
pub(crate) fn down(name: &str) -> Result<bool> {
    let place = Place::named(name)?;
    let _lock = lock::acquire(&place.lock())?;
    let was_there = place.state()?.is_some();
    clear(&place, None)?;
    Ok(was_there)
}

/// A started stack, stopped when it is dropped.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) place: Place,
    cloud: Running,
    llm: Option<Running>,
    kept: bool,
    _lock: Option<Lock>,
}

impl Attached {
    /// Lets the stack live on.
    fn keep(&mut self) {
        self.cloud.forget();
        if let Some(llm) = &mut self.llm {
            llm.forget();
        }
        self.kept = true;
    }

    /// Ends the local cloud with all that it runs, and starts it again with what it saved.
    pub(crate) fn restart(&mut self, options: &Options) -> Result<()> {
        let state = self.state()?;
        let patience = members::PATIENCE_TO_SAVE;
        members::end(state.pid, &state.nonce, Some(&mut self.cloud), patience)?;
        let (state, cloud) = launch::start_again(&self.place, &deploy::venv()?, options, state)?;
        self.cloud = cloud;
        launch::wait_until_ready(&self.place, state, &mut self.cloud)?;
        Ok(())
    }

    /// The processes of its functions, as they are now.
    pub(crate) fn functions(&self) -> Result<Vec<Member>> {
        let state = self.state()?;
        let mut members = members::all(&state.nonce);
        members.retain(|member| member.pid() != state.pid);
        Ok(members)
    }

    fn state(&self) -> Result<State> {
        let state = self.place.state()?;
        state.with_context(|| format!("the stack `{}` has no state", self.place.name()))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = clear(&self.place, Some(&mut self.cloud))
        {
            eprintln!(
                "! the stack `{}` could not be stopped: {error:#}",
                self.place.name()
            );
        }
    }
}

/// Builds what must be built, then starts the cloud and deploys to it. The caller holds the lock.
fn start(place: Place, options: &Options, attached: bool) -> Result<Attached> {
    let artifacts = functions::build(if options.faults {
        Build::Faults
    } else {
        Build::Release
    })?;
    let llm = options.llm.map(|_| llm::ensure()).transpose()?;
    clear(&place, None)?;
    let python = deploy::venv()?;
    let (state, cloud) = launch::start(&place, &python, options, attached)?;
    // From here on, whatever fails takes the cloud down with it.
    let mut stack = Attached {
        place,
        cloud,
        llm: None,
        kept: false,
        _lock: None,
    };
    let place = &stack.place;
    let state = launch::wait_until_ready(place, state, &mut stack.cloud)?;
    stack.llm = launch::start_llm(place, llm.as_ref(), attached, &state)?;

    let token = place::make_token()?;
    place.write_private(&place.token(), &token)?;
    let llm_parameters = state.llm.iter().flat_map(|llm| llm.parameters());
    let mut parameters: BTreeMap<_, _> = llm_parameters.chain(options.parameters.clone()).collect();
    parameters.insert("TokenSha256".to_owned(), hash::bytes(token.as_bytes()));
    let deployed = deploy::run(&python, &state, &artifacts, &parameters, place.name())?;
    wait_for_health(&deployed.url)?;
    place.write_private(
        &place.env(),
        &env::render(&deploy::environment(&state, &token, &deployed)),
    )?;
    place.write_state(&State {
        url: Some(deployed.url),
        ..state
    })?;
    Ok(stack)
}

fn wait_for_health(url: &str) -> Result<()> {
    let step = Step::start("waiting for the API");
    let address = format!("{url}/health");
    for _ in 0..40 {
        if http::answers(&address, Duration::from_secs(20)) {
            step.done("");
            return Ok(());
        }
        crate::interrupt::pause(Duration::from_millis(250))?;
    }
    bail!("the stack is deployed, but {address} does not answer 200; `cargo xtask logs api` may tell why")
}

/// The state of a stack whose processes run and whose addresses answer.
fn healthy(place: &Place) -> Result<Option<State>> {
    let Some(state) = place.state()? else {
        return Ok(None);
    };
    let (Some(url), true) = (&state.url, place.env().is_file()) else {
        return Ok(None);
    };
    let alive = members::leads(state.pid, &state.nonce)
        && http::answers(&launch::ready_address(state.port), Duration::from_secs(5))
        && state.llm.is_none_or(Address::answers)
        && http::answers(&format!("{url}/health"), Duration::from_secs(20));
    Ok(alive.then_some(state))
}

/// Ends every process of the stack and removes its files, all but the log. What an earlier, killed command left behind
/// is cleared in the same way.
fn clear(place: &Place, cloud: Option<&mut Running>) -> Result<()> {
    if let Some(state) = place.state()? {
        let step = Step::start(&format!("stopping the stack `{}`", place.name()));
        members::end(state.pid, &state.nonce, cloud, members::PATIENCE)?;
        step.done("");
    }
    if place.env().exists() {
        fs::remove_file(place.env())?;
    }
    let log = place.log();
    if place.dir().is_dir() {
        for entry in fs::read_dir(place.dir())? {
            let path = entry?.path();
            if path == log {
                continue;
            }
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.with_context(|| format!("can't remove {}", paths::shown(&path)))?;
        }
    }
    Ok(())
}

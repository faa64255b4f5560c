//! ONNX Runtime, opened from the assets at run time, and the one way this crate runs a model: a session behind a lock,
//! every run under an [`Interrupt`].

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use memmap2::Mmap;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{InMemorySession, RunOptions, Session, SessionInputValue, SessionOutputs};
use ort::value::Outlet;
use self_cell::self_cell;

use crate::{LoadError, ModelError};

/// Where the library lies under the assets' folder.
const LIBRARY: &str = "lib/libonnxruntime.so";

/// ONNX Runtime allows one environment per process, and ends with the last handle to it: this one keeps it.
static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// Opens `lib/libonnxruntime.so` under `assets`. The first success counts for the whole process: later calls are free
/// and don't look at their folder. Loading a model does this too.
///
/// # Errors
/// [`LoadError::Read`] when the library is absent, [`LoadError::Runtime`] when it can't be used.
pub fn init(assets: &Path) -> Result<(), LoadError> {
    let _starting = lock(&STARTING);
    if ENVIRONMENT.get().is_some() {
        return Ok(());
    }
    // Canonical, since ort looks for a relative path beside the executable first.
    let path = assets.join(LIBRARY);
    let path = path
        .canonicalize()
        .map_err(|source| LoadError::Read { path, source })?;
    let environment = ort::init_from(path)
        .map_err(|error| LoadError::Runtime(error.to_string()))?
        .with_name("ai-mesh")
        .with_telemetry(false)
        .build()
        .map_err(|error| LoadError::Runtime(error.to_string()))?;
    ENVIRONMENT.get_or_init(|| environment);
    Ok(())
}

/// Takes a lock whose data is whole even if another thread panicked while it held it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends inference from another thread, before it starts or as it runs.
///
/// Clones are handles to the same interrupt, so that a timer can hold one and the run another. It stays triggered:
/// make a new one for the next batch. A run ends at its next graph node, a matter of milliseconds.
#[derive(Clone, Default)]
pub struct Interrupt {
    state: Arc<Mutex<InterruptState>>,
}

#[derive(Default)]
struct InterruptState {
    triggered: bool,
    running: Vec<Arc<RunOptions>>,
}

impl Interrupt {
    /// An interrupt that is not triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every run under this interrupt, and those that would still start. Never blocks on a run.
    pub fn trigger(&self) {
        let mut state = lock(&self.state);
        state.triggered = true;
        for run in &state.running {
            // Setting a flag in native memory; the only failure is a null pointer, which can't be in the list.
            let _ = run.terminate();
        }
    }

    /// Whether [`trigger`](Self::trigger) was called.
    pub fn is_triggered(&self) -> bool {
        lock(&self.state).triggered
    }

    /// Whether a run is under way.
    #[cfg(test)]
    pub(crate) fn is_running(&self) -> bool {
        !lock(&self.state).running.is_empty()
    }

    /// [`ModelError::Interrupted`] once triggered: for the stretches of work that ONNX Runtime does not do.
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        if self.is_triggered() {
            Err(ModelError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Enters a run. Checking and entering under one lock leaves no gap in which a trigger could be missed.
    fn enter(&self) -> Result<Running<'_>, ModelError> {
        let options = Arc::new(RunOptions::new().map_err(failed)?);
        let mut state = lock(&self.state);
        if state.triggered {
            return Err(ModelError::Interrupted);
        }
        state.running.push(Arc::clone(&options));
        Ok(Running {
            interrupt: self,
            options,
        })
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt")
            .field("triggered", &self.is_triggered())
            .finish()
    }
}

/// A run that an interrupt can end; leaves the interrupt's list when dropped, also by a panic.
struct Running<'a> {
    interrupt: &'a Interrupt,
    options: Arc<RunOptions>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.interrupt.state)
            .running
            .retain(|run| !Arc::ptr_eq(run, &self.options));
    }
}

self_cell!(
    /// A session and the file that it reads its weights from, in place. Nothing is copied, and what no input needs stays
    /// on disk: loading MiniLM takes 20 ms and 54 MB at the peak, where reading the file takes 53 ms and 87 MB.
    struct MappedSession {
        owner: Mmap,
        #[not_covariant]
        dependent: InMemorySession,
    }
);

/// A loaded model. Runs one at a time: a session's `Run` is exclusive, and one CPU gains nothing from two.
pub(crate) struct Model {
    session: Mutex<MappedSession>,
}

impl Model {
    /// Loads the model file (ONNX or ORT format), for one thread, and checks that it has the expected interface.
    pub(crate) fn load(path: PathBuf, inputs: &[&str], outputs: &[&str]) -> Result<Self, LoadError> {
        let environment = ENVIRONMENT
            .get()
            .ok_or_else(|| LoadError::Runtime("init() was not called".into()))?;
        let file = map(&path).map_err(|source| LoadError::Read {
            path: path.clone(),
            source,
        })?;
        let session = MappedSession::try_new(file, |file| {
            let session = builder(environment)?.commit_from_memory_directly(file)?;
            expect_names("input", session.inputs().iter().map(Outlet::name), inputs)?;
            expect_names("output", session.outputs().iter().map(Outlet::name), outputs)?;
            Ok(session)
        })
        .map_err(|error: ort::Error| LoadError::Model {
            path,
            reason: error.to_string(),
        })?;
        Ok(Self {
            session: Mutex::new(session),
        })
    }

    /// Runs once and hands the outputs to `read`, which takes or copies out what it wants of them. What it takes must
    /// not outlive the model.
    pub(crate) fn run<'v, T>(
        &self,
        inputs: Vec<(&'v str, SessionInputValue<'v>)>,
        interrupt: &Interrupt,
        read: impl FnOnce(&mut SessionOutputs<'_>) -> ort::Result<T>,
    ) -> Result<T, ModelError> {
        let mut session = lock(&self.session);
        let running = interrupt.enter()?;
        let result = session.with_dependent_mut(|_, session| {
            session
                .run_with_options(inputs, &running.options)
                .and_then(|mut outputs| read(&mut outputs))
        });
        // A terminated run reports a general failure: only the interrupt itself knows that it was meant.
        result.map_err(|error| {
            if interrupt.is_triggered() {
                ModelError::Interrupted
            } else {
                failed(error)
            }
        })
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").finish_non_exhaustive()
    }
}

#[expect(
    unsafe_code,
    reason = "no crate maps a file safely: what the file does afterwards is beyond its reach"
)]
fn map(path: &Path) -> std::io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the bytes must not change while mapped. Assets are written once, under a name that no one can know before
    // they are whole, and are never written to again; on Lambda their file system is read-only.
    unsafe { Mmap::map(&file) }
}

/// Optimizes as far as this processor allows; a model in ORT format was optimized when it was built and loads as it is.
fn builder(environment: &Environment) -> ort::Result<SessionBuilder> {
    Ok(Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_log_level(LogLevel::Error)?)
}

/// A model that was exchanged for another is noticed when it is loaded, not by the first task.
fn expect_names<'a>(kind: &str, found: impl Iterator<Item = &'a str>, expected: &[&str]) -> ort::Result<()> {
    let found: Vec<_> = found.collect();
    if found == expected {
        return Ok(());
    }
    Err(ort::Error::new(format!(
        "its {kind}s are {found:?}, not {expected:?}"
    )))
}

pub(crate) fn failed(error: ort::Error) -> ModelError {
    ModelError::Inference(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_is_shared_by_its_clones_and_needs_no_library() {
        let interrupt = Interrupt::new();
        let timer = interrupt.clone();
        assert!(interrupt.check().is_ok());
        timer.trigger();
        assert!(interrupt.is_triggered());
        assert!(matches!(interrupt.check(), Err(ModelError::Interrupted)));
    }

    #[test]
    fn a_run_leaves_the_list_when_it_ends() {
        init(&crate::testing::assets()).unwrap();
        let interrupt = Interrupt::new();
        let running = interrupt.enter().unwrap();
        assert_eq!(lock(&interrupt.state).running.len(), 1);
        drop(running);
        assert!(lock(&interrupt.state).running.is_empty());
        interrupt.trigger();
        assert!(matches!(interrupt.enter(), Err(ModelError::Interrupted)));
    }
}

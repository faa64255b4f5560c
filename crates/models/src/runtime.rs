//! ONNX Runtime, loaded from the assets at run time. All models of this crate run through [`Model`]: a session behind a
//! lock, with every run under an [`Interrupt`].

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

/// The library's path under the assets' folder.
const LIBRARY: &str = "lib/libonnxruntime.so";

/// The entry of a run's configuration that shrinks the arena of the processor's memory at the end of the run.
const RETURN_MEMORY: (&str, &str) = ("memory.enable_memory_arena_shrinkage", "cpu:0");

/// ONNX Runtime allows one environment per process, and closes it with its last handle: this handle keeps it open.
static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// Loads `lib/libonnxruntime.so` from `assets`. The first success is for the whole process: later calls do nothing and
/// ignore their argument. Loading a model calls it too.
///
/// # Errors
/// [`LoadError::Read`] when the library is absent, [`LoadError::Runtime`] when it can't be loaded.
pub fn init(assets: &Path) -> Result<(), LoadError> {
    let _starting = lock(&STARTING);
    if ENVIRONMENT.get().is_some() {
        return Ok(());
    }
    // Canonical, since ort resolves a relative path against the executable's folder first.
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

/// Acquires a lock, also a poisoned one: the data stays valid if a thread panics while it holds the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends inference from another thread, before it starts or while it runs.
///
/// Clones share one state, so that a timer can have one and the run another. An interrupt stays triggered: use a new one
/// for the next batch. A run ends at its next graph node, within milliseconds.
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
    /// Creates an interrupt that is not triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every run under this interrupt, and prevents new ones. Does not wait for the runs to end.
    pub fn trigger(&self) {
        let mut state = lock(&self.state);
        state.triggered = true;
        for run in &state.running {
            // This sets a flag in native memory. It fails only for a null pointer, which can't be in the list.
            let _ = run.terminate();
        }
    }

    /// Whether [`trigger`](Self::trigger) was called on any clone.
    pub fn is_triggered(&self) -> bool {
        lock(&self.state).triggered
    }

    /// Whether a run is under way.
    #[cfg(test)]
    pub(crate) fn is_running(&self) -> bool {
        !lock(&self.state).running.is_empty()
    }

    /// Fails once the interrupt is triggered. Call it during work outside ONNX Runtime.
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        if self.is_triggered() {
            Err(ModelError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Registers a run. The check and the registration share one lock, so that no trigger is missed between them.
    fn enter(&self, returns_memory: bool) -> Result<Running<'_>, ModelError> {
        let mut options = RunOptions::new().map_err(failed)?;
        if returns_memory {
            options.set(RETURN_MEMORY.0, RETURN_MEMORY.1).map_err(failed)?;
        }
        let options = Arc::new(options);
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

/// A run that an interrupt can end. Dropping it, also by a panic, removes it from the interrupt's list.
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
    /// A session and the mapped file from which it reads its weights in place. Weights are not copied, and those that no
    /// input needs stay on disk: loading MiniLM takes 20 ms and peaks at 54 MB, where reading the file takes 53 ms and 87 MB.
    struct MappedSession {
        owner: Mmap,
        #[not_covariant]
        dependent: InMemorySession,
    }
);

/// A loaded model. It runs one call at a time: a session's `Run` is exclusive, and two would not be faster on one CPU.
pub(crate) struct Model {
    session: Mutex<MappedSession>,
    returns_memory: bool,
}

impl Model {
    /// Loads the model file (ONNX or ORT format) for one thread, and checks the names of its inputs and outputs.
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
            returns_memory: false,
        })
    }

    /// Returns the memory of each run when it ends. ONNX Runtime would keep it for the next run: hundreds of megabytes
    /// after a large picture, for each model of the process.
    pub(crate) fn returning_memory(self) -> Self {
        Self {
            returns_memory: true,
            ..self
        }
    }

    /// Runs once and passes the outputs to `read`, which copies values or removes them. Removed values must not outlive the
    /// model.
    pub(crate) fn run<'v, T>(
        &self,
        inputs: Vec<(&'v str, SessionInputValue<'v>)>,
        interrupt: &Interrupt,
        read: impl FnOnce(&mut SessionOutputs<'_>) -> ort::Result<T>,
    ) -> Result<T, ModelError> {
        let mut session = lock(&self.session);
        let running = interrupt.enter(self.returns_memory)?;
        let result = session.with_dependent_mut(|_, session| {
            session
                .run_with_options(inputs, &running.options)
                .and_then(|mut outputs| read(&mut outputs))
        });
        // A terminated run reports a general failure. Only the interrupt knows that it was the cause.
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
    reason = "no crate can map a file safely: it can't prevent later changes to the file"
)]
fn map(path: &Path) -> std::io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the bytes must not change while mapped. Assets are written once, under a name that is not known before they
    // are complete, and never again. On Lambda their file system is read-only.
    unsafe { Mmap::map(&file) }
}

/// Optimizes for this processor. A model in ORT format was optimized when it was built, and loads unchanged.
fn builder(environment: &Environment) -> ort::Result<SessionBuilder> {
    Ok(Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_log_level(LogLevel::Error)?)
}

/// Detects a wrong model when it is loaded, rather than at the first task.
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
    fn clones_of_an_interrupt_share_its_state_without_the_library() {
        let interrupt = Interrupt::new();
        let timer = interrupt.clone();
        assert!(interrupt.check().is_ok());
        timer.trigger();
        assert!(interrupt.is_triggered());
        assert!(matches!(interrupt.check(), Err(ModelError::Interrupted)));
    }

    #[test]
    fn run_is_removed_from_the_list_when_it_ends() {
        init(&crate::testing::assets()).unwrap();
        let interrupt = Interrupt::new();
        let running = interrupt.enter(true).unwrap();
        assert_eq!(lock(&interrupt.state).running.len(), 1);
        drop(running);
        assert!(lock(&interrupt.state).running.is_empty());
        interrupt.trigger();
        assert!(matches!(interrupt.enter(false), Err(ModelError::Interrupted)));
    }
}

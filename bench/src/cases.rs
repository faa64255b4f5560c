//! What is measured: a function, and what it gets. Here are the cold starts with a small task.

use anyhow::Result;
use mesh_task::TaskType;
use serde_json::json;

use crate::Args;
use crate::host::Scenario;
use crate::tasks::{Work, file_task, json_task};

pub(crate) const TEXT: &str = "What a delightful little machine.";

/// A function and what it gets.
pub(crate) struct Case {
    pub(crate) name: String,
    /// The function's folder in the artifacts, which is its logical id.
    pub(crate) function: String,
    pub(crate) scenario: Scenario,
    /// Settings with another value than the parameters' defaults give them.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// A status code of the same class as that of the response to an HTTP request.
    pub(crate) status: Option<u64>,
}

impl Case {
    pub(crate) fn new(name: &str, function: &str, scenario: Scenario) -> Self {
        Self {
            name: name.to_owned(),
            function: function.to_owned(),
            scenario,
            settings: Vec::new(),
            status: None,
        }
    }

    pub(crate) fn with(mut self, setting: &'static str, value: &str) -> Self {
        self.settings.push((setting, value.to_owned()));
        self
    }

    /// Ends with the first call of `next`.
    fn start_only(name: &str, function: &str) -> Self {
        Self::new(name, function, Scenario::default())
    }

    fn first_task(name: &str, function: &str, work: Work) -> Self {
        Self::new(name, function, Scenario::batch(vec![work]))
    }
}

/// Each function's start and first task, which loads the models.
pub(crate) fn cold_starts(args: &Args) -> Result<Vec<Case>> {
    let face = file_task(TaskType::FaceDetection, &args.testdata("astronaut.png")?)?;
    let page = file_task(TaskType::Ocr, &args.testdata("page.png")?)?;
    let speech = file_task(TaskType::Transcribe, &args.testdata("beckett.wav")?)?;
    let text_task = |task_type| json_task(task_type, json!({ "text": TEXT }));
    Ok(vec![
        Case::start_only("api: to its first next", "ApiFunction"),
        Case::start_only("sweeper: to its first next", "JanitorFunction"),
        Case::start_only("reactor: to its first next", "ReactorFunction"),
        Case::start_only("event-stream: to its first next", "EventStreamFunction"),
        Case::start_only("language-worker: to its first next", "LanguageWorkerFunction"),
        Case::first_task(
            "text-worker: sentiment",
            "TextWorkerFunction",
            text_task(TaskType::Sentiment)?,
        ),
        Case::first_task(
            "text-worker: embed",
            "TextWorkerFunction",
            text_task(TaskType::Embed)?,
        ),
        Case::first_task("image-worker: face_detection", "ImageWorkerFunction", face),
        Case::first_task("image-worker: ocr", "ImageWorkerFunction", page),
        Case::first_task(
            "audio-worker: transcribe, base",
            "AudioWorkerFunction",
            speech.clone(),
        ),
        Case::first_task("audio-worker: transcribe, tiny.en", "AudioWorkerFunction", speech)
            .with("SPEECH_MODEL", "tiny.en"),
    ])
}

//! `GET /v1/models`: which models answer which tasks, and where each runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mesh_task::TaskType;
use mesh_telemetry::{SettingError, setting};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Api;

/// What the stack says of its models.
#[derive(Debug)]
pub struct ModelSettings {
    /// The variant of Whisper that transcribes.
    speech: String,
    /// `none`, or whose language model is asked.
    provider: String,
    language: String,
}

impl ModelSettings {
    pub fn from_settings() -> Result<Self, SettingError> {
        Ok(Self {
            speech: setting("SPEECH_MODEL")?,
            provider: setting("LANGUAGE_PROVIDER")?,
            language: setting("LANGUAGE_MODEL")?,
        })
    }
}

/// The models of this stack.
#[derive(Serialize, ToSchema)]
pub(crate) struct Models {
    models: Vec<Model>,
}

#[derive(Serialize, ToSchema)]
struct Model {
    name: String,
    /// The first digits of its file's SHA-256; a provider's model says its version with each result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<&'static str>,
    task_types: Vec<TaskType>,
    /// Of the weights; a provider's are its own affair.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    licence: Option<&'static str>,
    runs_in: &'static str,
    /// `onnxruntime`, or whoever runs the language model.
    engine: String,
}

/// A model that travels with a function.
struct Carried {
    name: &'static str,
    /// As in `models/manifest.toml`, like the licence.
    version: &'static str,
    task_types: &'static [TaskType],
    licence: &'static str,
    function: &'static str,
}

/// The API carries no models: what it says of them is held against the workers' own words by a test.
const CARRIED: [Carried; 6] = [
    Carried {
        name: "minilm-sentiment",
        version: "be82d7670691",
        task_types: &[TaskType::Sentiment],
        licence: "Apache-2.0",
        function: "text-worker",
    },
    Carried {
        name: "all-MiniLM-L6-v2",
        version: "5e8f1812ee71",
        task_types: &[TaskType::Classify, TaskType::Embed, TaskType::Summarize],
        licence: "Apache-2.0",
        function: "text-worker",
    },
    Carried {
        name: "centerface",
        version: "72db11b63476",
        task_types: &[TaskType::FaceDetection],
        licence: "MIT",
        function: "image-worker",
    },
    Carried {
        name: "pp-ocrv4",
        version: "26a967b98781",
        task_types: &[TaskType::Ocr],
        licence: "Apache-2.0",
        function: "image-worker",
    },
    Carried {
        name: "whisper-base",
        version: "ba4cd493579a",
        task_types: &[TaskType::Transcribe],
        licence: "MIT",
        function: "audio-worker",
    },
    Carried {
        name: "whisper-tiny.en",
        version: "82894ac29839",
        task_types: &[TaskType::Transcribe],
        licence: "MIT",
        function: "audio-worker",
    },
];

/// What a language model is asked, the last two with `"engine": "llm"`.
const ASKED: [TaskType; 4] = [
    TaskType::Translate,
    TaskType::DataExtraction,
    TaskType::Summarize,
    TaskType::Classify,
];

/// Answers with the models of this stack.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "operations",
    operation_id = "list_models",
    responses((status = 200, description = "The models.", body = Models)),
)]
pub(crate) async fn list(State(api): State<Arc<Api>>) -> Json<Models> {
    Json(Models {
        models: models(&api.models),
    })
}

fn models(settings: &ModelSettings) -> Vec<Model> {
    let transcribes = format!("whisper-{}", settings.speech);
    let runs = |model: &&Carried| model.function != "audio-worker" || model.name == transcribes;
    let mut models: Vec<_> = CARRIED.iter().filter(runs).map(Model::from).collect();
    if settings.provider != "none" {
        models.push(Model {
            name: settings.language.clone(),
            version: None,
            task_types: ASKED.to_vec(),
            licence: None,
            runs_in: "language-worker",
            engine: settings.provider.clone(),
        });
    }
    models
}

impl From<&Carried> for Model {
    fn from(model: &Carried) -> Self {
        Self {
            name: model.name.to_owned(),
            version: Some(model.version),
            task_types: model.task_types.to_vec(),
            licence: Some(model.licence),
            runs_in: model.function,
            engine: "onnxruntime".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mesh_models::{FaceDetector, OcrModel, SentimentModel, SpeechVariant, TextModel};
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Manifest {
        asset: Vec<Asset>,
    }

    #[derive(Deserialize)]
    struct Asset {
        sha256: String,
        licence: String,
        functions: Vec<String>,
    }

    fn settings(speech: &str, provider: &str) -> ModelSettings {
        ModelSettings {
            speech: speech.to_owned(),
            provider: provider.to_owned(),
            language: "some-model".to_owned(),
        }
    }

    #[test]
    fn what_is_said_of_a_model_is_what_its_worker_and_the_manifest_say() {
        let ids = [
            SentimentModel::ID,
            TextModel::ID,
            FaceDetector::ID,
            OcrModel::ID,
            SpeechVariant::Base.id(),
            SpeechVariant::TinyEn.id(),
        ];
        let said: Vec<_> = CARRIED.iter().map(|model| (model.name, model.version)).collect();
        assert_eq!(said, ids.map(|id| (id.name, id.version)));
        let manifest: Manifest = toml::from_str(include_str!("../../../models/manifest.toml")).unwrap();
        for model in &CARRIED {
            let mut assets = manifest.asset.iter();
            let asset = assets.find(|asset| asset.sha256.starts_with(model.version));
            let asset = asset.unwrap_or_else(|| panic!("{} is in the manifest", model.name));
            assert_eq!(model.licence, asset.licence, "{}", model.name);
            assert_eq!([model.function], asset.functions[..], "{}", model.name);
        }
    }

    #[test]
    fn every_task_type_has_a_model_and_speech_has_one() {
        for (speech, whisper) in [("base", "whisper-base"), ("tiny.en", "whisper-tiny.en")] {
            let models = models(&settings(speech, "bedrock"));
            let types: BTreeSet<_> = models
                .iter()
                .flat_map(|model| &model.task_types)
                .map(|task_type| task_type.as_str())
                .collect();
            assert_eq!(types.len(), TaskType::ALL.len());
            let speech: Vec<_> = models
                .iter()
                .filter(|model| model.task_types.contains(&TaskType::Transcribe))
                .map(|model| model.name.as_str())
                .collect();
            assert_eq!(speech, [whisper]);
            let language = models.last().unwrap();
            assert_eq!(
                (language.name.as_str(), language.engine.as_str()),
                ("some-model", "bedrock")
            );
        }
        let without = models(&settings("base", "none"));
        assert!(without.iter().all(|model| model.runs_in != "language-worker"));
    }
}

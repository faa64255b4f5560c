//! `GET /v1/models`: which models run which task types, and where.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mesh_api_types::{ModelList, ModelView};
use mesh_task::TaskType;

use crate::state::{ApiState, ModelSettings};

/// A model whose file is deployed with a function.
struct BundledModel {
    name: &'static str,
    /// From `models/manifest.toml`, like the licence.
    version: &'static str,
    task_types: &'static [TaskType],
    licence: &'static str,
    function: &'static str,
}

/// The API does not link the models. A test compares this list with the models' own ids and the manifest.
const BUNDLED_MODELS: [BundledModel; 6] = [
    BundledModel {
        name: "minilm-sentiment",
        version: "be82d7670691",
        task_types: &[TaskType::Sentiment],
        licence: "Apache-2.0",
        function: "text-worker",
    },
    BundledModel {
        name: "all-MiniLM-L6-v2",
        version: "5e8f1812ee71",
        task_types: &[TaskType::Classify, TaskType::Embed, TaskType::Summarize],
        licence: "Apache-2.0",
        function: "text-worker",
    },
    BundledModel {
        name: "centerface",
        version: "72db11b63476",
        task_types: &[TaskType::FaceDetection],
        licence: "MIT",
        function: "image-worker",
    },
    BundledModel {
        name: "pp-ocrv4",
        version: "26a967b98781",
        task_types: &[TaskType::Ocr],
        licence: "Apache-2.0",
        function: "image-worker",
    },
    BundledModel {
        name: "whisper-base",
        version: "ba4cd493579a",
        task_types: &[TaskType::Transcribe],
        licence: "MIT",
        function: "audio-worker",
    },
    BundledModel {
        name: "whisper-tiny.en",
        version: "82894ac29839",
        task_types: &[TaskType::Transcribe],
        licence: "MIT",
        function: "audio-worker",
    },
];

/// The types that a language model runs. The last two need `"engine": "llm"`.
const LLM_TASK_TYPES: [TaskType; 4] = [
    TaskType::Translate,
    TaskType::DataExtraction,
    TaskType::Summarize,
    TaskType::Classify,
];

/// Lists the models of this stack.
#[utoipa::path(
    get,
    path = "/models",
    tag = "operations",
    operation_id = "list_models",
    responses((status = 200, description = "The models.", body = ModelList)),
)]
pub(crate) async fn list(State(api): State<Arc<ApiState>>) -> Json<ModelList> {
    Json(ModelList {
        models: models(&api.models),
    })
}

fn models(settings: &ModelSettings) -> Vec<ModelView> {
    let transcribes = format!("whisper-{}", settings.speech);
    let runs = |model: &&BundledModel| model.function != "audio-worker" || model.name == transcribes;
    let mut models: Vec<_> = BUNDLED_MODELS.iter().filter(runs).map(ModelView::from).collect();
    if settings.provider != "none" {
        models.push(ModelView {
            name: settings.language.clone(),
            version: None,
            task_types: LLM_TASK_TYPES.to_vec(),
            licence: None,
            runs_in: "language-worker".to_owned(),
            engine: settings.provider.clone(),
        });
    }
    models
}

impl From<&BundledModel> for ModelView {
    fn from(model: &BundledModel) -> Self {
        Self {
            name: model.name.to_owned(),
            version: Some(model.version.to_owned()),
            task_types: model.task_types.to_vec(),
            licence: Some(model.licence.to_owned()),
            runs_in: model.function.to_owned(),
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
    fn bundled_models_agree_with_their_workers_and_the_manifest() {
        let ids = [
            SentimentModel::ID,
            TextModel::ID,
            FaceDetector::ID,
            OcrModel::ID,
            SpeechVariant::Base.id(),
            SpeechVariant::TinyEn.id(),
        ];
        let listed: Vec<_> = BUNDLED_MODELS
            .iter()
            .map(|model| (model.name, model.version))
            .collect();
        assert_eq!(listed, ids.map(|id| (id.name, id.version)));
        let manifest: Manifest = toml::from_str(include_str!("../../../models/manifest.toml")).unwrap();
        for model in &BUNDLED_MODELS {
            let mut assets = manifest.asset.iter();
            let asset = assets.find(|asset| asset.sha256.starts_with(model.version));
            let asset = asset.unwrap_or_else(|| panic!("{} is in the manifest", model.name));
            assert_eq!(model.licence, asset.licence, "{}", model.name);
            assert_eq!([model.function], asset.functions[..], "{}", model.name);
        }
    }

    #[test]
    fn every_task_type_has_a_model_and_speech_has_exactly_one() {
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

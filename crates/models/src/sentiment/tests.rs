use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::*;
use crate::encoder::TOKENIZER;
use crate::runtime::Model;
use crate::testing::assets;

static MODEL: LazyLock<SentimentModel> = LazyLock::new(|| SentimentModel::load(&assets()).unwrap());

/// The maximum difference of a logit between batches, which is due to the order of float additions.
const TOLERANCE: f32 = 1e-4;

const POSITIVE: [&str; 6] = [
    "I love this, it works wonderfully!",
    "A beautiful film, with great acting and a touching story.",
    "Best headphones I have ever owned.",
    "Thank you so much, you made my day :)",
    "The staff were friendly and the food was delicious.",
    "An excellent, moving performance that I will not forget.",
];

const NEGATIVE: [&str; 6] = [
    "This is terrible, I want my money back.",
    "Boring plot, awful acting: a complete waste of time.",
    "It broke after two days. Very disappointing.",
    "I hate waiting for hours just to be told no.",
    "The room was dirty and the service was rude.",
    "The worst phone I have ever bought.",
];

fn classify(texts: &[&str]) -> Vec<Sentiment> {
    MODEL.classify(texts, &Interrupt::new()).unwrap()
}

fn logits(texts: &[&str]) -> Vec<f32> {
    MODEL.logits(texts, &Interrupt::new()).unwrap()
}

#[test]
fn plain_opinions_are_classified_in_order() {
    let texts: Vec<_> = POSITIVE
        .into_iter()
        .zip(NEGATIVE)
        .flat_map(|(good, bad)| [good, bad])
        .collect();
    let labels: Vec<_> = classify(&texts)
        .into_iter()
        .map(|sentiment| sentiment.label)
        .collect();
    assert_eq!(
        labels,
        [SentimentLabel::Positive, SentimentLabel::Negative].repeat(POSITIVE.len())
    );
}

#[test]
fn batch_gives_the_same_results_as_its_texts_alone() {
    let long = POSITIVE.join(" ").repeat(6);
    let texts: Vec<&str> = POSITIVE
        .into_iter()
        .chain(NEGATIVE)
        .chain(["ok", "", &long, "no"])
        .collect();
    let alone: Vec<f32> = texts.iter().flat_map(|text| logits(&[text])).collect();
    for (index, together) in logits(&texts).into_iter().enumerate() {
        assert!(
            (together - alone[index]).abs() < TOLERANCE,
            "{}: {together}, {}",
            texts[index],
            alone[index]
        );
    }
}

#[test]
fn no_texts_give_no_sentiments() {
    assert_eq!(classify(&[]), []);
}

#[test]
fn any_text_is_accepted() {
    let long = "word ".repeat(100_000);
    let texts = ["", " ", "\0", "🙂", "[SEP]", "中文", "\u{202e}abc", &long];
    for sentiment in classify(&texts) {
        assert!((0.0..=1.0).contains(&sentiment.score), "{sentiment:?}");
    }
}

#[test]
fn letters_in_another_shape_mean_what_plain_ones_mean() {
    // Ligatures, a mathematical alphabet, full-width letters, and characters that no reader sees.
    let shaped = [
        "A terri\u{fb01}c \u{fb01}lm",
        "\u{1d5ea}\u{1d5fc}\u{1d5ff}\u{1d600}\u{1d601} \u{1d5fd}\u{1d602}\u{1d5ff}\u{1d5f0}\u{1d5f5}\u{1d5ee}\u{1d600}\u{1d5f2} \
         \u{1d5f2}\u{1d603}\u{1d5f2}\u{1d5ff}",
        "\u{ff37}\u{ff4f}\u{ff52}\u{ff53}\u{ff54} purchase ever",
        "Wo\u{ad}rst\u{200b} pur\u{2060}chase\u{feff} ever",
    ];
    let plain = [
        "A terrific film",
        "Worst purchase ever",
        "Worst purchase ever",
        "Worst purchase ever",
    ];
    let labels = classify(&shaped).into_iter().map(|sentiment| sentiment.label);
    assert!(labels.eq([
        SentimentLabel::Positive,
        SentimentLabel::Negative,
        SentimentLabel::Negative,
        SentimentLabel::Negative,
    ]));
    assert_eq!(logits(&shaped), logits(&plain));
}

#[test]
fn work_on_a_text_ends_soon_after_an_interrupt() {
    let text = "\u{200b}".repeat(300_000);
    let at = 200_000;
    let steps = Steps::with_check(|taken| {
        if taken < at {
            Ok(())
        } else {
            Err(ModelError::Interrupted)
        }
    });
    let tokens = MODEL.tokens(&["fine", &text, "fine"], &steps);
    assert!(matches!(tokens, Err(ModelError::Interrupted)));
    assert!(steps.taken() <= at + Steps::INTERVAL);
}

#[test]
fn the_score_is_the_confidence_in_the_label() {
    let positive = Sentiment::from_logit(2.0);
    assert_eq!(positive.label, SentimentLabel::Positive);
    assert!((positive.score - 0.8808).abs() < 1e-4);
    let negative = Sentiment::from_logit(-2.0);
    assert_eq!(negative.label, SentimentLabel::Negative);
    assert!((negative.score - 0.8808).abs() < 1e-4);
    assert_eq!(
        Sentiment::from_logit(0.0),
        Sentiment {
            label: SentimentLabel::Neutral,
            score: 1.0,
            positive: 0.5,
        }
    );
    assert_eq!(
        Sentiment::from_logit(NEUTRAL_BAND).label,
        SentimentLabel::Positive
    );
    assert_eq!(
        Sentiment::from_logit(-NEUTRAL_BAND).label,
        SentimentLabel::Negative
    );
    assert_eq!(Sentiment::from_logit(1e9).score, 1.0);
    assert_eq!(Sentiment::from_logit(-1e9).score, 1.0);
}

#[test]
fn sentiment_serializes_as_documented_for_the_api() {
    let json = serde_json::to_string(&Sentiment {
        label: SentimentLabel::Positive,
        score: 0.5,
        positive: 0.5,
    })
    .unwrap();
    assert_eq!(json, r#"{"label":"POSITIVE","score":0.5,"positive":0.5}"#);
}

#[test]
fn interrupt_ends_a_running_batch_and_the_model_stays_usable() {
    let long = "a long sentence that goes on and on, ".repeat(40);
    let texts = vec![long.as_str(); 400];
    let interrupt = Interrupt::new();
    std::thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            interrupt.trigger();
        });
        let error = MODEL.classify(&texts, &interrupt).unwrap_err();
        assert!(matches!(error, ModelError::Interrupted), "{error}");
        // Without the interrupt it takes about ten seconds.
        assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    });
    assert!(matches!(
        MODEL.classify(&["fine"], &interrupt),
        Err(ModelError::Interrupted)
    ));
    assert_eq!(classify(&["fine"]).len(), 1);
}

#[test]
fn missing_or_wrong_assets_are_an_error() {
    LazyLock::force(&MODEL);
    let error = SentimentModel::load(Path::new("/nowhere")).unwrap_err();
    assert!(matches!(error, LoadError::Read { .. }), "{error}");
    let error = Model::load(
        assets().join("models/centerface/model.onnx"),
        &["input_ids"],
        &["logit"],
    )
    .unwrap_err();
    assert!(error.to_string().contains("input"), "{error}");
    let error = Model::load(assets().join(TOKENIZER), &["input_ids"], &["logit"]).unwrap_err();
    assert!(matches!(error, LoadError::Model { .. }), "{error}");
}

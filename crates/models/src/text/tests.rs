use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::*;
use crate::steps::uninterrupted;
use crate::testing::assets;

static MODEL: LazyLock<TextModel> = LazyLock::new(|| TextModel::load(&assets()).unwrap());

/// The maximum difference of a value between batches, which is due to the order of float additions.
const TOLERANCE: f32 = 1e-4;

const ARTICLE: &str = "The city council voted on Tuesday to extend the tram line to the northern suburbs. The new tracks \
    will run for six kilometres and serve nine stops. My aunt makes the best apple pie in the village. Council members \
    said that the extension should take cars off the crowded ring road. Construction of the tram line will start next \
    spring and take about three years. Penguins can not fly, but they swim very well.";

fn run(requests: &[TextRequest<'_>]) -> Vec<TextAnswer> {
    MODEL.run(requests, &Interrupt::new()).unwrap()
}

fn embed(texts: &[&str]) -> Vec<Embedding> {
    match run(&[TextRequest::Embed {
        texts: texts.to_vec(),
    }])
    .remove(0)
    {
        TextAnswer::Embed(embeddings) => embeddings,
        other => panic!("{other:?}"),
    }
}

fn classify(text: &str, labels: &[&str], multi_label: bool) -> Vec<f32> {
    let labels = labels.to_vec();
    match run(&[TextRequest::Classify {
        text,
        labels,
        multi_label,
    }])
    .remove(0)
    {
        TextAnswer::Classify(scores) => scores,
        other => panic!("{other:?}"),
    }
}

fn summarize(text: &str, max_sentences: Option<usize>, ratio: Option<f32>) -> Vec<String> {
    match run(&[TextRequest::Summarize {
        text,
        max_sentences,
        ratio,
    }])
    .remove(0)
    {
        TextAnswer::Summarize(sentences) => sentences,
        other => panic!("{other:?}"),
    }
}

fn best<'a>(labels: &[&'a str], scores: &[f32]) -> &'a str {
    let best = (0..labels.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    labels[best.unwrap()]
}

#[test]
fn paraphrases_are_more_similar_than_other_texts() {
    let pairs = [
        (
            "A man is playing the guitar.",
            "Someone plays an acoustic instrument with strings.",
        ),
        (
            "How do I reset my password?",
            "I forgot my login and can't get into my account.",
        ),
        (
            "The stock market fell sharply today.",
            "Shares lost much of their value this afternoon.",
        ),
        (
            "Heavy rain flooded the valley.",
            "After the downpour the lowlands were under water.",
        ),
    ];
    let (ones, others): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let (ones, others) = (embed(&ones), embed(&others));
    for (i, one) in ones.iter().enumerate() {
        for (j, other) in others.iter().enumerate() {
            let same = cosine(one, &others[i]);
            assert!(i == j || same > cosine(one, other) + 0.15, "{i}, {j}");
        }
    }
}

#[test]
fn embeddings_have_length_one_for_texts_of_any_length() {
    let long = ARTICLE.repeat(10);
    for embedding in embed(&["short", "", &long]) {
        assert!((cosine(&embedding, &embedding) - 1.0).abs() < 1e-4);
    }
    // The windows of a repeated text are similar to the text.
    let [once, tenfold] = embed(&[ARTICLE, &long])[..] else {
        panic!()
    };
    assert!(cosine(&once, &tenfold) > 0.9, "{}", cosine(&once, &tenfold));
}

#[test]
fn batch_gives_the_same_answers_as_its_requests_alone() {
    let long = ARTICLE.repeat(3);
    let requests = [
        TextRequest::Embed {
            texts: vec!["ok", "", &long, "A sentence of middling length."],
        },
        TextRequest::Classify {
            text: ARTICLE,
            labels: DEFAULT_LABELS.to_vec(),
            multi_label: false,
        },
        TextRequest::Summarize {
            text: ARTICLE,
            max_sentences: Some(2),
            ratio: None,
        },
        TextRequest::Classify {
            text: "no",
            labels: vec!["a", "b", "a"],
            multi_label: true,
        },
        TextRequest::Embed { texts: vec![] },
    ];
    let together = run(&requests);
    for (request, together) in requests.iter().zip(&together) {
        // A new model has an empty cache.
        let alone = TextModel::load(&assets()).unwrap();
        let alone = alone
            .run(std::slice::from_ref(request), &Interrupt::new())
            .unwrap()
            .remove(0);
        match (together, &alone) {
            (TextAnswer::Embed(a), TextAnswer::Embed(b)) => {
                assert_eq!(a.len(), b.len());
                let (a, b) = (a.as_flattened(), b.as_flattened());
                assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < TOLERANCE));
            }
            (TextAnswer::Classify(a), TextAnswer::Classify(b)) => {
                assert_eq!(a.len(), b.len());
                assert!(
                    a.iter().zip(b).all(|(a, b)| (a - b).abs() < TOLERANCE),
                    "{a:?}, {b:?}"
                );
            }
            (together, alone) => assert_eq!(together, alone),
        }
    }
}

#[test]
fn plain_topics_are_classified() {
    for (text, topic) in [
        (
            "The goalkeeper saved two penalties in the final minutes of the match.",
            "sports",
        ),
        (
            "Parliament passed the bill after the prime minister won the vote.",
            "politics",
        ),
        (
            "Simmer the onions in butter, then add the stock and the cream.",
            "food",
        ),
        (
            "The new phone has a faster processor and a larger battery.",
            "technology",
        ),
        ("Doctors recommend the vaccine for patients over sixty.", "health"),
        ("We spent a week in Lisbon and flew on to the islands.", "travel"),
        (
            "Quarterly profits rose and the company raised its dividend.",
            "business",
        ),
        (
            "Police arrested a man after the robbery at the jeweller's.",
            "crime",
        ),
    ] {
        let scores = classify(text, &DEFAULT_LABELS, false);
        assert_eq!(best(&DEFAULT_LABELS, &scores), topic, "{text} {scores:?}");
    }
}

#[test]
fn each_label_that_fits_has_a_high_score() {
    let text = "Our striker won the match for us. Afterwards surgeons operated on her knee.";
    let labels = ["football", "surgery", "cooking", "finance"];
    let scores = classify(text, &labels, true);
    assert!(scores[0] > 0.5 && scores[1] > 0.5, "{scores:?}");
    assert!(scores[2] < 0.5 && scores[3] < 0.5, "{scores:?}");
}

#[test]
fn letters_in_another_shape_mean_what_plain_ones_mean() {
    let [shaped, plain] = embed(&["\u{ff21} terri\u{fb01}c \u{fb01}lm", "A terrific film"])[..] else {
        panic!()
    };
    assert_eq!(shaped, plain);
    let text = "The \u{fb01}lm won an award for its director.";
    assert_eq!(
        classify(text, &["\u{fb01}lms", "\u{1d5b3}\u{1d5b5} spo\u{ad}rts"], false),
        classify(
            "The film won an award for its director.",
            &["films", "TV sports"],
            false
        )
    );
}

#[test]
fn summary_quotes_sentences_as_they_were_sent() {
    let sentences = [
        "The \u{fb01}lm was \u{1d5f4}\u{1d5fc}\u{1d5fc}\u{1d5f1}.",
        "It cost \u{bd} a mil\u{ad}lion\u{2026}",
    ];
    assert_eq!(summarize(&sentences.join(" "), None, None), sentences);
    assert!(sentences.contains(&&*summarize(&sentences.join(" "), Some(1), None)[0]));
}

#[test]
fn labels_are_cached_up_to_a_limit() {
    let model = TextModel::load(&assets()).unwrap();
    let labels: Vec<String> = (0..MAX_CACHED_LABELS + 10)
        .map(|n| format!("label {n}"))
        .collect();
    let request = |labels: &[String]| {
        let labels = labels.iter().map(String::as_str).collect::<Vec<_>>();
        let request = TextRequest::Classify {
            text: "a text",
            labels: labels.clone(),
            multi_label: true,
        };
        model.run(&[request], &Interrupt::new()).unwrap()
    };
    let first = request(&labels[..20]);
    assert_eq!(lock(&model.labels).len(), 20);
    assert_eq!(request(&labels[..20]), first);
    assert_eq!(lock(&model.labels).len(), 20);
    request(&labels);
    assert!((1..=MAX_CACHED_LABELS).contains(&lock(&model.labels).len()));
}

#[test]
fn summary_is_on_topic_and_in_order() {
    let all = sentences(ARTICLE, &uninterrupted()).unwrap();
    for count in 1..=4 {
        let summary = summarize(ARTICLE, Some(count), None);
        assert_eq!(summary.len(), count);
        let mut rest = all.iter();
        assert!(
            summary.iter().all(|sentence| rest.any(|other| other == sentence)),
            "{summary:?}"
        );
        assert!(
            !summary
                .iter()
                .any(|s| s.contains("pie") || s.contains("Penguins")),
            "{summary:?}"
        );
    }
    assert_eq!(summarize(ARTICLE, None, Some(0.3)).len(), 2);
    assert_eq!(summarize(ARTICLE, None, None).len(), DEFAULT_SENTENCES);
    assert_eq!(summarize(ARTICLE, Some(100), None), all);
    let repeated = format!("{ARTICLE} {ARTICLE}");
    assert_eq!(summarize(&repeated, Some(all.len()), None), all);
    assert_eq!(summarize("Only this.", None, None), ["Only this."]);
    assert_eq!(summarize("", None, None), [""; 0]);
}

#[test]
fn any_text_is_accepted() {
    let (one, words) = ("x".repeat(1_000_000), "word ".repeat(200_000));
    for text in [
        "",
        " ",
        "\0",
        "🙂🙃",
        "[SEP]",
        "中文。",
        "\u{202e}abc",
        "...",
        &one,
        &words,
    ] {
        assert!(embed(&[text])[0].iter().all(|value| value.is_finite()));
        for multi_label in [false, true] {
            let scores = classify(
                text,
                &["", "🙂", "sports", text.get(..100).unwrap_or(text)],
                multi_label,
            );
            assert!(
                scores.iter().all(|score| (0.0..=1.0).contains(score)),
                "{scores:?}"
            );
        }
        assert!(summarize(text, Some(2), Some(1.0)).len() <= 2);
    }
    assert_eq!(embed(&["a text"; 64]).len(), 64);
    assert_eq!(classify("a text", &[], false), [0.0; 0]);
    assert_eq!(run(&[]), []);
}

#[test]
fn summary_of_a_book_ranks_a_limited_number_of_sentences() {
    let book: String = (0..20_000)
        .map(|n| format!("Sentence number {n} says so.\n"))
        .collect();
    let requests = [TextRequest::Summarize {
        text: &book,
        max_sentences: None,
        ratio: Some(0.5),
    }];
    let mut texts = Texts::default();
    let plan = MODEL.plan(&requests[0], &mut texts, &uninterrupted()).unwrap();
    let Plan::Summarize { sentences, .. } = plan else {
        panic!()
    };
    assert_eq!(sentences.len(), MAX_SENTENCES);
    assert_eq!(sentences[0], "Sentence number 0 says so.");
    assert_eq!(sentences[MAX_SENTENCES - 1], "Sentence number 19999 says so.");
}

#[test]
fn interrupt_ends_a_run_and_the_model_stays_usable() {
    let texts: Vec<String> = (0..400)
        .map(|n| format!("{n} {}", "on and on, ".repeat(60)))
        .collect();
    let requests = [TextRequest::Embed {
        texts: texts.iter().map(String::as_str).collect(),
    }];
    LazyLock::force(&MODEL);
    let interrupt = Interrupt::new();
    std::thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            interrupt.trigger();
        });
        let error = MODEL.run(&requests, &interrupt).unwrap_err();
        assert!(matches!(error, ModelError::Interrupted), "{error}");
        // Without the interrupt it takes about ten seconds.
        assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    });
    assert!(matches!(MODEL.run(&[], &interrupt), Err(ModelError::Interrupted)));
    assert_eq!(embed(&["fine"]).len(), 1);
}

//! Zero-shot classification: a label fits a text as far as the label, and a sentence that says so, lie near to it.

/// What a text is held against when the client names no labels: topics as the sections of a newspaper have them, each
/// one word that the embedder knows well.
pub const DEFAULT_LABELS: [&str; 12] = [
    "business",
    "crime",
    "education",
    "entertainment",
    "environment",
    "food",
    "health",
    "politics",
    "science",
    "sports",
    "technology",
    "travel",
];

/// How much a difference of cosines counts. Cosines of a text and the labels beside it lie within about 0.3.
const SHARPNESS: f32 = 20.0;

/// The logistic that makes a probability of a cosine: this steep, and a half at this cosine. Fitted by
/// `models/evaluate/tune_text.py`, labels that fit and those that don't weighing the same in all.
const SLOPE: f32 = 17.7;
const MIDDLE: f32 = 0.208;

/// What stands for a label: the mean of these two. On the 200 texts of `models/evaluate/tune_text.py` it is right for
/// 89.0 %, the sentence alone for 87.0 %, the bare label for 84.5 %, others and longer mixtures for no more.
pub(super) fn hypotheses(label: &str) -> [String; 2] {
    let label = label.trim();
    [label.to_owned(), format!("This text is about {label}.")]
}

/// The scores that belong to the cosines of a text and its labels.
pub(super) fn scores(mut cosines: Vec<f32>, multi_label: bool) -> Vec<f32> {
    if multi_label {
        for value in &mut cosines {
            *value = 1.0 / (1.0 + (-SLOPE * (*value - MIDDLE)).exp());
        }
        return cosines;
    }
    let highest = cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for value in &mut cosines {
        *value = (SHARPNESS * (*value - highest)).exp();
    }
    let sum: f32 = cosines.iter().sum();
    for value in &mut cosines {
        *value /= sum;
    }
    cosines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_label_scores_are_shares_of_one() {
        let found = scores(vec![0.3, 0.2, 0.2], false);
        assert!((found.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        // e^2 to 1.
        assert!((found[0] / found[1] - 7.389).abs() < 1e-2, "{found:?}");
        assert_eq!(found[1], found[2]);
    }

    #[test]
    fn several_labels_are_scored_each_for_itself() {
        let alone = scores(vec![0.3], true);
        assert_eq!(scores(vec![0.3, 0.9], true)[0], alone[0]);
        assert_eq!(scores(vec![MIDDLE], true), [0.5]);
    }

    #[test]
    fn no_labels_have_no_scores() {
        assert_eq!(scores(vec![], false), [0.0; 0]);
        assert_eq!(scores(vec![], true), [0.0; 0]);
    }
}

//! Extractive summaries: sentences near to the middle of the whole text, and not near to each other.
//!
//! The middle is the weighted mean of the sentences' embeddings (centroid); the choice is by maximal marginal relevance
//! (Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
//! Summaries", SIGIR 1998).

use super::{Embedding, cosine, mean};
use crate::{Interrupt, ModelError};

/// Sentences in a summary when the client does not say how many.
pub const DEFAULT_SENTENCES: usize = 3;

/// How much nearness to the middle counts; the rest is for difference from what was chosen. Sentences foreign to the
/// text differ most: of those planted in the tuning part of `models/evaluate/summaries.py` summaries of three sentences
/// keep out 98 % at 0.5 and all at 0.7.
const RELEVANCE: f32 = 0.7;
/// How often the middle is found again with each sentence weighing as much as it lies near to it: so what is foreign
/// pulls little. Without, three sentences keep out 93 % at 0.5 and 97 % at 0.7.
const REFINEMENTS: usize = 2;

/// How many of so many sentences a summary has at the most.
pub(super) fn count(sentences: usize, most: Option<usize>, ratio: Option<f32>) -> usize {
    let share = ratio.map(|ratio| (sentences as f32 * ratio).ceil() as usize);
    let count = match (most, share) {
        (Some(most), Some(share)) => most.min(share),
        (Some(count), None) | (None, Some(count)) => count,
        (None, None) => DEFAULT_SENTENCES,
    };
    count.max(1)
}

/// The places of the chosen sentences, in their order.
pub(super) fn choose(
    sentences: &[&Embedding],
    count: usize,
    interrupt: &Interrupt,
) -> Result<Vec<usize>, ModelError> {
    let mut relevance = vec![1.0; sentences.len()];
    for _ in 0..=REFINEMENTS {
        let weights = relevance.iter().map(|near: &f32| near.max(0.0));
        let middle = mean(sentences.iter().copied().zip(weights));
        relevance = sentences.iter().map(|of| cosine(of, &middle)).collect();
    }
    // How near each sentence lies to the nearest chosen one.
    let mut repeated = vec![0.0_f32; sentences.len()];
    let mut left: Vec<usize> = (0..sentences.len()).collect();
    let mut chosen = Vec::with_capacity(count.min(sentences.len()));
    while chosen.len() < count {
        interrupt.check()?;
        let value = |index: usize| RELEVANCE * relevance[index] - (1.0 - RELEVANCE) * repeated[index];
        // The earlier one of two that are equal, since a text mostly says first what it says best.
        let Some(best) = (0..left.len())
            .rev()
            .max_by(|&a, &b| value(left[a]).total_cmp(&value(left[b])))
        else {
            break;
        };
        let best = left.remove(best);
        chosen.push(best);
        for &index in &left {
            repeated[index] = repeated[index].max(cosine(sentences[index], sentences[best]));
        }
    }
    chosen.sort_unstable();
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::EMBEDDING_WIDTH;

    /// A vector of length 1, so many degrees from the first axis towards another.
    fn at((axis, degrees): (usize, f32)) -> Embedding {
        let mut embedding = [0.0; EMBEDDING_WIDTH];
        (embedding[axis], embedding[0]) = degrees.to_radians().sin_cos();
        embedding
    }

    fn chosen(places: &[(usize, f32)], count: usize) -> Vec<usize> {
        let all: Vec<Embedding> = places.iter().copied().map(at).collect();
        let all: Vec<&Embedding> = all.iter().collect();
        choose(&all, count, &Interrupt::new()).unwrap()
    }

    #[test]
    fn the_middle_comes_first() {
        let row = [-40.0, -20.0, 0.0, 20.0, 40.0].map(|degrees| (1, degrees));
        assert_eq!(chosen(&row, 1), [2]);
    }

    #[test]
    fn what_was_as_good_as_said_comes_last() {
        // The second is nearly the first, and nearer to the middle than the other two.
        let places = [(1, 40.0), (1, 42.0), (2, 45.0), (3, 45.0)];
        assert_eq!(chosen(&places, 3), [0, 2, 3]);
    }

    #[test]
    fn no_more_are_chosen_than_there_are() {
        assert_eq!(chosen(&[(1, 0.0), (1, 10.0)], 5), [0, 1]);
        assert_eq!(chosen(&[], 5), [0; 0]);
    }

    #[test]
    fn the_lesser_of_number_and_share_counts_and_one_is_the_least() {
        assert_eq!(count(10, None, None), DEFAULT_SENTENCES);
        assert_eq!(count(10, Some(5), None), 5);
        assert_eq!(count(10, None, Some(0.25)), 3);
        assert_eq!(count(10, Some(2), Some(0.9)), 2);
        assert_eq!(count(10, Some(9), Some(0.1)), 1);
        assert_eq!(count(10, Some(0), None), 1);
        assert_eq!(count(10, None, Some(f32::NAN)), 1);
        assert_eq!(count(0, None, Some(-1.0)), 1);
    }
}

//! The sequence number of a stream record.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The highest number of digits (DynamoDB API reference, `StreamRecord`). No integer type has as many.
const MAX_DIGITS: usize = 40;

/// A number of up to 40 digits. It rises within a stream shard and on into the shards that follow it. Numbers of parallel shards
/// cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sequence(String);

/// A text that is not a sequence number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a sequence number: expected 1 to {MAX_DIGITS} digits")]
pub struct InvalidSequence;

impl TryFrom<String> for Sequence {
    type Error = InvalidSequence;

    fn try_from(text: String) -> Result<Self, InvalidSequence> {
        if text.is_empty() || text.len() > MAX_DIGITS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidSequence);
        }
        // Without leading zeros, the longer of two numbers is the greater one.
        Ok(Self(text.trim_start_matches('0').to_owned()))
    }
}

impl From<Sequence> for String {
    fn from(sequence: Sequence) -> Self {
        sequence.to_string()
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "0" } else { &self.0 })
    }
}

impl Ord for Sequence {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.0, &other.0);
        one.len().cmp(&two.len()).then_with(|| one.cmp(two))
    }
}

impl PartialOrd for Sequence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(text: &str) -> Sequence {
        text.to_owned().try_into().unwrap()
    }

    #[test]
    fn numbers_of_different_width_are_compared_by_value() {
        let rising = [
            "0",
            "9",
            "10",
            "99",
            "00000000000000000000000000000000000000100",
            "9999999999999999999999999999999999999999",
        ];
        let rising = rising.map(|text| sequence(&text[text.len().saturating_sub(40)..]));
        assert!(rising.is_sorted_by(|one, two| one < two), "{rising:?}");
        assert_eq!(sequence("007"), sequence("7"));
        assert_eq!(sequence("000").to_string(), "0");
    }

    #[test]
    fn a_text_that_is_not_a_number_is_refused() {
        for text in ["", "-1", "1.5", "12a", "１", &"1".repeat(41)] {
            assert_eq!(
                Sequence::try_from(text.to_owned()),
                Err(InvalidSequence),
                "{text}"
            );
        }
    }
}

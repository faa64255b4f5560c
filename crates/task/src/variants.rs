//! An enum's variants: their list, and their names as they are read.

use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer};
use strum::VariantArray;

/// Reads a variant by its name. serde by itself would accept `{"name": null}` too.
///
/// # Errors
/// When it is not a string, or not the name of a variant.
pub fn by_name<'de, D: Deserializer<'de>, T: Deserialize<'de>>(given: D) -> Result<T, D::Error> {
    T::deserialize(String::deserialize(given)?.into_deserializer())
}

/// An enum's variants as an array, in the order of their declaration.
///
/// strum derives a slice. An array lets callers declare and fill arrays of the same length, which a slice does not.
pub(crate) const fn array<T: VariantArray + Copy, const N: usize>() -> [T; N] {
    match T::VARIANTS.first_chunk() {
        Some(variants) => *variants,
        None => panic!("an enum has as many variants as strum counts"),
    }
}

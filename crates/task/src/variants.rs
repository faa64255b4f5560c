//! Lists of an enum's variants.

use strum::VariantArray;

/// An enum's variants as an array, in the order of their declaration.
///
/// strum derives a slice. An array lets callers declare and fill arrays of the same length, which a slice does not.
pub(crate) const fn array<T: VariantArray + Copy, const N: usize>() -> [T; N] {
    match T::VARIANTS.first_chunk() {
        Some(variants) => *variants,
        None => panic!("an enum has as many variants as strum counts"),
    }
}

//! Unicode's properties of characters, as sorted ranges.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// The default ignorable characters: of no width and no meaning of their own, such as joiners, soft hyphens, direction marks
/// and variation selectors.
static IGNORABLE: LazyLock<Vec<(char, char)>> = LazyLock::new(|| ranges("Default_Ignorable_Code_Point"));

/// The characters with this property, as ranges in ascending order.
pub(crate) fn ranges(property: &str) -> Vec<(char, char)> {
    let parsed = regex_syntax::parse(&format!(r"\p{{{property}}}"));
    match parsed.map(|pattern| pattern.into_kind()) {
        Ok(HirKind::Class(Class::Unicode(class))) => {
            class.iter().map(|range| (range.start(), range.end())).collect()
        }
        other => unreachable!("{property} is a property that each test of this crate looks up: {other:?}"),
    }
}

/// How a range lies relative to a character, for a binary search.
pub(crate) fn compare((start, end): (char, char), c: char) -> Ordering {
    if end < c {
        Ordering::Less
    } else if start > c {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

/// Whether readers do not see the character, and models should not.
pub(crate) fn is_ignorable(c: char) -> bool {
    !c.is_ascii() && IGNORABLE.binary_search_by(|&range| compare(range, c)).is_ok()
}

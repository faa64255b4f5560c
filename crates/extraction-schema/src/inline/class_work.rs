//! How much work the character classes of a pattern are.
//!
//! A class is a list of ranges when a pattern is compiled. To ignore case, each code point of each range is looked up, so a
//! class of a few bytes can cost a million steps, and no limit of length or of compiled size ends them.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{self, Ast, ClassSetBinaryOp, ClassSetItem, Flag, FlagsItemKind};

use crate::PROPERTY_WORK;

/// The code points of Unicode.
const ALL: usize = 0x11_0000;

/// The steps that compiling the pattern's classes takes, at most; none for a pattern that can't be parsed, as that ends its
/// compilation.
pub(super) fn class_work(pattern: &str) -> usize {
    let Ok(translated) = jsonschema_regex::to_rust_regex(pattern) else {
        return 0;
    };
    let Ok(ast) = Parser::new().parse(&translated) else {
        return 0;
    };
    let Ok(work) = ast::visit(&ast, Tally::default());
    work
}

#[derive(Default)]
struct Tally {
    /// Whether the pattern has the flag `i`. It counts for the whole pattern, wherever it is.
    ignores_case: bool,
    /// How many classes within a class the current item is in. Each looks its code points up again.
    depth: usize,
    matching_case: usize,
    ignoring_case: usize,
}

impl Tally {
    fn add(&mut self, matching_case: usize, ignoring_case: usize) {
        let levels = self.depth + 1;
        self.matching_case = self.matching_case.saturating_add(matching_case * levels);
        self.ignoring_case = self.ignoring_case.saturating_add(ignoring_case * levels);
    }

    fn add_property(&mut self) {
        self.add(PROPERTY_WORK, ALL);
    }

    fn add_flags(&mut self, flags: &ast::Flags) {
        let ignore_case = FlagsItemKind::Flag(Flag::CaseInsensitive);
        self.ignores_case |= flags.items.iter().any(|item| item.kind == ignore_case);
    }
}

impl ast::Visitor for Tally {
    type Output = usize;
    type Err = std::convert::Infallible;

    fn finish(self) -> Result<usize, Self::Err> {
        Ok(if self.ignores_case {
            self.ignoring_case
        } else {
            self.matching_case
        })
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        match ast {
            Ast::Flags(set) => self.add_flags(&set.flags),
            Ast::Group(group) => {
                if let Some(flags) = group.flags() {
                    self.add_flags(flags);
                }
            }
            Ast::ClassUnicode(_) | Ast::ClassPerl(_) => self.add_property(),
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Self::Err> {
        match item {
            ClassSetItem::Empty(_) | ClassSetItem::Union(_) => {}
            ClassSetItem::Literal(_) => self.add(1, 1),
            ClassSetItem::Range(range) => {
                let code_points = (range.end.c as usize).saturating_sub(range.start.c as usize) + 1;
                self.add(1, code_points);
            }
            ClassSetItem::Ascii(class) if class.negated => self.add(1, ALL),
            ClassSetItem::Ascii(_) => self.add(1, 128),
            ClassSetItem::Unicode(_) | ClassSetItem::Perl(_) => self.add_property(),
            ClassSetItem::Bracketed(class) => {
                if class.negated {
                    self.add(1, ALL);
                }
                self.depth += 1;
            }
        }
        Ok(())
    }

    fn visit_class_set_item_post(&mut self, item: &ClassSetItem) -> Result<(), Self::Err> {
        if matches!(item, ClassSetItem::Bracketed(_)) {
            self.depth -= 1;
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ClassSetBinaryOp) -> Result<(), Self::Err> {
        self.depth += 1;
        Ok(())
    }

    fn visit_class_set_binary_op_post(&mut self, _: &ClassSetBinaryOp) -> Result<(), Self::Err> {
        self.depth -= 1;
        Ok(())
    }
}

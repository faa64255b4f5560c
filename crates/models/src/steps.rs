//! Counts the work on a text, so that it can be interrupted and so that a test can bound it.

use std::cell::Cell;
use std::fmt;

use crate::{Interrupt, ModelError};

/// The steps of work on texts. A step reads or writes one character, or one byte of a text that a library reads.
///
/// Loops over a text take their steps here before they do them. So the work stops soon after an interrupt, and a test can
/// compare the number of steps with the length of the text, which a clock can't.
pub struct Steps<'a> {
    check: Box<dyn Fn(usize) -> Result<(), ModelError> + 'a>,
    taken: Cell<usize>,
    next_check: Cell<usize>,
}

impl<'a> Steps<'a> {
    /// The number of steps from one look at the interrupt to the next, unless a call takes more at once. It is about 0.2 ms.
    pub const INTERVAL: usize = 4096;

    /// No steps so far, under this interrupt.
    pub fn new(interrupt: &'a Interrupt) -> Self {
        Self::with_check(|_| interrupt.check())
    }

    /// Steps that end when `check` fails, which gets the number of steps so far.
    pub(crate) fn with_check(check: impl Fn(usize) -> Result<(), ModelError> + 'a) -> Self {
        Self {
            check: Box::new(check),
            taken: Cell::new(0),
            next_check: Cell::new(0),
        }
    }

    /// Takes steps.
    ///
    /// # Errors
    /// [`ModelError::Interrupted`] once the interrupt is triggered, up to [`Steps::INTERVAL`] steps later.
    pub fn take(&self, steps: usize) -> Result<(), ModelError> {
        let taken = self.taken.get() + steps;
        self.taken.set(taken);
        if taken < self.next_check.get() {
            return Ok(());
        }
        self.next_check.set(taken + Self::INTERVAL);
        (self.check)(taken)
    }

    /// The number of steps so far.
    pub fn taken(&self) -> usize {
        self.taken.get()
    }
}

impl fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps")
            .field("taken", &self.taken())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) fn uninterrupted() -> Steps<'static> {
    Steps::with_check(|_| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupt_is_noticed_at_the_first_step_and_then_within_an_interval() {
        let interrupt = Interrupt::new();
        let steps = Steps::new(&interrupt);
        steps.take(1).unwrap();
        interrupt.trigger();
        let more = (1..).find(|_| steps.take(1).is_err());
        assert_eq!(more, Some(Steps::INTERVAL));
        assert!(Steps::new(&interrupt).take(1).is_err());
    }
}

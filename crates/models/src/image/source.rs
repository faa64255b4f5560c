//! The bytes of a file as the decoders read them, until an interrupt.

use std::cell::Cell;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

/// After this many reads the interrupt is checked. Decoders read single bytes, and a check takes longer than a read.
const READS_PER_CHECK: u32 = 64;

/// A file that can't be read any more once the interrupt is triggered. All work of a decoder follows from what it reads, but
/// for the last steps of a picture that is read.
pub(super) struct Source<'a> {
    file: Cursor<&'a [u8]>,
    is_interrupted: &'a dyn Fn() -> bool,
    reads: Cell<u32>,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a [u8], is_interrupted: &'a dyn Fn() -> bool) -> Self {
        Self {
            file: Cursor::new(file),
            is_interrupted,
            reads: Cell::new(0),
        }
    }

    /// The whole file.
    pub(super) fn file(&self) -> &'a [u8] {
        self.file.get_ref()
    }

    fn check(&self) -> io::Result<()> {
        let reads = self.reads.get();
        self.reads.set(reads.wrapping_add(1));
        if reads.is_multiple_of(READS_PER_CHECK) && (self.is_interrupted)() {
            // The next read fails too.
            self.reads.set(reads);
            return Err(io::Error::other("interrupted"));
        }
        Ok(())
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.file.read(buffer)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        self.file.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.file.consume(amount);
    }
}

impl Seek for Source<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

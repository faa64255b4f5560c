//! The bytes of a file as the decoders read them, until an interrupt.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU32, Ordering};

use symphonia::core::io::MediaSource;

/// After this many reads the interrupt is checked. Decoders read single bytes, and a check takes longer than a read.
const READS_PER_CHECK: u32 = 64;
/// A read of at least this many bytes is checked by itself: what reads in blocks may work on each for long.
const BLOCK_BYTES: usize = 1024;

/// Whether the work is to end. A sound decoder wants a source that threads can share.
pub(crate) type IsInterrupted<'a> = &'a (dyn Fn() -> bool + Sync);

/// A file that can't be read any more once the interrupt is triggered. All work of a decoder follows from what it reads, but
/// for the last steps of a picture that is read.
pub(crate) struct Source<'a> {
    file: Cursor<&'a [u8]>,
    is_interrupted: IsInterrupted<'a>,
    reads: AtomicU32,
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &'a [u8], is_interrupted: IsInterrupted<'a>) -> Self {
        Self {
            file: Cursor::new(file),
            is_interrupted,
            reads: AtomicU32::new(0),
        }
    }

    /// The whole file.
    pub(crate) fn file(&self) -> &'a [u8] {
        self.file.get_ref()
    }

    /// A source of a part of the file, under the same interrupt.
    pub(crate) fn part(&self, part: &'a [u8]) -> Self {
        Self::new(part, self.is_interrupted)
    }

    fn check(&self, bytes: usize) -> io::Result<()> {
        let reads = self.reads.load(Ordering::Relaxed);
        let is_due = bytes >= BLOCK_BYTES || reads.is_multiple_of(READS_PER_CHECK);
        if is_due && (self.is_interrupted)() {
            // The next read fails too.
            self.reads.store(0, Ordering::Relaxed);
            return Err(io::Error::other("interrupted"));
        }
        self.reads.store(reads.wrapping_add(1), Ordering::Relaxed);
        Ok(())
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check(buffer.len())?;
        self.file.read(buffer)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check(1)?;
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

impl MediaSource for Source<'_> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.file().len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often reading a file of 1 MiB in parts of this size checks whether it is interrupted.
    fn checks(bytes: usize) -> u32 {
        let checks = AtomicU32::new(0);
        let is_interrupted = || {
            checks.fetch_add(1, Ordering::Relaxed);
            false
        };
        let file = vec![0; 1 << 20];
        let mut source = Source::new(&file, &is_interrupted);
        let mut buffer = vec![0; bytes];
        while source.read(&mut buffer).unwrap() > 0 {}
        checks.into_inner()
    }

    #[test]
    fn each_large_read_is_checked_and_one_of_many_small_ones() {
        // The last read finds the end of the file.
        assert_eq!(checks(BLOCK_BYTES), 1024 + 1);
        assert_eq!(checks(8 * BLOCK_BYTES), 128 + 1);
        assert_eq!(checks(BLOCK_BYTES / 2), 2048 / READS_PER_CHECK + 1);
        assert_eq!(checks(1), (1 << 20) / READS_PER_CHECK + 1);
    }

    #[test]
    fn after_an_interrupt_no_more_is_read() {
        let interrupted = std::sync::atomic::AtomicBool::new(false);
        let is_interrupted = || interrupted.load(Ordering::Relaxed);
        let mut source = Source::new(&[7; 4096], &is_interrupted);
        let mut block = [0; BLOCK_BYTES];
        source.read_exact(&mut block).unwrap();
        source.read_exact(&mut [0]).unwrap();

        interrupted.store(true, Ordering::Relaxed);
        assert!(source.read(&mut block).is_err());
        // From now on small reads fail too, even the first one.
        assert!(source.read(&mut [0]).is_err());
        assert!(source.fill_buf().is_err());
        assert_eq!(source.stream_position().unwrap(), 1025);
    }
}

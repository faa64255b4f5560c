//! Limits the codebooks of a Vorbis stream's setup header (Vorbis I specification, section 3.2.1).

use std::io;

use symphonia::core::io::{BitReaderRtl, ReadBitsRtl};

use super::ogg::invalid;
use crate::speech::error::AudioError;

/// The maximum number of values of all codebooks of a stream: an entry has as many as the codebook has dimensions. The decoder
/// takes 4 bytes for each.
pub(super) const MAX_VALUES: u64 = 2_000_000;
/// The maximum number of entries of all codebooks of a stream. libvorbis writes up to 20,000. The decoder's
/// table may take 1 kB for each.
pub(super) const MAX_CODEBOOK_ENTRIES: u64 = 100_000;
/// What each codebook begins with.
const PATTERN: u32 = 0x56_43_42;
/// The decoder refuses a codebook with more before it allocates.
const MAX_DIMENSIONS: u32 = 32;
const MAX_ENTRIES: u32 = 128 * 1024;

/// Finds the codebooks of a stream by the pattern that each starts with, at any bit: to know where they are, one would have to
/// decode what is before.
#[derive(Default)]
pub(super) struct Codebooks {
    /// The last 64 bits, the last of them highest: the pattern, the dimensions and the entries of a codebook. The decoder gets
    /// all setup headers of a stream in one piece, so they stay from one to the next.
    last: u64,
    entries: u64,
    values: u64,
}

impl Codebooks {
    pub(super) fn add(&mut self, setup: &[u8]) -> Result<(), AudioError> {
        // The decoder reads the headers' names too.
        for &byte in b"\x05vorbis".iter().chain(setup) {
            for bit in 0..8 {
                self.last = self.last >> 1 | u64::from(byte >> bit & 1) << 63;
                if self.last & 0xff_ffff == u64::from(PATTERN) {
                    let (dimensions, entries) = (self.last >> 24 & 0xffff, self.last >> 40);
                    if dimensions <= MAX_DIMENSIONS.into() && entries <= MAX_ENTRIES.into() {
                        self.entries += entries;
                        self.values += dimensions * entries;
                    }
                }
            }
        }
        if self.entries > MAX_CODEBOOK_ENTRIES || self.values > MAX_VALUES {
            return Err(invalid(format!(
                "its codebooks have {} entries and {} values, over {MAX_CODEBOOK_ENTRIES} or {MAX_VALUES}",
                self.entries, self.values
            )));
        }
        Ok(())
    }
}

/// Refuses a setup header with a codebook that the decoder refuses too, or for which it has no number of values: the reader,
/// which comes before the decoder, panics at some of them.
pub(super) fn check(setup: &[u8]) -> Result<(), AudioError> {
    let mut bits = BitReaderRtl::new(setup);
    let mut count = bits.read_bits_leq32(8).map_or(0, |count| count + 1);
    while count > 0 {
        match codebook_has_usable_size(&mut bits) {
            Ok(true) => count -= 1,
            Ok(false) => return Err(invalid("the size of a codebook is out of range")),
            // The reader ends here too.
            Err(_) => break,
        }
    }
    Ok(())
}

/// Reads a codebook.
fn codebook_has_usable_size(bits: &mut BitReaderRtl<'_>) -> io::Result<bool> {
    if bits.read_bits_leq32(24)? != PATTERN {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let dimensions = bits.read_bits_leq32(16)?;
    let entries = bits.read_bits_leq32(24)?;
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) || entries > MAX_ENTRIES {
        return Ok(false);
    }
    skip_code_lengths(bits, entries)?;
    let values = match bits.read_bits_leq32(4)? {
        0 => return Ok(true),
        // The reader raises a number above 1 to the power of the dimensions, in 32 bits.
        1 if dimensions == 32 => return Ok(false),
        1 => (entries as f32).powf(1.0 / dimensions as f32) as u32,
        2 => entries * dimensions,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    // The minimum and the step.
    bits.ignore_bits(32 + 32)?;
    let value_bits = bits.read_bits_leq32(4)? + 1;
    // Whether values add up.
    bits.ignore_bit()?;
    bits.ignore_bits(values * value_bits)?;
    Ok(true)
}

fn skip_code_lengths(bits: &mut BitReaderRtl<'_>, entries: u32) -> io::Result<()> {
    const LENGTH_BITS: u32 = 5;
    let is_ordered = bits.read_bool()?;
    if is_ordered {
        bits.ignore_bits(LENGTH_BITS)?;
        let mut left = entries;
        loop {
            // How many entries have the next length.
            let count = bits.read_bits_leq32(u32::BITS - left.leading_zeros())?;
            left = left.checked_sub(count).ok_or(io::ErrorKind::InvalidData)?;
            if left == 0 {
                return Ok(());
            }
        }
    }
    let is_sparse = bits.read_bool()?;
    if !is_sparse {
        return bits.ignore_bits(entries * LENGTH_BITS);
    }
    for _ in 0..entries {
        if bits.read_bool()? {
            bits.ignore_bits(LENGTH_BITS)?;
        }
    }
    Ok(())
}

//! Limits what a file makes its reader allocate before the first sample. The readers of symphonia keep all metadata in memory,
//! and its Vorbis decoder allocates codebooks by the sizes that a header states. A tag of 6 bytes takes 180 bytes of memory,
//! and a codebook of 20 bytes takes 145 MB.
//!
//! The checks find at least what the readers find. A file that they can't follow is left to the readers, which refuse it.

mod codebooks;
mod ogg;

use super::error::AudioError;
use super::kind::AudioKind;
use crate::ModelError;
use crate::source::IsInterrupted;

/// The maximum number of tags, pictures and seek points of a file. Files of audio books have a few hundred.
pub(super) const MAX_ENTRIES: usize = 10_000;

/// Refuses a file whose reader would take much memory before the first sample. The file has no ID3v2 tags at its start.
///
/// # Errors
/// [`ModelError::Input`] with [`AudioError::TooLarge`] or [`AudioError::Invalid`]. [`ModelError::Interrupted`].
pub(super) fn check(
    kind: AudioKind,
    file: &[u8],
    is_interrupted: IsInterrupted<'_>,
) -> Result<(), ModelError> {
    match kind {
        AudioKind::Wav => check_wav(file)?,
        AudioKind::Flac => check_flac(file)?,
        AudioKind::Ogg => ogg::check(file, is_interrupted)?,
        // All tags are at the start, or are skipped as what is between two frames.
        AudioKind::Mp3 => {}
    }
    Ok(())
}

/// Counts entries of metadata up to the maximum.
#[derive(Default)]
struct Entries(usize);

impl Entries {
    fn add(&mut self, count: usize) -> Result<(), AudioError> {
        self.0 = self.0.saturating_add(count);
        if self.0 > MAX_ENTRIES {
            return Err(AudioError::TooLarge {
                size: format!("{} or more tags, pictures and seek points", self.0),
                limit: format!("{MAX_ENTRIES} (remove its tags)"),
            });
        }
        Ok(())
    }

    /// Counts the Vorbis comments (<https://www.xiph.org/vorbis/doc/v-comment.html>). The stated number is not counted, but
    /// the comments that are there: the reader allocates for no others.
    fn add_comments(&mut self, comments: &[u8]) -> Result<(), AudioError> {
        let Some((_vendor, rest)) = split_string(comments) else {
            return Ok(());
        };
        let Some((stated, mut rest)) = split_u32(rest) else {
            return Ok(());
        };
        for _ in 0..stated {
            let Some((_comment, after)) = split_string(rest) else {
                break;
            };
            self.add(1)?;
            rest = after;
        }
        Ok(())
    }

    /// Counts the chunks of a list (of these bytes) of tags, as far as the reader reads it.
    fn add_chunks(&mut self, mut list: &[u8]) -> Result<(), AudioError> {
        // The list itself is kept too.
        self.add(1)?;
        while let Some((head, body)) = list.split_at_checked(8) {
            self.add(1)?;
            let bytes = u32_at(&head[4..]);
            // A chunk is padded to an even length.
            list = body.get(bytes + bytes % 2..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Counts the tags of a WAV. The text of a list's header, wherever it is, is taken for one: so it does not matter by which
/// chunks the reader gets there.
fn check_wav(file: &[u8]) -> Result<(), AudioError> {
    const HEAD_BYTES: usize = 12;
    let mut entries = Entries::default();
    for (start, head) in file.windows(HEAD_BYTES).enumerate() {
        if head.starts_with(b"LIST") && head.ends_with(b"INFO") {
            let list = &file[start + HEAD_BYTES..];
            let bytes = u32_at(&head[4..]).saturating_sub(4);
            entries.add_chunks(&list[..bytes.min(list.len())])?;
        }
    }
    Ok(())
}

/// Counts the entries of a FLAC's metadata blocks (RFC 9639, section 8). Each block but padding is kept in memory.
fn check_flac(file: &[u8]) -> Result<(), AudioError> {
    const SEEK_TABLE: u8 = 3;
    const COMMENTS: u8 = 4;
    const PADDING: u8 = 1;
    const SEEK_POINT_BYTES: usize = 18;
    let mut entries = Entries::default();
    let mut rest = file.get(4..).unwrap_or_default();
    while let [first, a, b, c, after @ ..] = rest {
        let bytes = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let (block, after) = after.split_at(bytes.min(after.len()));
        match first & 0x7f {
            PADDING => {}
            // The reader sorts the points by inserting each, which takes long for many.
            SEEK_TABLE => entries.add(block.len() / SEEK_POINT_BYTES)?,
            COMMENTS => entries.add_comments(block)?,
            _ => entries.add(1)?,
        }
        if first & 0x80 != 0 {
            break;
        }
        rest = after;
    }
    Ok(())
}

/// The first four bytes, as a number with the lowest byte first. The caller has checked that they are there.
fn u32_at(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take(4)
        .rev()
        .fold(0, |number, &byte| number << 8 | usize::from(byte))
}

fn split_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_at_checked(4)?;
    Some((u32_at(number), rest))
}

/// Splits off a string that follows its length.
fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = split_u32(bytes)?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests;

//! Checks of a file's structure that the decoders lack, done without decoding. The JPEG decoder fills a truncated picture
//! with gray, and the WebP decoder allocates whatever size a chunk or an inner frame states.

/// Whether a JPEG has its end marker (ITU-T T.81, annex B). Bytes after that marker are ignored.
pub(super) fn jpeg_is_whole(file: &[u8]) -> bool {
    let mut rest = file;
    loop {
        let Some(start) = next_marker(rest) else {
            return false;
        };
        let (marker, after) = (rest[start], &rest[start + 1..]);
        rest = match marker {
            0xd9 => return true,
            // SOI and TEM have no segment. Every other marker is followed by its segment's length.
            0x01 | 0xd8 => after,
            _ => match after
                .first_chunk()
                .and_then(|&length| after.get(u16::from_be_bytes(length).into()..))
            {
                Some(rest) => rest,
                None => return false,
            },
        };
    }
}

/// The position of the next marker's code. It also ends entropy-coded data, within which 0xff is followed by a zero or a
/// restart marker.
fn next_marker(bytes: &[u8]) -> Option<usize> {
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
    bytes.windows(2).position(is_marker).map(|position| position + 1)
}

/// A lossy frame of a WebP file.
pub(super) struct LossyFrame {
    /// The width and height in its own header, in pixels.
    pub(super) size: (u32, u32),
    /// Those that the animation states for it; `None` if it is the picture itself.
    pub(super) stated: Option<(u32, u32)>,
}

/// A WebP file's lossy frames (RFC 9649), whose sizes the decoder does not check before it allocates and fills them. `None` if
/// the file or one of its chunks states a length beyond the file's end.
pub(super) fn webp_lossy_frames(file: &[u8]) -> Option<Vec<LossyFrame>> {
    let (head, _) = file.split_at_checked(12)?;
    let length = u32::from_le_bytes(*head[4..].first_chunk()?) as usize;
    let mut frames = Vec::new();
    webp_chunks(file.get(12..length.checked_add(8)?)?, None, &mut frames)?;
    Some(frames)
}

/// The bytes before an animation frame's chunks: its position, size and duration.
const FRAME_HEADER_BYTES: usize = 16;

fn webp_chunks(mut rest: &[u8], stated: Option<(u32, u32)>, frames: &mut Vec<LossyFrame>) -> Option<()> {
    while let Some((head, body)) = rest.split_at_checked(8) {
        let length = u32::from_le_bytes(*head[4..].first_chunk()?) as usize;
        let chunk = body.get(..length)?;
        match &head[..4] {
            b"VP8 " => {
                let side = |at: usize| {
                    Some(u32::from(
                        u16::from_le_bytes(*chunk.get(at..)?.first_chunk()?) & 0x3fff,
                    ))
                };
                frames.push(LossyFrame {
                    size: (side(6)?, side(8)?),
                    stated,
                });
            }
            // No frame contains another, so that the depth does not follow from the file.
            b"ANMF" if stated.is_none() => {
                // Three bytes each, which state one less.
                let side = |at: usize| {
                    let [low, middle, high] = *chunk.get(at..)?.first_chunk()?;
                    Some(u32::from_le_bytes([low, middle, high, 0]) + 1)
                };
                let stated = Some((side(6)?, side(9)?));
                webp_chunks(chunk.get(FRAME_HEADER_BYTES..)?, stated, frames)?;
            }
            _ => {}
        }
        // Chunks are padded to an even length, though some files omit the last one's padding.
        rest = body.get(length + length % 2..).unwrap_or_default();
    }
    Some(())
}

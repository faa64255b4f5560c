//! What the decoders let pass and should not, found by walking a file's outline without decoding it: the JPEG decoder
//! fills up a truncated picture with gray, and the WebP decoder allocates what a chunk or an inner frame claims to be.

/// Whether a JPEG goes on to its end marker (ITU-T T.81, annex B). What follows that marker is no matter.
pub(super) fn jpeg_is_whole(file: &[u8]) -> bool {
    let mut rest = file;
    loop {
        let Some(start) = next_marker(rest) else {
            return false;
        };
        let (marker, after) = (rest[start], &rest[start + 1..]);
        rest = match marker {
            0xd9 => return true,
            // SOI and TEM stand alone; every other marker is followed by its segment's length.
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

/// The position of the next marker's code. Entropy-coded data ends at it too: there, 0xff is followed by a zero or by a
/// restart marker, which don't count.
fn next_marker(bytes: &[u8]) -> Option<usize> {
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
    bytes.windows(2).position(is_marker).map(|position| position + 1)
}

/// The outline of a WebP file (RFC 9649): the sizes of its lossy frames, which the decoder allocates as it meets them.
/// None when the file, or a chunk in it, claims to go on beyond its end.
pub(super) fn webp_lossy_frames(file: &[u8]) -> Option<Vec<(u32, u32)>> {
    let (head, _) = file.split_at_checked(12)?;
    let length = u32::from_le_bytes(*head[4..].first_chunk()?) as usize;
    let mut frames = Vec::new();
    webp_chunks(file.get(12..length.checked_add(8)?)?, &mut frames)?;
    Some(frames)
}

/// An animation's frame starts with 16 bytes on where and how long it is shown; chunks follow.
const FRAME_HEAD: usize = 16;

fn webp_chunks(mut rest: &[u8], frames: &mut Vec<(u32, u32)>) -> Option<()> {
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
                frames.push((side(6)?, side(8)?));
            }
            b"ANMF" => webp_chunks(chunk.get(FRAME_HEAD..)?, frames)?,
            _ => {}
        }
        // Chunks are padded to an even length; the last one's padding is sometimes left out.
        rest = body.get(length + length % 2..).unwrap_or_default();
    }
    Some(())
}

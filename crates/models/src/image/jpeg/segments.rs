//! Checks of a JPEG's segments, done without decoding (ITU-T T.81, annex B). The decoder fills a truncated picture with gray,
//! looks at some segments again and again, and panics at some frames.

/// The most segments of a JPEG. A profile has up to 255 and a picture of 50 MB up to 770 of long metadata, and each of many
/// scans has two. The decoder looks at all of one kind again after each of another, and keeps those of a profile.
const MAX_SEGMENTS: usize = 4_096;
/// The marker of a segment that may state how colors are coded, and how its content begins then.
const APP14: u8 = 0xee;
const ADOBE: &[u8] = b"Adobe";

/// Why a JPEG is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Defect {
    #[error("its end is missing")]
    NoEnd,
    #[error("it has more than {MAX_SEGMENTS} segments")]
    TooManySegments,
    #[error("a marker before its first scan is misplaced")]
    MisplacedMarker,
    #[error("an APP0 segment before its first scan is too short")]
    ShortSegment,
    #[error("an Adobe segment follows its frame header")]
    LateAdobeSegment,
    #[error(transparent)]
    Frame(FrameDefect),
}

/// Why a frame is not decoded. Each is allowed, but the decoder panics at it or mixes up the components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameDefect {
    #[error("a JPEG of two components")]
    TwoComponents,
    #[error("a JPEG whose first component is narrower than another one")]
    NarrowFirstComponent,
}

/// The part of a JPEG up to its end marker, checked for few segments (ITU-T T.81, annex B). Only this part may be decoded: the
/// decoder reads a length behind markers that have no segment, and so finds other segments where these are misplaced.
pub(super) fn check(file: &[u8]) -> Result<&[u8], Defect> {
    let (scans, segments) = first_scan(file)?;
    let end = scans + end_of_scans(&file[scans..]).ok_or(Defect::NoEnd)?;
    // It would change how many components the decoder expects.
    if file[scans..end]
        .windows(9)
        .any(|bytes| bytes.starts_with(&[0xff, APP14]) && bytes.ends_with(ADOBE))
    {
        return Err(Defect::LateAdobeSegment);
    }
    // Segments may hide in each other, so every pair of bytes counts that may begin one. Coded data has none.
    let is_metadata = |pair: &&[u8]| pair[0] == 0xff && matches!(pair[1], 0xe0..=0xef | 0xfe);
    let hidden = file[scans..end].windows(2).filter(is_metadata).count();
    if segments + hidden > MAX_SEGMENTS {
        return Err(Defect::TooManySegments);
    }
    Ok(&file[..end])
}

/// The position after the header of the first scan, and how many segments there are up to it.
fn first_scan(file: &[u8]) -> Result<(usize, usize), Defect> {
    // The start marker was read when the type was detected.
    let mut at = 2;
    let mut has_frame = false;
    for segments in 1..=MAX_SEGMENTS {
        let pair = file.get(at..).unwrap_or_default().windows(2);
        let marker = pair.clone().position(|pair| pair[0] == 0xff && pair[1] != 0xff);
        let start = at + marker.ok_or(Defect::NoEnd)? + 1;
        let marker = file[start];
        if matches!(marker, 0x00 | 0x01 | 0xd0..=0xd9) {
            return Err(Defect::MisplacedMarker);
        }
        let length = file
            .get(start + 1..)
            .and_then(<[u8]>::first_chunk)
            .ok_or(Defect::NoEnd)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length < 2 {
            return Err(Defect::MisplacedMarker);
        }
        // Of this segment's 4 bytes the decoder reads 5, and goes on within the next one, whose content hides other segments.
        if (marker, length) == (0xe0, 6) {
            return Err(Defect::ShortSegment);
        }
        at = start + 1 + length;
        let segment = file.get(start + 3..at).ok_or(Defect::NoEnd)?;
        match marker {
            0xc0..=0xc2 => {
                check_frame(segment).map_err(Defect::Frame)?;
                has_frame = true;
            }
            APP14 if has_frame && segment.starts_with(ADOBE) => return Err(Defect::LateAdobeSegment),
            _ => {}
        }
        if marker == 0xda {
            return Ok((at, segments));
        }
    }
    Err(Defect::TooManySegments)
}

/// Checks the header of a frame. The decoder refuses one that is not as long as its number of components says.
fn check_frame(header: &[u8]) -> Result<(), FrameDefect> {
    // After the precision, the two sides and the number of components: an id, the two sampling factors and a table of each.
    let components = header.get(6..).unwrap_or_default().chunks_exact(3);
    if components.len() == 2 {
        return Err(FrameDefect::TwoComponents);
    }
    let mut widths = components.map(|component| component[1] >> 4);
    let first = widths.next().unwrap_or_default();
    if widths.any(|width| width > first) {
        return Err(FrameDefect::NarrowFirstComponent);
    }
    Ok(())
}

/// The position after the end marker, from the data of the first scan on.
fn end_of_scans(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let start = at + next_marker(&bytes[at..])?;
        at = match bytes[start] {
            0xd9 => return Some(start + 1),
            // SOI and TEM have no segment. Every other marker is followed by its segment's length.
            0x01 | 0xd8 => start + 1,
            _ => {
                let length = bytes.get(start + 1..)?.first_chunk()?;
                start + 1 + usize::from(u16::from_be_bytes(*length))
            }
        };
        bytes.get(at..)?;
    }
}

/// The position of the next marker's code. It also ends entropy-coded data, within which 0xff is followed by a zero or a
/// restart marker.
fn next_marker(bytes: &[u8]) -> Option<usize> {
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
    bytes.windows(2).position(is_marker).map(|position| position + 1)
}

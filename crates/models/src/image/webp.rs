//! The structure of a WebP file, read without decoding: the decoder allocates whatever size a chunk or an inner frame states.

/// A WebP file's parts whose cost the decoder does not check before it allocates for them (RFC 9649).
pub(super) struct WebP<'a> {
    /// The file up to the length that it states. The decoder may else find parts beyond.
    pub(super) file: &'a [u8],
    /// The size of an extended file's canvas, in pixels.
    pub(super) canvas: Option<Size>,
    /// All lossy frames.
    pub(super) lossy: Vec<LossyFrame>,
    /// The lossless streams that may be decoded: the first of each kind, outside of an animation's frames and in one.
    pub(super) lossless: Vec<LosslessStream<'a>>,
}

/// A lossy frame.
pub(super) struct LossyFrame {
    /// The width and height in its own header, in pixels.
    pub(super) size: Size,
    /// Those that the animation or the canvas states for it; `None` if it is the file's only part.
    pub(super) stated: Option<Size>,
}

/// A picture without loss, or the transparency of a lossy one.
pub(super) struct LosslessStream<'a> {
    /// In pixels.
    pub(super) size: Size,
    /// From the transforms on.
    pub(super) bytes: &'a [u8],
    place: Place,
}

/// A width and a height.
type Size = (u32, u32);

#[derive(PartialEq, Eq)]
struct Place {
    in_frame: bool,
    is_alpha: bool,
}

/// Reads a WebP file's chunks. `None` if the file or one of its chunks ends too early, or if there are frames of an animation
/// in a file that is not one.
pub(super) fn read(file: &[u8]) -> Option<WebP<'_>> {
    let (head, _) = file.split_at_checked(12)?;
    let length = u32::from_le_bytes(*head[4..].first_chunk()?) as usize;
    let file = file.get(..length.checked_add(8)?)?;
    let mut webp = WebP {
        file,
        canvas: None,
        lossy: Vec::new(),
        lossless: Vec::new(),
    };
    let chunks = file.get(12..)?;
    let mut stated = Stated::Nothing;
    if chunks.starts_with(b"VP8X") {
        let header = chunks.get(8..)?;
        let canvas = size_less_one(header, 4)?;
        webp.canvas = Some(canvas);
        stated = if header.first()? & ANIMATION == 0 {
            Stated::Canvas(canvas)
        } else {
            Stated::Animation
        };
    }
    webp.read_chunks(chunks, stated)?;
    Some(webp)
}

/// The flag of an animation in an extended file's header.
const ANIMATION: u8 = 2;
/// The bytes before an animation frame's chunks: its position, size and duration.
const FRAME_HEADER_BYTES: usize = 16;

/// What is known about the chunks from what contains them.
#[derive(Clone, Copy)]
enum Stated {
    /// They are those of a simple file.
    Nothing,
    /// They are those of an extended file without an animation, whose canvas has this size.
    Canvas(Size),
    /// They are those of an animation.
    Animation,
    /// They are those of an animation's frame of this size.
    Frame(Size),
}

impl<'a> WebP<'a> {
    fn read_chunks(&mut self, mut rest: &'a [u8], stated: Stated) -> Option<()> {
        let size = match stated {
            Stated::Canvas(size) | Stated::Frame(size) => Some(size),
            Stated::Nothing | Stated::Animation => None,
        };
        let mut follows_alpha = false;
        while let Some((head, body)) = rest.split_at_checked(8) {
            // The decoder takes what follows the transparency of an animation's frame for a lossy picture, whatever its name is.
            if follows_alpha && &head[..4] != b"VP8 " {
                return None;
            }
            follows_alpha = &head[..4] == b"ALPH" && matches!(stated, Stated::Frame(_));
            let length = u32::from_le_bytes(*head[4..].first_chunk()?) as usize;
            let chunk = body.get(..length)?;
            match (&head[..4], stated) {
                (b"VP8 ", _) => {
                    let side = |at: usize| {
                        let side = u16::from_le_bytes(*chunk.get(at..)?.first_chunk()?);
                        Some(u32::from(side & 0x3fff))
                    };
                    self.lossy.push(LossyFrame {
                        size: (side(6)?, side(8)?),
                        stated: size,
                    });
                }
                // A signature, then 14 bits for each side, which state one less.
                (b"VP8L", _) => {
                    let sides = u32::from_le_bytes(*chunk.get(1..)?.first_chunk()?);
                    let size = ((sides & 0x3fff) + 1, (sides >> 14 & 0x3fff) + 1);
                    self.add_lossless(size, chunk.get(5..)?, stated, false);
                }
                // Two bits are the compression: none, or lossless.
                (b"ALPH", Stated::Canvas(size) | Stated::Frame(size)) if chunk.first()? & 3 == 1 => {
                    self.add_lossless(size, &chunk[1..], stated, true);
                }
                (b"ANMF", Stated::Animation) => {
                    let stated = Stated::Frame(size_less_one(chunk, 6)?);
                    self.read_chunks(chunk.get(FRAME_HEADER_BYTES..)?, stated)?;
                }
                // The decoder would read its chunks, but as those of the canvas.
                (b"ANMF", Stated::Canvas(_)) => return None,
                _ => {}
            }
            // Chunks are padded to an even length, though some files omit the last one's padding.
            rest = body.get(length + length % 2..).unwrap_or_default();
        }
        Some(())
    }

    fn add_lossless(&mut self, size: Size, bytes: &'a [u8], stated: Stated, is_alpha: bool) {
        let in_frame = matches!(stated, Stated::Frame(_));
        let place = Place { in_frame, is_alpha };
        if self.lossless.iter().all(|stream| stream.place != place) {
            self.lossless.push(LosslessStream { size, bytes, place });
        }
    }
}

/// A width and a height of three bytes each, which state one less.
fn size_less_one(bytes: &[u8], at: usize) -> Option<Size> {
    let side = |at: usize| {
        let [low, middle, high] = *bytes.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes([low, middle, high, 0]) + 1)
    };
    Some((side(at)?, side(at + 3)?))
}

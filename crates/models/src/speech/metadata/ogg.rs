//! Limits the logical streams, comments and codebooks of an Ogg file (RFC 3533).
//!
//! Pages and packets are found as symphonia's reader finds them, so that no header is hidden from the check: a page counts only
//! if its checksum is right, and a packet only if no page of it is missing.

use std::collections::HashMap;

use symphonia::core::checksum::Crc32;
use symphonia::core::io::Monitor;

use super::Entries;
use super::codebooks::{self, Codebooks};
use crate::ModelError;
use crate::source::IsInterrupted;
use crate::speech::error::AudioError;
use crate::speech::kind::AudioKind;

/// The maximum number of logical streams, one after the other or multiplexed. The reader keeps buffers for each.
pub(super) const MAX_STREAMS: usize = 64;
/// The maximum number of pages with a wrong checksum. The search for the next page starts again inside such a page.
const MAX_BAD_PAGES: usize = 1_000;
/// A page's header without its table of segments.
const HEAD_BYTES: usize = 27;
/// A segment of this length continues in the next one.
const FULL_SEGMENT: u8 = 255;

/// Refuses a file with too many streams, comments or values of codebooks.
pub(super) fn check(file: &[u8], is_interrupted: IsInterrupted<'_>) -> Result<(), ModelError> {
    let mut checker = Checker::default();
    let mut bad_pages = 0;
    let mut rest = file;
    while let Some(start) = find_page(rest) {
        if is_interrupted() {
            return Err(ModelError::Interrupted);
        }
        rest = &rest[start..];
        // Where the file ends inside a page, the reader ends too.
        let Some((head, after)) = rest.split_at_checked(HEAD_BYTES) else {
            break;
        };
        if head[4] != 0 || head[5] & !Page::FLAGS != 0 {
            rest = after;
            continue;
        }
        let Some(page) = Page::split(head, after) else {
            break;
        };
        if page.has_valid_checksum(head) {
            rest = &after[page.segments.len() + page.body.len()..];
            checker.add_page(&page)?;
        } else {
            bad_pages += 1;
            if bad_pages > MAX_BAD_PAGES {
                return Err(invalid("more than 1000 of its pages are damaged").into());
            }
            rest = &rest[4..];
        }
    }
    Ok(())
}

fn find_page(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"OggS")
}

pub(super) fn invalid(reason: impl std::fmt::Display) -> AudioError {
    AudioError::invalid(AudioKind::Ogg, reason)
}

struct Page<'a> {
    flags: u8,
    serial: u32,
    sequence: u32,
    segments: &'a [u8],
    body: &'a [u8],
}

impl<'a> Page<'a> {
    const CONTINUATION: u8 = 1;
    const FIRST: u8 = 2;
    /// All flags.
    const FLAGS: u8 = 7;

    /// The page of this header. `None` if the file ends inside it.
    fn split(head: &[u8], after: &'a [u8]) -> Option<Self> {
        let number = |at: usize| super::u32_at(&head[at..]) as u32;
        let (segments, after) = after.split_at_checked(usize::from(head[26]))?;
        let bytes = segments.iter().copied().map(usize::from).sum();
        Some(Self {
            flags: head[5],
            serial: number(14),
            sequence: number(18),
            segments,
            body: after.get(..bytes)?,
        })
    }

    fn has_valid_checksum(&self, head: &[u8]) -> bool {
        let mut checksum = Crc32::new(0);
        checksum.process_buf_bytes(&head[..22]);
        checksum.process_buf_bytes(&[0; 4]);
        checksum.process_buf_bytes(&head[26..]);
        checksum.process_buf_bytes(self.segments);
        checksum.process_buf_bytes(self.body);
        checksum.crc() == super::u32_at(&head[22..]) as u32
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The packets, or their parts on this page, and whether each is complete with it.
    fn packets(&self) -> impl Iterator<Item = (&'a [u8], bool)> {
        let mut body = self.body;
        self.segments
            .split_inclusive(|&segment| segment < FULL_SEGMENT)
            .map(move |segments| {
                let bytes = segments.iter().copied().map(usize::from).sum();
                let (packet, rest) = body.split_at(bytes);
                body = rest;
                let is_complete = segments.last().is_some_and(|&last| last < FULL_SEGMENT);
                (packet, is_complete)
            })
    }
}

#[derive(Default)]
struct Checker {
    streams: HashMap<u32, Stream>,
    first_pages: usize,
    setups: usize,
    entries: Entries,
}

#[derive(Default)]
struct Stream {
    /// The sequence number of the last page.
    sequence: u32,
    /// The packet that the next page continues.
    part: Part,
    codebooks: Codebooks,
}

#[derive(Default)]
enum Part {
    #[default]
    None,
    /// A packet that is not one of the headers.
    Other,
    Header(Vec<u8>),
}

impl Checker {
    fn add_page(&mut self, page: &Page<'_>) -> Result<(), AudioError> {
        if page.has(Page::FIRST) {
            self.add_first_page(page)?;
        }
        // The reader ignores a stream before its first page.
        let Some(stream) = self.streams.get_mut(&page.serial) else {
            return Ok(());
        };
        let mut part = std::mem::take(&mut stream.part);
        let is_next = page
            .sequence
            .checked_sub(stream.sequence)
            .is_some_and(|step| step <= 1);
        stream.sequence = page.sequence;
        if !is_next || !page.has(Page::CONTINUATION) {
            part = Part::None;
        }
        let mut packets = page.packets();
        // The end of a packet without its start is ignored.
        if page.has(Page::CONTINUATION)
            && matches!(part, Part::None)
            && !matches!(packets.next(), Some((_, true)))
        {
            return Ok(());
        }
        for (packet, is_complete) in packets {
            part.extend(packet);
            if !is_complete {
                break;
            }
            if let Part::Header(packet) = std::mem::take(&mut part) {
                if is_header(&packet, COMMENTS) {
                    self.entries.add(1)?;
                    self.entries.add_comments(&packet[HEADER_BYTES..])?;
                } else {
                    self.setups += 1;
                    if self.setups > MAX_STREAMS {
                        return Err(invalid("it has more than 64 setup headers"));
                    }
                    codebooks::check(&packet[HEADER_BYTES..])?;
                    stream.codebooks.add(&packet[HEADER_BYTES..])?;
                }
            }
        }
        stream.part = part;
        Ok(())
    }

    /// A stream whose first page comes again goes on here: the reader either starts anew, or reads on.
    fn add_first_page(&mut self, page: &Page<'_>) -> Result<(), AudioError> {
        self.first_pages += 1;
        if self.first_pages > MAX_STREAMS {
            return Err(AudioError::TooLarge {
                size: format!("{} or more logical streams", self.first_pages),
                limit: format!("{MAX_STREAMS} (keep one)"),
            });
        }
        if page.has(Page::CONTINUATION) {
            return Err(invalid("the first page of a stream continues a packet"));
        }
        // The reader reads their metadata too, which is packed in other ways.
        if page.body.starts_with(b"\x7fFLAC") || page.body.starts_with(b"OpusHead") {
            return Err(AudioError::Unsupported {
                found: "an Ogg file with FLAC or Opus audio beside Vorbis".into(),
            });
        }
        self.streams.entry(page.serial).or_default();
        Ok(())
    }
}

/// The types of the header packets that follow the first one.
const COMMENTS: u8 = 3;
const SETUP: u8 = 5;
/// The type and `vorbis`.
const HEADER_BYTES: usize = 7;

fn is_header(packet: &[u8], kind: u8) -> bool {
    matches!(packet.split_first(), Some((first, rest)) if *first == kind && rest.starts_with(b"vorbis"))
}

impl Part {
    fn extend(&mut self, bytes: &[u8]) {
        match self {
            // A part that the next page continues has 255 bytes at least.
            Self::None if is_header(bytes, COMMENTS) || is_header(bytes, SETUP) => {
                *self = Self::Header(bytes.to_vec());
            }
            Self::None => *self = Self::Other,
            Self::Other => {}
            Self::Header(header) => header.extend_from_slice(bytes),
        }
    }
}

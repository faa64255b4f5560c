//! Detects the type of an audio file by its first bytes.

use super::error::AudioError;
use super::kind::AudioKind;

/// The length of an ID3v2 tag's header, in bytes: a name, a version, flags, and the tag's length in four times seven bits.
const ID3_HEADER_BYTES: usize = 10;

/// Detects the type of an audio file. File names and declared types are not trusted.
///
/// # Errors
/// [`AudioError::Unsupported`] for anything but the types of [`AudioKind`].
pub fn sniff(file: &[u8]) -> Result<AudioKind, AudioError> {
    let file = without_tags(file);
    let form = |name: &[u8]| file.get(8..12) == Some(name);
    let found = match file {
        [b'R', b'I', b'F', b'F', ..] if form(b"WAVE") => return Ok(AudioKind::Wav),
        [b'f', b'L', b'a', b'C', ..] => return Ok(AudioKind::Flac),
        [b'O', b'g', b'g', b'S', ..] => return sniff_ogg(file),
        [0xff, second, third, ..] if is_mp3(*second, *third) => return Ok(AudioKind::Mp3),
        [] => "an empty file",
        [0xff, second, ..] if second & 0xf6 == 0xf0 => "AAC audio",
        [b'R', b'I', b'F', b'X' | b'F', ..] | [b'R', b'F', b'6', b'4', ..] => "this variant of RIFF",
        [b'F', b'O', b'R', b'M', ..] => "an AIFF file",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "an MP4 or M4A file",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "a WebM or Matroska file",
        [b'#', b'!', b'A', b'M', b'R', ..] => "AMR audio",
        _ => "this file (its first bytes match no known audio type)",
    };
    Err(AudioError::Unsupported { found: found.into() })
}

/// The file without the ID3v2 tags at its start. MP3 files have them, and some FLAC files.
pub(super) fn without_tags(mut file: &[u8]) -> &[u8] {
    while let [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] = *file {
        let length = [a, b, c, d]
            .iter()
            .fold(0, |length, &bits| length << 7 | usize::from(bits & 0x7f));
        // With this flag, a copy of the header follows the tag.
        let footer = if flags & 0x10 == 0 { 0 } else { ID3_HEADER_BYTES };
        file = file.get(ID3_HEADER_BYTES + length + footer..).unwrap_or_default();
    }
    file
}

/// Whether these may be the second and third byte of an MPEG frame of layer III.
fn is_mp3(second: u8, third: u8) -> bool {
    let version_known = second & 0x18 != 0x08;
    let (bit_rate, rate) = (third >> 4, third >> 2 & 3);
    second & 0xe6 == 0xe2 && version_known && bit_rate != 15 && rate != 3
}

/// Detects the codec of an Ogg file, which follows the first page's segment table.
fn sniff_ogg(file: &[u8]) -> Result<AudioKind, AudioError> {
    let segments = file.get(26).map_or(0, |&count| usize::from(count));
    let codec = file.get(27 + segments..).unwrap_or_default();
    let found = if codec.starts_with(b"\x01vorbis") {
        return Ok(AudioKind::Ogg);
    } else if codec.starts_with(b"OpusHead") {
        "an Ogg file with Opus audio"
    } else if codec.starts_with(b"Speex") {
        "an Ogg file with Speex audio"
    } else {
        "an Ogg file without Vorbis audio"
    };
    Err(AudioError::Unsupported { found: found.into() })
}

//! Recordings of the maximum length, in each format.

use anyhow::{Context, Result};
use mesh_task::MAX_MEDIA_BYTES;

const HEADER_BYTES: usize = 44;
/// The maximum length of a recording, in seconds.
const MAX_SECONDS: usize = 30 * 60;

/// A WAV of the maximum length and the maximum file size: 16 bits, at the rate at which both fit. Silence follows the
/// speech: it is decoded like speech, but not transcribed.
pub(super) fn wav(speech: &[u8]) -> Result<Vec<u8>> {
    let rate = (MAX_MEDIA_BYTES - HEADER_BYTES) / (2 * MAX_SECONDS);
    let speech = speech
        .get(HEADER_BYTES..)
        .context("the recording is shorter than a WAV header")?;
    let bytes = rate * 2 * MAX_SECONDS;
    let length = u32::try_from(bytes)?;
    let mut wav = Vec::with_capacity(bytes + HEADER_BYTES);
    wav.extend(b"RIFF");
    wav.extend((length + 36).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    wav.extend([1, 0, 1, 0]);
    wav.extend(u32::try_from(rate)?.to_le_bytes());
    wav.extend(u32::try_from(2 * rate)?.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(length.to_le_bytes());
    wav.extend(speech);
    wav.resize(bytes + HEADER_BYTES, 0);
    Ok(wav)
}

/// A FLAC of the maximum length (RFC 9639): 48 kHz, 8 channels, in blocks of the maximum size, each of one value.
pub(super) fn flac() -> Vec<u8> {
    const RATE: u64 = 48_000;
    const CHANNELS: u64 = 8;
    const BLOCK: u64 = 65_535;
    let blocks = RATE * MAX_SECONDS as u64 / BLOCK;
    let block = (BLOCK as u16).to_be_bytes();
    let mut file = b"fLaC".to_vec();
    // The only metadata block: 34 bytes of stream information.
    file.extend([0x80, 0, 0, 34]);
    file.extend([block, block].concat());
    file.extend([0; 6]);
    let information = RATE << 44 | (CHANNELS - 1) << 41 | 15 << 36 | (blocks * BLOCK);
    file.extend(information.to_be_bytes());
    // No MD5.
    file.extend([0; 16]);
    for number in 0..blocks as u32 {
        let start = file.len();
        // Fixed block size, given in 16 bits at the end; the rate, the channels and 16 bits.
        file.extend([0xff, 0xf8, 0x7a, 0x78]);
        let mut text = [0; 4];
        // The frame's number is coded like a character of UTF-8. There are fewer than the first surrogate.
        file.extend(
            char::from_u32(number)
                .unwrap_or_default()
                .encode_utf8(&mut text)
                .bytes(),
        );
        file.extend((BLOCK as u16 - 1).to_be_bytes());
        file.push(crc(&file[start..], 8, 0x07) as u8);
        // Each channel is constant.
        file.extend([0, 0, 0].repeat(CHANNELS as usize));
        let sum = crc(&file[start..], 16, 0x8005);
        file.extend(sum.to_be_bytes());
    }
    file
}

/// The checksum of FLAC, of 8 or 16 bits, with this polynomial.
fn crc(bytes: &[u8], bits: u32, polynomial: u16) -> u16 {
    let top = 1 << (bits - 1);
    let mask = top | (top - 1);
    bytes.iter().fold(0, |sum: u16, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << (bits - 8), |sum, _| {
            (sum << 1 ^ if sum & top == 0 { 0 } else { polynomial }) & mask
        })
    })
}

/// An MP3 of the maximum length: silent frames of 192 kbit/s, 48 kHz and two channels, 43 MB.
pub(super) fn mp3() -> Vec<u8> {
    const FRAME_BYTES: usize = 144 * 192_000 / 48_000;
    const SAMPLES: usize = 1_152;
    let mut frame = vec![0; FRAME_BYTES];
    // MPEG 1, layer III, without a checksum; 192 kbit/s, 48 kHz. Without side information all is silent.
    frame[..4].copy_from_slice(&[0xff, 0xfb, 0xb4, 0]);
    frame.repeat(MAX_SECONDS * 48_000 / SAMPLES)
}

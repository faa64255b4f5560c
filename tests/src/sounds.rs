//! Recordings to submit.

use std::path::Path;

use crate::setting;

/// A recording of 10 s: a man reads six short sentences by Beckett.
///
/// # Panics
/// When the assets do not contain it.
#[must_use]
pub fn beckett() -> Vec<u8> {
    let path = Path::new(&setting("AI_MESH_ASSETS")).join("testdata/beckett.wav");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Silence of this duration as WAV, 16 bits, 16 kHz (RIFF, Microsoft's "Multimedia Programming Interface", 1991).
#[must_use]
pub fn silence(seconds: u32) -> Vec<u8> {
    const RATE: u32 = 16_000;
    let bytes = seconds * RATE * 2;
    let mut wav = Vec::new();
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + bytes).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    wav.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel.
    wav.extend_from_slice(&1_u16.to_le_bytes());
    wav.extend_from_slice(&1_u16.to_le_bytes());
    wav.extend_from_slice(&RATE.to_le_bytes());
    wav.extend_from_slice(&(RATE * 2).to_le_bytes());
    wav.extend_from_slice(&2_u16.to_le_bytes());
    wav.extend_from_slice(&16_u16.to_le_bytes());
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&bytes.to_le_bytes());
    wav.resize(wav.len() + bytes as usize, 0);
    wav
}

//! Sounds from strangers: what a file is by its content, whether it is within the limits, and its samples, mono at
//! 16 kHz.
//!
//! The length is counted while decoding, whatever the file says of itself, so a small file can't claim much memory or
//! time. Tags and pictures are not read. A file that ends before the length it states is refused; an MP3 seldom states
//! one, and then what there is of it is taken.

use std::fmt;
use std::io::{Cursor, ErrorKind};

use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::default::codecs::{FlacDecoder, MpaDecoder, PcmDecoder, VorbisDecoder};
use symphonia::default::formats::{FlacReader, MpaReader, OggReader, WavReader};

pub use super::container::sniff;
use super::container::without_tags;
use super::error::AudioError;
use super::resample::Resampler;
use crate::{Interrupt, ModelError};

/// The largest file, in bytes (50 MiB).
pub const MAX_BYTES: usize = 50 * 1024 * 1024;
/// The longest sound, in minutes: at the pace of [`SpeechModel`](crate::SpeechModel) some minutes' work, and 115 MB of
/// samples.
pub const MAX_MINUTES: u32 = 30;
/// Sample rates of files, in Hz. Speech below 4 kHz can't be understood; no one sells more than 192.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// The most channels: 7.1 surround has 8.
const MAX_CHANNELS: usize = 8;
/// The rate of what comes out, in Hz.
pub(super) const RATE: u32 = 16_000;
/// A packet that does not decode is left out, as players do; if more than one in so many doesn't, the file is damaged.
/// (The first packets of a cut MP3 refer to ones that are gone.)
const BAD_PACKETS: usize = 10;

/// The types of sounds that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioKind {
    /// WAV with PCM (8 to 32 bits, floating point), A-law or µ-law.
    Wav,
    /// FLAC.
    Flac,
    /// MP3.
    Mp3,
    /// Ogg with Vorbis.
    Ogg,
}

impl AudioKind {
    /// The media type, e.g. `audio/flac`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Flac => "audio/flac",
            Self::Mp3 => "audio/mpeg",
            Self::Ogg => "audio/ogg",
        }
    }
}

impl fmt::Display for AudioKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wav => "WAV",
            Self::Flac => "FLAC",
            Self::Mp3 => "MP3",
            Self::Ogg => "Ogg",
        })
    }
}

/// Decodes a file that keeps to the limits: samples of -1 to 1 at 16 kHz, the mean of all channels.
///
/// # Errors
/// [`ModelError::Input`] with the first of these that fails: bytes, type, head, rate and channels, length, content.
/// [`ModelError::Interrupted`].
pub(super) fn decode(file: &[u8], interrupt: &Interrupt) -> Result<Vec<f32>, ModelError> {
    decode_at_most(file, MAX_MINUTES, interrupt)
}

fn decode_at_most(file: &[u8], minutes: u32, interrupt: &Interrupt) -> Result<Vec<f32>, ModelError> {
    if file.len() > MAX_BYTES {
        return Err(too_large(
            format!("{} bytes", file.len()),
            format!("{MAX_BYTES} bytes ({} MiB)", MAX_BYTES >> 20),
        )
        .into());
    }
    let kind = sniff(file)?;
    let failed = |error| decoder_error(error, kind);
    let mut reader = open(kind, without_tags(file)).map_err(failed)?;
    let track = reader
        .default_track(TrackType::Audio)
        .ok_or_else(|| AudioError::invalid(kind, "it has no sound track"))?;
    let (id, stated) = (track.id, track.num_frames);
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or_else(|| AudioError::invalid(kind, "it has no sound track"))?;
    let mut mixer = Mixer::new(kind, parameters, minutes)?;
    if stated.is_some_and(|frames| frames > mixer.most_frames) {
        return Err(AudioError::TooLong { limit: minutes }.into());
    }
    let mut decoder = decoder(kind, parameters).map_err(failed)?;

    let (mut packets, mut bad) = (0, 0);
    while let Some(packet) = next_packet(&mut *reader, kind)? {
        interrupt.check()?;
        if packet.track_id != id {
            continue;
        }
        packets += 1;
        match decoder.decode(&packet) {
            Ok(decoded) => {
                mixer.check(decoded.spec().rate(), decoded.spec().channels().count())?;
                decoded.copy_to_vec_interleaved(&mut mixer.interleaved);
                mixer.mix()?;
            }
            Err(Error::DecodeError(_)) => bad += 1,
            Err(error) => return Err(failed(error).into()),
        }
    }
    if bad * BAD_PACKETS > packets {
        return Err(AudioError::invalid(kind, "its content does not decode").into());
    }
    // A head may round the length up to whole packets, so that a little may be missing of a sound that is whole.
    if stated.is_some_and(|frames| mixer.frames < frames - frames / 50) {
        return Err(AudioError::invalid(kind, "its end is missing").into());
    }
    mixer.finish()
}

fn open(kind: AudioKind, file: &[u8]) -> Result<Box<dyn FormatReader + '_>, Error> {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(file)), Default::default());
    let options = FormatOptions::default();
    Ok(match kind {
        AudioKind::Wav => Box::new(WavReader::try_new(stream, options)?),
        AudioKind::Flac => Box::new(FlacReader::try_new(stream, options)?),
        AudioKind::Mp3 => Box::new(MpaReader::try_new(stream, options)?),
        AudioKind::Ogg => Box::new(OggReader::try_new(stream, options)?),
    })
}

fn decoder(kind: AudioKind, parameters: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, Error> {
    let options = AudioDecoderOptions::default();
    Ok(match kind {
        AudioKind::Wav => Box::new(PcmDecoder::try_new(parameters, &options)?),
        AudioKind::Flac => Box::new(FlacDecoder::try_new(parameters, &options)?),
        AudioKind::Mp3 => Box::new(MpaDecoder::try_new(parameters, &options)?),
        AudioKind::Ogg => Box::new(VorbisDecoder::try_new(parameters, &options)?),
    })
}

fn next_packet(
    reader: &mut dyn FormatReader,
    kind: AudioKind,
) -> Result<Option<symphonia::core::packet::Packet>, AudioError> {
    match reader.next_packet() {
        // A second stream, chained behind the first: the first was the sound.
        Err(Error::ResetRequired) => Ok(None),
        result => result.map_err(|error| decoder_error(error, kind)),
    }
}

fn decoder_error(error: Error, kind: AudioKind) -> AudioError {
    match error {
        Error::Unsupported(feature) => AudioError::Unsupported {
            found: format!("a {kind} file of this uncommon kind ({feature})"),
        },
        Error::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            AudioError::invalid(kind, "its end is missing")
        }
        error => AudioError::invalid(kind, error),
    }
}

fn too_large(size: impl Into<String>, limit: impl Into<String>) -> AudioError {
    AudioError::TooLarge {
        size: size.into(),
        limit: limit.into(),
    }
}

/// Takes decoded packets and keeps only what is wanted of them.
struct Mixer {
    kind: AudioKind,
    rate: u32,
    minutes: u32,
    /// The most frames (one sample of each channel) at this rate.
    most_frames: u64,
    frames: u64,
    channels: usize,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
    resampler: Resampler,
    samples: Vec<f32>,
}

impl Mixer {
    fn new(kind: AudioKind, parameters: &AudioCodecParameters, minutes: u32) -> Result<Self, AudioError> {
        let rate = parameters
            .sample_rate
            .ok_or_else(|| AudioError::invalid(kind, "it states no sample rate"))?;
        if rate > *RATES.end() {
            return Err(too_large(
                format!("{rate} samples a second"),
                RATES.end().to_string(),
            ));
        }
        if rate < *RATES.start() {
            return Err(AudioError::invalid(
                kind,
                format!("it says to have {rate} samples a second"),
            ));
        }
        let channels = parameters
            .channels
            .as_ref()
            .map_or(1, |channels| channels.count());
        let mixer = Self {
            kind,
            rate,
            minutes,
            most_frames: u64::from(rate) * 60 * u64::from(minutes),
            frames: 0,
            channels,
            interleaved: Vec::new(),
            mono: Vec::new(),
            resampler: Resampler::new(rate, RATE),
            samples: Vec::new(),
        };
        mixer.check(rate, channels)?;
        Ok(mixer)
    }

    /// Refuses what no one would send, and what changes on the way (only a damaged or a forged file does).
    fn check(&self, rate: u32, channels: usize) -> Result<(), AudioError> {
        if channels > MAX_CHANNELS {
            return Err(too_large(
                format!("{channels} channels"),
                MAX_CHANNELS.to_string(),
            ));
        }
        if rate != self.rate || channels != self.channels || channels == 0 {
            return Err(AudioError::invalid(
                self.kind,
                format!(
                    "it goes from {} Hz and {} channels to {rate} Hz and {channels}",
                    self.rate, self.channels
                ),
            ));
        }
        Ok(())
    }

    /// Takes what is in `interleaved`.
    fn mix(&mut self) -> Result<(), AudioError> {
        self.frames += (self.interleaved.len() / self.channels) as u64;
        if self.frames > self.most_frames {
            return Err(AudioError::TooLong { limit: self.minutes });
        }
        let share = 1.0 / self.channels as f32;
        self.mono.clear();
        // A file of floating point numbers may hold anything.
        let frames = self.interleaved.chunks_exact(self.channels);
        self.mono.extend(frames.map(|frame| {
            let mean = frame.iter().sum::<f32>() * share;
            if mean.is_finite() {
                mean.clamp(-1.0, 1.0)
            } else {
                0.0
            }
        }));
        self.resampler.push(&self.mono, &mut self.samples);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<f32>, ModelError> {
        if self.frames == 0 {
            return Err(AudioError::invalid(self.kind, "it holds no samples").into());
        }
        self.resampler.finish(&mut self.samples);
        Ok(self.samples)
    }
}

#[cfg(test)]
mod tests;

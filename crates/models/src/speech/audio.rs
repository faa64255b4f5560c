//! Decodes untrusted audio files: detects the type by the content, enforces limits, and gives the samples, mono at 16 kHz.
//!
//! The length is counted while decoding, whatever the file states, so a small file can't take much memory or time. Tags and
//! pictures are not used, but the readers of FLAC, Ogg and WAV keep them in memory: `metadata` limits them before. A file that
//! ends before the length that it states is refused. An MP3 rarely states its length, so a truncated one is decoded as far as
//! it goes.

use std::io::ErrorKind;

use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::default::codecs::{FlacDecoder, MpaDecoder, PcmDecoder, VorbisDecoder};
use symphonia::default::formats::{FlacReader, MpaReader, OggReader, WavReader};

pub use super::container::sniff;
use super::container::without_tags;
use super::error::AudioError;
pub use super::kind::AudioKind;
use super::metadata;
use super::resample::Resampler;
use crate::contain::{DECODER_PANICKED, contain};
use crate::source::{IsInterrupted, Source};
use crate::{Interrupt, ModelError};

/// The maximum size of a file, in bytes (50 MiB).
pub const MAX_BYTES: usize = 50 * 1024 * 1024;
/// The maximum length of a recording, in minutes: 115 MB of samples, which take [`SpeechModel`](crate::SpeechModel) a few
/// minutes.
pub const MAX_MINUTES: u32 = 30;
/// The supported sample rates, in Hz. Speech below 4 kHz is unintelligible, and devices do not record above 192 kHz.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// The maximum number of channels: 7.1 surround has 8.
const MAX_CHANNELS: usize = 8;
/// The sample rate of the output, in Hz.
pub(super) const RATE: u32 = 16_000;
/// Packets that can't be decoded are skipped, as players do. If more than one in this many is, the file is damaged. (The
/// first packets of a cut MP3 refer to ones that are missing.)
const PACKETS_PER_BAD_PACKET: usize = 10;

/// Decodes a file within the limits to samples at 16 kHz, the mean of all channels. They are from -1 to 1, or beyond it where
/// the resampling of clipped sound overshoots.
///
/// # Errors
/// [`ModelError::Input`] with the first of these that fails: bytes, type, head, rate and channels, length, content.
/// [`ModelError::Interrupted`].
pub(super) fn decode(file: &[u8], interrupt: &Interrupt) -> Result<Vec<f32>, ModelError> {
    decode_up_to(file, MAX_MINUTES, interrupt)
}

fn decode_up_to(file: &[u8], max_minutes: u32, interrupt: &Interrupt) -> Result<Vec<f32>, ModelError> {
    if file.len() > MAX_BYTES {
        return Err(too_large(
            format!("{} bytes", file.len()),
            format!("{MAX_BYTES} bytes ({} MiB)", MAX_BYTES >> 20),
        )
        .into());
    }
    let kind = sniff(file)?;
    let is_interrupted = || interrupt.is_triggered();
    let decoded = contain(|| decode_kind(kind, file, max_minutes, &is_interrupted));
    // To the decoder, an interrupt is a file that can't be read.
    interrupt.check()?;
    decoded.unwrap_or_else(|| Err(AudioError::invalid(kind, DECODER_PANICKED).into()))
}

fn decode_kind(
    kind: AudioKind,
    file: &[u8],
    max_minutes: u32,
    is_interrupted: IsInterrupted<'_>,
) -> Result<Vec<f32>, ModelError> {
    let failed = |error| decoder_error(error, kind);
    let file = without_tags(file);
    metadata::check(kind, file, is_interrupted)?;
    let source = Source::new(file, is_interrupted);
    let mut reader = open(kind, source).map_err(failed)?;
    let track = reader
        .default_track(TrackType::Audio)
        .ok_or_else(|| AudioError::invalid(kind, "it has no audio track"))?;
    let (id, stated_frames) = (track.id, track.num_frames);
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or_else(|| AudioError::invalid(kind, "it has no audio track"))?;
    let mut downmixer = Downmixer::new(kind, parameters, max_minutes)?;
    if stated_frames.is_some_and(|frames| frames > downmixer.max_frames) {
        return Err(AudioError::TooLong { limit: max_minutes }.into());
    }
    let mut decoder = decoder(kind, parameters).map_err(failed)?;

    let (mut packets, mut bad_packets) = (0, 0);
    while let Some(packet) = next_packet(&mut *reader, kind)? {
        // A packet may come from what was read before.
        if is_interrupted() {
            return Err(ModelError::Interrupted);
        }
        if packet.track_id != id {
            continue;
        }
        packets += 1;
        match decoder.decode(&packet) {
            Ok(decoded) => {
                downmixer.check(decoded.spec().rate(), decoded.spec().channels().count())?;
                decoded.copy_to_vec_interleaved(&mut downmixer.interleaved);
                downmixer.add_interleaved()?;
            }
            Err(Error::DecodeError(_)) => bad_packets += 1,
            Err(error) => return Err(failed(error).into()),
        }
    }
    if bad_packets * PACKETS_PER_BAD_PACKET > packets {
        return Err(AudioError::invalid(kind, "its content can't be decoded").into());
    }
    // Some headers round the length up to whole packets, so a complete recording may have a little less than stated.
    if stated_frames.is_some_and(|frames| downmixer.frames < frames - frames / 50) {
        return Err(AudioError::invalid(kind, "its end is missing").into());
    }
    downmixer.finish()
}

fn open(kind: AudioKind, source: Source<'_>) -> Result<Box<dyn FormatReader + '_>, Error> {
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
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
        // A second stream follows the first. Only the first one is decoded.
        Err(Error::ResetRequired) => Ok(None),
        result => result.map_err(|error| decoder_error(error, kind)),
    }
}

fn decoder_error(error: Error, kind: AudioKind) -> AudioError {
    match error {
        Error::Unsupported(feature) => AudioError::Unsupported {
            found: format!("this variant of {kind} ({feature})"),
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

/// Converts decoded packets to mono at 16 kHz.
struct Downmixer {
    kind: AudioKind,
    rate: u32,
    max_minutes: u32,
    /// The maximum number of frames at this rate. A frame is one sample of each channel.
    max_frames: u64,
    /// The number of frames so far.
    frames: u64,
    channels: usize,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
    resampler: Resampler,
    samples: Vec<f32>,
}

impl Downmixer {
    fn new(kind: AudioKind, parameters: &AudioCodecParameters, max_minutes: u32) -> Result<Self, AudioError> {
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
                format!("its header states {rate} samples a second"),
            ));
        }
        let channels = parameters
            .channels
            .as_ref()
            .map_or(1, |channels| channels.count());
        let downmixer = Self {
            kind,
            rate,
            max_minutes,
            max_frames: u64::from(rate) * 60 * u64::from(max_minutes),
            frames: 0,
            channels,
            interleaved: Vec::new(),
            mono: Vec::new(),
            resampler: Resampler::new(rate, RATE),
            samples: Vec::new(),
        };
        downmixer.check(rate, channels)?;
        Ok(downmixer)
    }

    /// Refuses too many channels, and a rate or number of channels that changes, as it does only in a damaged or forged file.
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
                    "it changes from {} Hz and {} channels to {rate} Hz and {channels}",
                    self.rate, self.channels
                ),
            ));
        }
        Ok(())
    }

    /// Adds the frames in `interleaved`.
    fn add_interleaved(&mut self) -> Result<(), AudioError> {
        self.frames += (self.interleaved.len() / self.channels) as u64;
        if self.frames > self.max_frames {
            return Err(AudioError::TooLong {
                limit: self.max_minutes,
            });
        }
        let weight = 1.0 / self.channels as f32;
        self.mono.clear();
        // A file of floating point samples may contain any value.
        let frames = self.interleaved.chunks_exact(self.channels);
        self.mono.extend(frames.map(|frame| {
            let mean = frame.iter().sum::<f32>() * weight;
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
            return Err(AudioError::invalid(self.kind, "it contains no samples").into());
        }
        self.resampler.finish(&mut self.samples);
        Ok(self.samples)
    }
}

#[cfg(test)]
mod tests;

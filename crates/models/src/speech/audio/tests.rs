use std::sync::atomic::{AtomicUsize, Ordering};

use symphonia::core::checksum::{Crc8Ccitt, Crc16Ansi};
use symphonia::core::io::Monitor;

use super::*;
use crate::InputError;
use crate::testing::{PCM, clip, wav, wav_of};

fn samples(file: &[u8]) -> Vec<f32> {
    decode(file, &Interrupt::new()).unwrap()
}

fn refusal(file: &[u8]) -> AudioError {
    match decode(file, &Interrupt::new()) {
        Err(ModelError::Input(InputError::Audio(error))) => error,
        Err(error) => panic!("{error}"),
        Ok(samples) => panic!("{} samples", samples.len()),
    }
}

/// One second of 400 Hz at half of full scale.
fn tone(rate: u32) -> Vec<f32> {
    (0..rate)
        .map(|i| 0.5 * (std::f32::consts::TAU * 400.0 * i as f32 / rate as f32).sin())
        .collect()
}

fn loudness(samples: &[f32]) -> Vec<f32> {
    let power = |block: &[f32]| block.iter().map(|x| x * x).sum::<f32>() / block.len() as f32;
    samples.chunks(1_600).map(|block| power(block).sqrt()).collect()
}

#[test]
fn every_type_decodes_to_the_same_speech() {
    let reference = loudness(&samples(&clip("tried.flac")));
    for name in ["tried.mp3", "tried.ogg"] {
        let decoded = samples(&clip(name));
        assert!(
            decoded.len().abs_diff(41_600) < 1_600,
            "{name}: {}",
            decoded.len()
        );
        for (block, (found, expected)) in loudness(&decoded).iter().zip(&reference).enumerate() {
            assert!(
                (found - expected).abs() < 0.03,
                "{name}, block {block}: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn every_sample_width_decodes_to_the_same_tone() {
    let expected = tone(RATE);
    for (bits, precision) in [(8, 0.02), (16, 0.002), (24, 0.002), (32, 0.002)] {
        for (rate, channels) in [(16_000, 1), (48_000, 2), (8_000, 1), (44_100, 6)] {
            let found = samples(&wav_of(PCM, bits, rate, channels, &tone(rate)));
            assert!(found.len().abs_diff(expected.len()) <= 1, "{}", found.len());
            for i in 500..15_500 {
                let error = (found[i] - expected[i]).abs();
                assert!(
                    error < precision,
                    "{bits} bits, {rate} Hz, {channels} channels, sample {i}: off by {error}"
                );
            }
        }
    }
}

#[test]
fn channels_are_averaged() {
    let left_only: Vec<u8> = (0..16_000)
        .flat_map(|_| [8_192_i16.to_le_bytes(), 0_i16.to_le_bytes()].concat())
        .collect();
    let file = crate::testing::riff(PCM, 16, 16_000, 2, &left_only);
    assert!(samples(&file).iter().all(|x| (x - 0.125).abs() < 1e-4));
}

#[test]
fn non_finite_samples_are_silence_and_others_are_clamped() {
    const FLOAT: u16 = 3;
    let mut values = vec![f32::NAN; 1_000];
    values.extend([f32::INFINITY, 1e30, -1e30]);
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let found = samples(&crate::testing::riff(FLOAT, 32, 16_000, 1, &bytes));
    assert_eq!(found[..1_001], vec![0.0; 1_001]);
    assert_eq!(found[1_001..], [1.0, -1.0]);
}

#[test]
fn type_is_detected_by_the_content() {
    for (name, kind) in [
        ("tried.flac", AudioKind::Flac),
        ("tried.mp3", AudioKind::Mp3),
        ("tried.ogg", AudioKind::Ogg),
    ] {
        assert_eq!(sniff(&clip(name)), Ok(kind));
    }
    let tag = [&b"ID3\x04\0\0\0\0\x01\x05"[..], &[7; 0x85]].concat();
    assert_eq!(sniff(&[&tag, &*clip("tried.mp3")].concat()), Ok(AudioKind::Mp3));
    assert_eq!(
        samples(&[&tag, &*clip("tried.mp3")].concat()),
        samples(&clip("tried.mp3"))
    );
}

#[test]
fn unsupported_type_is_named_with_what_to_send() {
    let page = |codec: &[u8]| [b"OggS\0\x02".as_slice(), &[0; 20], &[1, 19], codec, &[0; 11]].concat();
    for (file, found) in [
        (vec![], "an empty file"),
        (b"What a lovely day!".to_vec(), "this file (its first bytes"),
        (page(b"OpusHead"), "Opus"),
        (page(b"\x7fFLAC"), "without Vorbis"),
        (b"\0\0\0\x20ftypM4A isom".to_vec(), "M4A"),
        (vec![0xff, 0xf1, 0x50, 0x80, 0, 0], "AAC"),
        (b"\x1a\x45\xdf\xa3\x9f\x42".to_vec(), "WebM"),
        (b"ID3\x04\0\0\x7f\x7f\x7f\x7f".to_vec(), "an empty file"),
        (b"RIFF\x10\0\0\0AVI LIST".to_vec(), "variant of"),
        (crate::testing::riff(0x55, 16, 16_000, 1, &[0; 64]), "variant of"),
    ] {
        let error = refusal(&file);
        assert!(matches!(error, AudioError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(found), "{found}: {error}");
        assert!(
            error.to_string().contains("send a WAV, FLAC, MP3 or Ogg Vorbis"),
            "{error}"
        );
    }
}

#[test]
fn truncated_or_damaged_file_is_refused() {
    let files = [("FLAC", clip("tried.flac")), ("WAV", wav(16_000, &tone(16_000)))];
    for (kind, file) in files {
        for length in [5 * file.len() / 100, file.len() / 2, 9 * file.len() / 10] {
            let error = refusal(&file[..length]);
            assert!(
                matches!(error, AudioError::Invalid { .. }),
                "{kind}, {length} bytes: {error}"
            );
            assert!(error.to_string().contains(kind), "{error}");
        }
    }
    let mut file = clip("tried.flac");
    let half = file.len() / 2;
    file[half..].fill(0x55);
    let error = refusal(&file);
    assert!(matches!(error, AudioError::Invalid { .. }), "{error}");
}

#[test]
fn truncated_mp3_is_decoded_since_it_states_no_length() {
    let file = clip("tried.mp3");
    let rest = samples(&file[..file.len() / 2]);
    assert!(rest.len().abs_diff(20_800) < 1_600, "{}", rest.len());
}

#[test]
fn file_without_samples_is_refused_and_one_sample_is_enough() {
    let error = refusal(&wav(16_000, &[]));
    assert!(matches!(error, AudioError::Invalid { .. }), "{error}");
    assert!(error.to_string().contains("no samples"), "{error}");
    assert_eq!(samples(&wav(16_000, &[0.5])).len(), 1);
    assert!(samples(&wav(8_000, &[0.5])).len() <= 2);
}

#[test]
fn limits_are_enforced_with_advice() {
    let silence = |bytes: usize| vec![128; bytes];
    let long = crate::testing::riff(PCM, 8, 8_000, 1, &silence(31 * 60 * 8_000));
    let error = refusal(&long);
    assert!(matches!(error, AudioError::TooLong { .. }), "{error}");
    assert!(error.to_string().contains("30 minutes"), "{error}");

    // A recorder that does not know the length states the maximum, so the samples are counted.
    let mut endless = long;
    endless[4..8].fill(0xff);
    endless[40..44].fill(0xff);
    let error = refusal(&endless);
    assert!(matches!(error, AudioError::TooLong { .. }), "{error}");
    let samples = decode_up_to(&endless, 32, &Interrupt::new());
    assert!(matches!(
        &samples,
        Ok(_) | Err(ModelError::Input(InputError::Audio(AudioError::Invalid { .. })))
    ));

    for (rate, channels) in [(16_000, 9), (400_000, 1)] {
        let error = refusal(&wav_of(PCM, 16, rate, channels, &tone(1_000)));
        assert!(
            matches!(error, AudioError::TooLarge { .. }),
            "{rate} Hz, {channels} channels: {error}"
        );
    }
    let error = refusal(&wav_of(PCM, 16, 1_000, 1, &tone(1_000)));
    assert!(matches!(error, AudioError::Invalid { .. }), "{error}");
    let error = refusal(&vec![0; MAX_BYTES + 1]);
    assert!(matches!(error, AudioError::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("50 MiB"), "{error}");
}

#[test]
fn header_with_too_many_channels_is_refused() {
    let mut file = wav(16_000, &tone(1_000));
    file[22..24].copy_from_slice(&40_000_u16.to_le_bytes());
    assert!(refusal(&file).to_string().contains("WAV"), "{}", refusal(&file));
}

#[test]
fn interrupt_ends_decoding() {
    let interrupt = Interrupt::new();
    interrupt.trigger();
    let result = decode(&wav(16_000, &tone(16_000)), &interrupt);
    assert!(matches!(result, Err(ModelError::Interrupted)));
}

/// Three bytes that look like the start of a frame, again and again: no frame follows another, so that the decoder searches on.
fn starts_of_frames(bytes: usize) -> Vec<u8> {
    b"\xff\xfb\xea".repeat(bytes / 3)
}

/// How often decoding a file checks whether it is interrupted, if that is so from check number `at` on.
fn checks_of_interrupted(file: &[u8], at: usize) -> usize {
    let checks = AtomicUsize::new(0);
    let is_interrupted = || checks.fetch_add(1, Ordering::Relaxed) >= at;
    let kind = sniff(file).unwrap();
    let decoded = decode_kind(kind, file, MAX_MINUTES, &is_interrupted);
    assert!(
        decoded.is_err() || at == usize::MAX,
        "{kind}, interrupted at {at}"
    );
    checks.into_inner()
}

#[test]
fn an_interrupt_ends_the_work_on_a_file_soon() {
    let mp3 = clip("tried.mp3");
    // The decoder searches for the next frame both at the start and later.
    let mut gap = mp3[..mp3.len() / 2].to_vec();
    gap.extend(starts_of_frames(100_000));
    gap.extend(&mp3[mp3.len() / 2..]);
    for (name, file) in [
        ("WAV", wav(16_000, &tone(16_000))),
        ("FLAC", clip("tried.flac")),
        ("Ogg", clip("tried.ogg")),
        ("MP3", mp3.clone()),
        ("MP3 with a gap", gap),
        ("MP3 that starts late", [starts_of_frames(100_000), mp3].concat()),
    ] {
        let all = checks_of_interrupted(&file, usize::MAX);
        for at in [0, 1, all / 4, all / 2] {
            let checks = checks_of_interrupted(&file, at);
            assert!(
                (at + 1..=at + 10).contains(&checks),
                "{name}: {checks} checks, interrupted at {at} of {all}"
            );
        }
    }
}

/// Each block of the file that the decoder reads is checked before.
#[test]
fn a_search_for_the_first_frame_is_interrupted() {
    let file = starts_of_frames(200_000);
    let checks = AtomicUsize::new(0);
    let is_interrupted = || checks.fetch_add(1, Ordering::Relaxed) >= 4;
    assert!(decode_kind(AudioKind::Mp3, &file, MAX_MINUTES, &is_interrupted).is_err());
    let checks = checks.into_inner();
    assert!((5..10).contains(&checks), "{checks}");

    let interrupt = Interrupt::new();
    interrupt.trigger();
    let decoded = decode(&file, &interrupt);
    assert!(matches!(decoded, Err(ModelError::Interrupted)));
}

/// A FLAC file of one channel at 16 kHz with this many packets of a few bytes, each of 256 equal samples.
fn flac_of_small_packets(packets: u32) -> Vec<u8> {
    let mut file = b"fLaC\x80\0\0\x22\x01\0\x01\0\0\0\0\0\0\0\x03\xe8\0\xf0".to_vec();
    file.extend((packets * 256).to_be_bytes());
    file.extend([0; 16]);
    for number in 0..packets {
        let mut packet = b"\xff\xf8\x85\x08".to_vec();
        // The format uses the encoding of UTF-8.
        let number = char::from_u32(number).unwrap();
        packet.extend(number.encode_utf8(&mut [0; 4]).bytes());
        let mut checksum = Crc8Ccitt::new(0);
        checksum.process_buf_bytes(&packet);
        packet.push(checksum.crc());
        packet.extend(b"\0\x20\0");
        let mut checksum = Crc16Ansi::new(0);
        checksum.process_buf_bytes(&packet);
        packet.extend(checksum.crc().to_be_bytes());
        file.extend(packet);
    }
    file
}

/// A block of the file that the decoder reads may have thousands of packets, and each of these may be seconds of sound.
#[test]
fn each_packet_is_checked_though_it_was_read_with_others() {
    let packets = 1_200;
    let file = flac_of_small_packets(packets);
    assert_eq!(samples(&file), vec![0.25; 256 * packets as usize]);
    let all = checks_of_interrupted(&file, usize::MAX);
    assert!(all > packets as usize, "{all} checks of {packets} packets");
    let checks = checks_of_interrupted(&file, all / 2);
    assert_eq!(checks, all / 2 + 1);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(200))]

    #[test]
    fn damaged_file_is_decoded_or_refused(kind in 0..4_usize, place in 0.0..1.0_f64, bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..20)) {
        let mut file = match kind {
            0 => clip("tried.flac"),
            1 => clip("tried.mp3"),
            2 => clip("tried.ogg"),
            _ => wav(16_000, &tone(16_000)),
        };
        let start = (place * place * place * (file.len() - bytes.len()) as f64) as usize;
        file[start..start + bytes.len()].copy_from_slice(&bytes);
        match decode(&file, &Interrupt::new()) {
            // The filter between rates exceeds what it filters, most where samples are clipped.
            Ok(samples) => assert!(samples.iter().all(|x| x.abs() <= 3.0)),
            Err(error) => {
                let is_refused = matches!(error, ModelError::Input(_));
                assert!(is_refused && !error.to_string().contains(DECODER_PANICKED), "{error}");
            }
        }
    }
}

use symphonia::core::checksum::Crc32;
use symphonia::core::io::Monitor;

use self::codebooks::setup_packet;
use super::ogg::MAX_STREAMS;
use super::*;
use crate::testing::{clip, wav};
use crate::{InputError, Interrupt, ModelError};

mod codebooks;

/// The check's verdict.
fn checked(kind: AudioKind, file: &[u8]) -> Result<(), AudioError> {
    match check(kind, file, &|| false) {
        Ok(()) => Ok(()),
        Err(ModelError::Input(InputError::Audio(error))) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

/// Asserts that the file is refused with this text, both by the check and by what decodes files.
fn assert_refused(kind: AudioKind, file: &[u8], text: &str) {
    let error = checked(kind, file).unwrap_err();
    assert!(error.to_string().contains(text), "{text}: {error}");
    let decoded = super::super::audio::decode(file, &Interrupt::new());
    assert_eq!(
        decoded.unwrap_err().to_string(),
        ModelError::from(error).to_string()
    );
}

fn assert_decoded(file: &[u8]) {
    let samples = super::super::audio::decode(file, &Interrupt::new()).unwrap();
    assert!(!samples.is_empty());
}

fn comments(count: usize) -> Vec<u8> {
    let mut block = b"\x01\0\0\0x".to_vec();
    block.extend((count as u32).to_le_bytes());
    block.extend(b"\x02\0\0\0a=".repeat(count));
    block
}

/// The FLAC clip with blocks of metadata after its first one.
fn flac(blocks: &[(u8, Vec<u8>)]) -> Vec<u8> {
    const STREAM_INFO_END: usize = 42;
    let clip = clip("tried.flac");
    let mut file = clip[..STREAM_INFO_END].to_vec();
    file[4] = 0;
    for (kind, body) in blocks {
        file.push(*kind);
        file.extend(&(body.len() as u32).to_be_bytes()[1..]);
        file.extend(body);
    }
    // An empty padding block, if the clip's first block was its only one.
    if clip[4] & 0x80 != 0 {
        file.extend([0x81, 0, 0, 0]);
    }
    file.extend(&clip[STREAM_INFO_END..]);
    file
}

/// The WAV clip with chunks before its `fmt ` chunk.
fn wav_with(chunks: &[u8]) -> Vec<u8> {
    let clip = wav(16_000, &[0.25; 1_600]);
    let mut file = [&clip[..12], chunks, &clip[12..]].concat();
    let bytes = file.len() as u32 - 8;
    file[4..8].copy_from_slice(&bytes.to_le_bytes());
    file
}

fn list(tags: usize) -> Vec<u8> {
    let body = [b"INFO".to_vec(), b"IART\x01\0\0\0a\0".repeat(tags)].concat();
    [&b"LIST"[..], &(body.len() as u32).to_le_bytes(), &body].concat()
}

const CONTINUES: u8 = 1;
const FIRST: u8 = 2;

fn page(flags: u8, serial: u32, sequence: u32, segments: &[u8], body: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend([0; 8]);
    page.extend(serial.to_le_bytes());
    page.extend(sequence.to_le_bytes());
    page.extend([0; 4]);
    page.push(segments.len() as u8);
    page.extend(segments);
    page.extend(body);
    let mut checksum = Crc32::new(0);
    checksum.process_buf_bytes(&page);
    page[22..26].copy_from_slice(&checksum.crc().to_le_bytes());
    page
}

/// The pages of a packet, of which each has this many segments at most.
fn pages(sequence: &mut u32, flags: u8, serial: u32, packet: &[u8], max_segments: usize) -> Vec<u8> {
    let mut segments = vec![255; packet.len() / 255];
    segments.push((packet.len() % 255) as u8);
    let (mut file, mut at) = (Vec::new(), 0);
    for (number, segments) in segments.chunks(max_segments).enumerate() {
        let bytes: usize = segments.iter().copied().map(usize::from).sum();
        let flags = if number == 0 { flags } else { CONTINUES };
        file.extend(page(flags, serial, *sequence, segments, &packet[at..at + bytes]));
        *sequence += 1;
        at += bytes;
    }
    file
}

fn first_packet() -> Vec<u8> {
    [
        b"\x01vorbis\0\0\0\0\x01\x80\x3e\0\0".as_slice(),
        &[0; 12],
        &[0x88, 1],
    ]
    .concat()
}

/// A file of a stream with these packets after its first one.
fn ogg(packets: &[Vec<u8>], max_segments: usize) -> Vec<u8> {
    let mut sequence = 0;
    let mut file = pages(&mut sequence, FIRST, 1, &first_packet(), 255);
    for packet in packets {
        file.extend(pages(&mut sequence, 0, 1, packet, max_segments));
    }
    file
}

fn comment_packet(count: usize) -> Vec<u8> {
    [b"\x03vorbis".to_vec(), comments(count), vec![1]].concat()
}

#[test]
fn clips_are_accepted() {
    for (kind, name) in [
        (AudioKind::Flac, "tried.flac"),
        (AudioKind::Mp3, "tried.mp3"),
        (AudioKind::Ogg, "tried.ogg"),
    ] {
        assert_eq!(checked(kind, &clip(name)), Ok(()));
    }
}

#[test]
fn a_few_hundred_tags_are_accepted() {
    assert_decoded(&flac(&[(4, comments(300)), (6, picture())]));
    assert_decoded(&wav_with(&list(300)));
    let clip = clip("tried.ogg");
    let serial = u32_at(&clip[14..]) as u32;
    let (first, rest) = clip.split_at(58);
    let tags = pages(&mut 0, 0, serial, &comment_packet(300), 255);
    assert_decoded(&[first, &tags, rest].concat());
}

fn picture() -> Vec<u8> {
    [&[0, 0, 0, 3], &[0; 24][..], &[0, 0, 0, 3], b"jpg"].concat()
}

/// The reader takes 180 bytes for a comment of 6: 1.5 GB for a file of 50 MB.
#[test]
fn a_flac_of_many_comments_is_refused() {
    let text = "10001 or more tags";
    assert_refused(AudioKind::Flac, &flac(&[(4, comments(MAX_ENTRIES + 1))]), text);
    let many = vec![(4, comments(MAX_ENTRIES / 3)); 4];
    assert_refused(AudioKind::Flac, &flac(&many), text);
    // A block that ends before the stated number of comments.
    let mut cut = comments(MAX_ENTRIES + 1);
    cut[5..9].fill(0xff);
    assert_refused(AudioKind::Flac, &flac(&[(4, cut)]), text);
    assert_eq!(
        checked(AudioKind::Flac, &flac(&[(4, comments(MAX_ENTRIES - 100))])),
        Ok(())
    );
}

/// The reader takes 250 bytes for a picture of 36. It sorts seek points in a time that grows with the square of their number.
#[test]
fn a_flac_of_many_pictures_or_seek_points_is_refused() {
    let pictures = vec![(6, picture()); MAX_ENTRIES + 1];
    assert_refused(AudioKind::Flac, &flac(&pictures), "10001 or more tags, pictures");
    let points = vec![(3, vec![0; 18 * 900_000])];
    assert_refused(
        AudioKind::Flac,
        &flac(&points),
        "or more tags, pictures and seek points",
    );
}

/// A FLAC that states more than it has is left to the reader, which reads no more than there is.
#[test]
fn a_damaged_head_is_left_to_the_reader() {
    for block in [
        vec![],
        vec![0xff; 4],
        vec![0xff; 12],
        [&[0; 4][..], &[0xff; 4], &[0xff; 8]].concat(),
    ] {
        assert_eq!(checked(AudioKind::Flac, &flac(&[(4, block.clone())])), Ok(()));
        let packet = [b"\x03vorbis".to_vec(), block].concat();
        assert_eq!(checked(AudioKind::Ogg, &ogg(&[packet], 255)), Ok(()));
    }
    assert_eq!(checked(AudioKind::Flac, b"fLaC\x04\xff\xff"), Ok(()));
    assert_eq!(
        checked(AudioKind::Wav, b"RIFF\0\0\0\0WAVELIST\x01\0\0\0INFO"),
        Ok(())
    );
}

/// The reader takes 230 bytes for a tag of 10: 1.1 GB for a file of 50 MB.
#[test]
fn a_wav_of_many_tags_is_refused() {
    let text = "10001 or more tags";
    assert_refused(AudioKind::Wav, &wav_with(&list(MAX_ENTRIES)), text);
    assert_refused(AudioKind::Wav, &wav_with(&list(3).repeat(MAX_ENTRIES / 3)), text);
    assert_refused(AudioKind::Wav, &wav_with(&list(0).repeat(MAX_ENTRIES + 1)), text);
    // A recorder that does not know the length states the maximum.
    let mut endless = wav_with(&list(MAX_ENTRIES));
    endless[4..8].fill(0xff);
    endless[16..20].fill(0xff);
    assert_refused(AudioKind::Wav, &endless, text);
}

#[test]
fn an_ogg_of_many_comments_is_refused() {
    let setup = setup_packet(1, 1, 2);
    let text = "10001 or more tags";
    for packets in [
        vec![comment_packet(MAX_ENTRIES), setup.clone()],
        vec![setup, comment_packet(MAX_ENTRIES)],
        vec![comment_packet(0); MAX_ENTRIES + 1],
    ] {
        for max_segments in [2, 255] {
            assert_refused(AudioKind::Ogg, &ogg(&packets, max_segments), text);
        }
    }
}

/// The reader takes 2 kB for a stream of 58 bytes: 1.6 GB for a file of 50 MB.
#[test]
fn an_ogg_of_many_streams_is_refused() {
    let streams = |count: u32| -> Vec<u8> {
        let first = |serial| page(FIRST, serial, 0, &[30], &first_packet());
        let rest = ogg(&[comment_packet(0), setup_packet(1, 1, 2)], 255);
        (0..count).flat_map(first).chain(rest).collect()
    };
    assert_refused(
        AudioKind::Ogg,
        &streams(MAX_STREAMS as u32),
        "65 or more logical streams",
    );
    assert_eq!(checked(AudioKind::Ogg, &streams(MAX_STREAMS as u32 - 1)), Ok(()));
    // Each setup header is kept for the decoder.
    let setups = vec![setup_packet(1, 1, 2); MAX_STREAMS + 1];
    assert_refused(AudioKind::Ogg, &ogg(&setups, 255), "64 setup headers");
}

#[test]
fn an_ogg_with_another_codec_is_refused() {
    for codec in [b"\x7fFLAC\x01\0".as_slice(), b"OpusHead\x01\x01"] {
        let other = page(FIRST, 2, 0, &[codec.len() as u8], codec);
        let file = [page(FIRST, 1, 0, &[30], &first_packet()), other].concat();
        assert_refused(AudioKind::Ogg, &file, "FLAC or Opus audio beside Vorbis");
    }
}

/// What the reader finds after a damaged page, and inside it, is found too.
#[test]
fn pages_are_found_as_the_reader_finds_them() {
    let bomb = setup_packet(64, 31, 131_072);
    let first = ogg(&[], 255);
    let setup = |sequence: u32| pages(&mut sequence.clone(), 0, 1, &bomb, 255);
    let damaged = |body: &[u8]| {
        let segments = vec![255; body.len() / 255 + 1];
        let mut page = page(0, 1, 1, &segments, &[body, &[0; 255]].concat());
        page[22] ^= 1;
        page
    };
    for before in [
        b"junk Ogg".to_vec(),
        // A version, or flags, that no page has.
        [b"OggS\x01".to_vec(), vec![0; 22]].concat(),
        [b"OggS\0\xff".to_vec(), vec![0; 21]].concat(),
        // A packet that is cut off by the next page.
        page(0, 1, 1, &[255], &[0; 255]),
        // The end of a packet whose start is missing, before the header on the same page.
        page(CONTINUES, 1, 1, &[255, 0], &[0; 255]),
    ] {
        let file = [first.clone(), before, setup(2)].concat();
        assert_refused(AudioKind::Ogg, &file, "its codebooks have");
    }
    let inside = [first.clone(), damaged(&setup(2))].concat();
    assert_refused(AudioKind::Ogg, &inside, "its codebooks have");
    let flood = [first, damaged(&[]).repeat(1_001)].concat();
    assert_refused(AudioKind::Ogg, &flood, "more than 1000 of its pages are damaged");
}

#[test]
fn the_check_of_an_ogg_is_interrupted() {
    let result = check(AudioKind::Ogg, &clip("tried.ogg"), &|| true);
    assert!(matches!(result, Err(ModelError::Interrupted)));
}

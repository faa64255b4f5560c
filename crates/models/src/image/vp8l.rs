//! Measures what a lossless WebP's prefix codes take of the decoder's memory, without decoding the picture.
//!
//! A picture may have up to 65,536 groups of five prefix codes (RFC 9649, section 3). The decoder builds the tables of all of
//! them, used or not, and a code that takes two bytes of the file may take 4 KiB of tables. So a file of 700 kB can take 4 GB.
//! The groups follow the transforms and the entropy image, which have codes of their own, so these are read first. Only the
//! lengths of codes and the highest number of a group matter, hence no pixels are stored.

use std::io::{self, BufRead, ErrorKind};

use super::{ImageError, ImageKind};

/// The most that the tables may take, in bytes. An encoder of photographs writes up to 2,600 groups, of about 25 KiB each.
pub(super) const MAX_TABLE_BYTES: u64 = 128 * 1024 * 1024;

/// The symbols of each code of a group: green with lengths, red, blue, alpha, and distances.
const ALPHABETS: [usize; 5] = [256 + LENGTH_SYMBOLS, 256, 256, 256, 40];
const LENGTH_SYMBOLS: usize = 24;
/// The order in which the lengths of the code of code lengths are stored.
const LENGTH_ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const MAX_LENGTH: usize = 15;
/// The decoder has a table of the codes up to this length, and two nodes of a tree for each longer one.
const TABLE_LENGTH: usize = 10;
/// What a group takes in the list of groups, which is copied when it grows.
const GROUP_BYTES: u64 = 1024;

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

/// Reads a stream of a picture of this size up to its pixels. The memory and the time that it takes are bounded by the size,
/// so the size has to be checked.
///
/// # Errors
/// [`ImageError::TooLarge`] if the tables take more than [`MAX_TABLE_BYTES`], [`ImageError::Invalid`] if the stream violates
/// its format.
pub(super) fn check_tables(stream: impl BufRead, size: (u32, u32)) -> Result<(), ImageError> {
    let groups = count_groups(stream, size).map_err(|error| ImageError::invalid(ImageKind::WebP, error))?;
    groups.map_err(|groups| {
        ImageError::too_large(
            format!("{groups} groups of Huffman codes"),
            format!("{} MiB for their tables", MAX_TABLE_BYTES >> 20),
        )
    })
}

/// The number of groups is an error if their tables take too much.
fn count_groups(stream: impl BufRead, (width, height): (u32, u32)) -> io::Result<Result<(), usize>> {
    let mut bits = Bits::new(stream);
    let mut width = width;
    let mut seen = [false; 4];
    while bits.read(1)? == 1 {
        let transform = bits.read(2)? as usize;
        if std::mem::replace(&mut seen[transform], true) {
            return Err(invalid("a transform is repeated"));
        }
        match transform {
            // The predictors, or the factors of colors, of blocks.
            0 | 1 => {
                let size = blocks(&mut bits, (width, height))?;
                read_image(&mut bits, size)?;
            }
            2 => {}
            // A palette. With few colors, several pixels are one.
            _ => {
                let colors = bits.read(8)? + 1;
                read_image(&mut bits, (colors, 1))?;
                let pixels = match colors {
                    ..=2 => 8,
                    3..=4 => 4,
                    5..=16 => 2,
                    _ => 1,
                };
                width = width.div_ceil(pixels);
            }
        }
    }
    let cache = read_cache(&mut bits)?;
    let groups = if bits.read(1)? == 1 {
        let size = blocks(&mut bits, (width, height))?;
        read_image(&mut bits, size)? + 1
    } else {
        1
    };
    let mut table_bytes = 0;
    for _ in 0..groups {
        table_bytes += Group::read(&mut bits, cache)?.table_bytes();
        if table_bytes > MAX_TABLE_BYTES {
            return Ok(Err(groups));
        }
    }
    Ok(Ok(()))
}

/// The number of blocks in each direction.
fn blocks(bits: &mut Bits<impl BufRead>, (width, height): (u32, u32)) -> io::Result<(u32, u32)> {
    let side = 1 << (bits.read(3)? + 2);
    Ok((width.div_ceil(side), height.div_ceil(side)))
}

/// The number of colors in the color cache.
fn read_cache(bits: &mut Bits<impl BufRead>) -> io::Result<usize> {
    if bits.read(1)? == 0 {
        return Ok(0);
    }
    match bits.read(4)? {
        size @ 1..=11 => Ok(1 << size),
        _ => Err(invalid("its color cache has an unknown size")),
    }
}

/// Reads an image that is part of a stream, and gives the highest number in its red and green channels. Pixels that are
/// copied are equal to earlier ones, or 0, so they do not matter.
fn read_image(bits: &mut Bits<impl BufRead>, (width, height): (u32, u32)) -> io::Result<usize> {
    let cache = read_cache(bits)?;
    let [green, red, blue, alpha, distance] = Group::read(bits, cache)?.0;
    let mut highest = 0;
    let mut left = width as usize * height as usize;
    while left > 0 {
        let symbol = green.next(bits)?;
        let pixels = match symbol.checked_sub(256) {
            None => {
                highest = highest.max(red.next(bits)? << 8 | symbol);
                blue.next(bits)?;
                alpha.next(bits)?;
                if [&green, &red, &blue, &alpha].iter().all(|code| code.is_single()) {
                    // All pixels are this one.
                    return Ok(highest);
                }
                1
            }
            Some(length) if length < LENGTH_SYMBOLS => {
                let length = read_number(bits, length)?;
                let prefix = distance.next(bits)?;
                read_number(bits, prefix)?;
                length
            }
            Some(_) => 1,
        };
        left = left
            .checked_sub(pixels)
            .ok_or_else(|| invalid("a copy exceeds its image"))?;
    }
    Ok(highest)
}

/// The number that begins with this prefix.
fn read_number(bits: &mut Bits<impl BufRead>, prefix: usize) -> io::Result<usize> {
    if prefix < 4 {
        return Ok(prefix + 1);
    }
    let extra = (prefix - 2) >> 1;
    Ok(((2 + (prefix & 1)) << extra) + bits.read(extra as u32)? as usize + 1)
}

/// The codes of a part of the picture.
struct Group([Code; 5]);

impl Group {
    fn read(bits: &mut Bits<impl BufRead>, cache: usize) -> io::Result<Self> {
        let [green, red, blue, alpha, distance] = ALPHABETS;
        let mut code = |symbols| Code::read(bits, symbols);
        Ok(Self([
            code(green + cache)?,
            code(red)?,
            code(blue)?,
            code(alpha)?,
            code(distance)?,
        ]))
    }

    fn table_bytes(&self) -> u64 {
        GROUP_BYTES + self.0.iter().map(Code::table_bytes).sum::<u64>()
    }
}

/// A canonical prefix code.
struct Code {
    /// The number of codes of each length. A code of one symbol, which takes no bits, has none.
    counts: [u16; MAX_LENGTH + 1],
    /// In the order of their codes.
    symbols: Vec<u16>,
}

impl Code {
    fn read(bits: &mut Bits<impl BufRead>, alphabet: usize) -> io::Result<Self> {
        if bits.read(1)? == 1 {
            return Self::read_simple(bits, alphabet);
        }
        let mut lengths = [0; LENGTH_ORDER.len()];
        let stored = 4 + bits.read(4)? as usize;
        for &place in LENGTH_ORDER.iter().take(stored) {
            lengths[place] = bits.read(3)? as u8;
        }
        let code = Self::new(&lengths)?;
        Self::new(&read_lengths(bits, &code, alphabet)?)
    }

    /// One symbol, or two of one bit each.
    fn read_simple(bits: &mut Bits<impl BufRead>, alphabet: usize) -> io::Result<Self> {
        let has_two = bits.read(1)? == 1;
        let width = if bits.read(1)? == 1 { 8 } else { 1 };
        let mut symbols = vec![bits.read(width)? as u16];
        let mut counts = [0; MAX_LENGTH + 1];
        if has_two {
            symbols.push(bits.read(8)? as u16);
            counts[1] = 2;
        }
        if symbols.iter().any(|&symbol| usize::from(symbol) >= alphabet) {
            return Err(invalid("a code has an unknown symbol"));
        }
        Ok(Self { counts, symbols })
    }

    fn new(lengths: &[u8]) -> io::Result<Self> {
        let mut symbols: Vec<_> = (0..lengths.len() as u16)
            .filter(|&symbol| lengths[usize::from(symbol)] > 0)
            .collect();
        symbols.sort_by_key(|&symbol| lengths[usize::from(symbol)]);
        let mut counts = [0; MAX_LENGTH + 1];
        if symbols.len() > 1 {
            for &symbol in &symbols {
                counts[usize::from(lengths[usize::from(symbol)])] += 1;
            }
            // Each code of a length is this share of all codes.
            let share = |(length, &count): (usize, &u16)| u32::from(count) << (MAX_LENGTH - length);
            if counts.iter().enumerate().map(share).sum::<u32>() != 1 << MAX_LENGTH {
                return Err(invalid("a code is incomplete"));
            }
        }
        if symbols.is_empty() {
            return Err(invalid("a code has no symbols"));
        }
        Ok(Self { counts, symbols })
    }

    fn is_single(&self) -> bool {
        self.symbols.len() == 1
    }

    /// Reads a symbol.
    fn next(&self, bits: &mut Bits<impl BufRead>) -> io::Result<usize> {
        let [symbol] = self.symbols[..] else {
            return self.next_of_many(bits);
        };
        Ok(symbol.into())
    }

    fn next_of_many(&self, bits: &mut Bits<impl BufRead>) -> io::Result<usize> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &self.counts[1..] {
            let count = usize::from(count);
            code = code << 1 | bits.read(1)? as usize;
            if code < first + count {
                return Ok(self.symbols[index + code - first].into());
            }
            index += count;
            first = (first + count) << 1;
        }
        Err(invalid("a code is incomplete"))
    }

    /// What the decoder allocates: a table of four bytes an entry, and 16 bytes for each node of the tree.
    fn table_bytes(&self) -> u64 {
        let longest = self.counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        if longest == 0 {
            return 0;
        }
        let table = 4 << longest.min(TABLE_LENGTH);
        let long: u64 = self.counts[TABLE_LENGTH + 1..]
            .iter()
            .map(|&count| u64::from(count))
            .sum();
        // The allocator adds 16 bytes to each. A code of two symbols has three nodes.
        table + 2 * 16 * long.max(2) + 2 * 16
    }
}

/// Reads the lengths of a code's symbols, which are coded with `code`.
fn read_lengths(bits: &mut Bits<impl BufRead>, code: &Code, alphabet: usize) -> io::Result<Vec<u8>> {
    let mut left = alphabet;
    if bits.read(1)? == 1 {
        let width = 2 + 2 * bits.read(3)?;
        left = 2 + bits.read(width)? as usize;
        if left > alphabet {
            return Err(invalid("a code has too many lengths"));
        }
    }
    let mut lengths = Vec::with_capacity(alphabet);
    let mut previous = 8;
    while lengths.len() < alphabet && left > 0 {
        left -= 1;
        let (length, times) = match code.next(bits)? {
            16 => (previous, 3 + bits.read(2)?),
            17 => (0, 3 + bits.read(3)?),
            18 => (0, 11 + bits.read(7)?),
            length => (length as u8, 1),
        };
        if length > 0 {
            previous = length;
        }
        lengths.resize(lengths.len() + times as usize, length);
    }
    if lengths.len() > alphabet {
        return Err(invalid("a code has too many lengths"));
    }
    lengths.resize(alphabet, 0);
    Ok(lengths)
}

/// Bits from the lowest of each byte on.
struct Bits<R> {
    bytes: R,
    buffer: u32,
    buffered: u32,
}

impl<R: BufRead> Bits<R> {
    fn new(bytes: R) -> Self {
        Self {
            bytes,
            buffer: 0,
            buffered: 0,
        }
    }

    /// Reads up to 24 bits.
    fn read(&mut self, count: u32) -> io::Result<u32> {
        while self.buffered < count {
            let mut byte = [0];
            self.bytes.read_exact(&mut byte)?;
            self.buffer |= u32::from(byte[0]) << self.buffered;
            self.buffered += 8;
        }
        let bits = self.buffer & ((1 << count) - 1);
        self.buffer >>= count;
        self.buffered -= count;
        Ok(bits)
    }
}

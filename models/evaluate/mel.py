"""Computes the log-mel spectrum of Whisper's `audio.py` in plain numpy, as a reference for crates/models.

    python models/evaluate/mel.py > crates/models/src/speech/testdata/mel.json

Prints [band, frame, level] for twelve positions in two windows of a synthetic sound.
"""

import json

import numpy as np

RATE, WIDTH, HOP, BANDS = 16_000, 400, 160, 80


def sound() -> np.ndarray:
    """One second of two rising tones and a constant."""
    t = np.arange(RATE) / RATE

    def tone(start, rise):
        return np.sin(2 * np.pi * (start + rise * t) * t)

    return (0.4 * tone(150, 1_000) + 0.2 * tone(3_000, 2_000) + 0.05).astype(np.float32).astype(np.float64)


def filters() -> np.ndarray:
    """Slaney's triangular filters [80, 201], which all have the same area."""

    def mel(hertz):
        return np.where(hertz < 1000, hertz * 3 / 200, 15 + np.log(np.maximum(hertz, 1) / 1000) * 27 / np.log(6.4))

    def hertz(mel):
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    edges = hertz(np.linspace(0, mel(np.array(RATE / 2)), BANDS + 2))
    bins = np.arange(WIDTH // 2 + 1) * RATE / WIDTH
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


def spectrum(samples: np.ndarray, first: int, frames: int) -> np.ndarray:
    """The spectrum [80, frames] from frame `first` on."""
    padded = np.concatenate([samples[WIDTH // 2 : 0 : -1], samples, np.zeros(HOP * (first + frames) + WIDTH)])
    hann = np.hanning(WIDTH + 1)[:-1]
    starts = (first + np.arange(frames)) * HOP
    power = np.abs(np.fft.rfft([padded[start : start + WIDTH] * hann for start in starts])) ** 2
    levels = np.log10(np.maximum(filters() @ power.T, 1e-10))
    return (np.maximum(levels, levels.max() - 8) + 4) / 4


def main() -> None:
    made = {}
    for first, frames in ((0, 120), (40, 60)):
        levels = spectrum(sound(), first, frames)
        positions = [(7 * i % BANDS, (frames // 12) * i + i % 3) for i in range(12)]
        made[f"{first}+{frames}"] = [[band, frame, round(levels[band, frame], 6)] for band, frame in positions]
    print(json.dumps(made))


if __name__ == "__main__":
    main()

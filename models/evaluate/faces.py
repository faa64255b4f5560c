"""Measures the face detector and OpenCV's Haar cascade on composed scenes (face_scenes.py).

    python models/evaluate/faces.py --assets .local/assets --work <folder>

A face is found if a box has an intersection over union of 0.4 with its own. Precision is the share of boxes that match
a face, recall the share of faces that match a box.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2

import face_scenes
import pipeline
import scoring
from scoring import Box

# The parameters are those of OpenCV's own tutorial on cascades.
CASCADE = "haarcascade_frontalface_default.xml"
SCALE_FACTOR, MIN_NEIGHBORS = 1.1, 5


@dataclass
class Count:
    scenes: int = 0
    faces: int = 0
    boxes: int = 0
    found: int = 0

    def add(self, boxes: list[Box], faces: list[Box]) -> None:
        self.scenes += 1
        self.faces += len(faces)
        self.boxes += len(boxes)
        self.found += scoring.matches(boxes, faces)

    @property
    def recall(self) -> float | None:
        return self.found / self.faces if self.faces else None

    @property
    def precision(self) -> float | None:
        return self.found / self.boxes if self.boxes else None

    @property
    def false(self) -> int:
        return self.boxes - self.found


def centerface(files: list[Path], assets: Path) -> list[list[Box]]:
    answers = pipeline.answers([{"kind": "faces", "path": str(file.resolve())} for file in files], assets)
    return [[Box(**face["box"]) for face in answer["faces"]] for answer in answers]


def haar(files: list[Path]) -> list[list[Box]]:
    cv2.setNumThreads(1)
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}{CASCADE}")
    if cascade.empty():
        raise SystemExit(f"opencv-python-headless does not include {CASCADE}: install models/evaluate/requirements.txt")
    found = []
    for file in files:
        gray = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        boxes = cascade.detectMultiScale(gray, scaleFactor=SCALE_FACTOR, minNeighbors=MIN_NEIGHBORS)
        found.append([Box(*map(float, box)) for box in boxes])
    return found


def section(assets: Path, work: Path) -> tuple[str, dict[str, float]]:
    """The section as Markdown, and its figures by name."""
    work.mkdir(parents=True, exist_ok=True)
    scenes = face_scenes.scenes(assets)
    files = []
    for number, scene in enumerate(scenes):
        files.append(work / f"{number:03}.png")
        # Without the photographs' color profiles, which OpenCV warns about. Level 1 is fast, even for noise.
        scene.picture.save(files[-1], icc_profile=None, compress_level=1)
    counts: dict[str, dict[str, Count]] = {}
    for name, found in (("centerface", centerface(files, assets)), ("haar", haar(files))):
        for scene, boxes in zip(scenes, found, strict=True):
            for key in (scene.condition, "all") if scene.condition not in face_scenes.APART else (scene.condition,):
                counts.setdefault(key, {}).setdefault(name, Count()).add(boxes, scene.faces)
    everything = counts["all"]
    figures: dict[str, float] = {"faces.scenes": everything["haar"].scenes, "faces.count": everything["haar"].faces}
    for name in ("centerface", "haar"):
        figures[f"faces.{name}.precision"] = everything[name].precision or 0.0
        figures[f"faces.{name}.recall"] = everything[name].recall or 0.0
        figures[f"faces.{name}.false_where_none"] = counts[face_scenes.NONE][name].false
        for condition, of in counts.items():
            if of[name].faces:
                figures[f"faces.{name}.recall.{condition}"] = of[name].recall
    figures["faces.none"] = counts[face_scenes.NONE]["haar"].scenes
    return markdown(counts, len(scenes)), figures


def markdown(counts: dict[str, dict[str, Count]], scenes: int) -> str:
    def row(name: str, of: dict[str, Count], title: str) -> str:
        cells = [title, str(of["haar"].scenes), str(of["haar"].faces)]
        for which in ("centerface", "haar"):
            cells += [percent(of[which].recall), percent(of[which].precision), str(of[which].false)]
        return "| " + " | ".join(cells) + " |"

    ordered = [name for name in counts if name not in ("all", *face_scenes.APART)]
    rows = [row(name, counts[name], name) for name in ordered]
    rows.append(row("all", counts["all"], "**all of the above**"))
    rows += [row(name, counts[name], f"{name} (not in all)") for name in face_scenes.APART]
    return f"""## Faces

CenterFace is measured through the pipeline, and compared with OpenCV {cv2.__version__}'s Haar cascade \
(`{CASCADE}`, scaleFactor {SCALE_FACTOR}, minNeighbors {MIN_NEIGHBORS}, gray picture).
Both run on the same {scenes} scenes, which `models/evaluate/face_scenes.py` composes.
A scene is the head of testdata/astronaut.png on a cat, a page of text, clouds of color, round objects with dots, \
ovals in skin colors, or stripes.
The height of a face is measured from hairline to chin; where no size is stated it is {face_scenes.DEFAULT_SIZES[0]} \
to {face_scenes.DEFAULT_SIZES[1]} pixels.
A face is found if a box has an intersection over union of {scoring.MIN_OVERLAP} with its own; \
of two boxes on one face, one is false.

All scenes show one woman's face from the front, enlarged above 109 pixels.
The figures show the effect of size, tilt and disturbances, but not of other faces or poses, \
nor who is found less often.

| scenes | count | faces | CenterFace: recall | precision | false boxes | Haar: recall | precision | false boxes |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}
"""


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="the folder for the scenes")
    options = parser.parse_args()
    print(section(options.assets, options.work)[0], end="")


if __name__ == "__main__":
    main()

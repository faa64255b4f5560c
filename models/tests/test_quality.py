"""The models of the manifest were measured, and their figures are within the limits."""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "evaluate"))

import report  # noqa: E402

ADVICE = "run `cargo xtask models --evaluate`, and commit models/QUALITY.md and models/quality.json"


class QualityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sections = json.loads(report.FIGURES.read_text(encoding="utf-8"))
        cls.figures = {name: value for of in cls.sections.values() for name, value in of["figures"].items()}

    def test_every_section_was_measured_with_the_models_of_the_manifest(self):
        self.assertEqual(set(self.sections), set(report.SECTIONS), ADVICE)
        for name, section in report.SECTIONS.items():
            self.assertEqual(self.sections[name]["models"], report.versions(section), f"{name}: {ADVICE}")

    def test_every_figure_is_within_its_limit(self):
        self.assertEqual(report.violations(self.figures), [])

    def test_figure_beyond_its_limit_is_named(self):
        worse = self.figures | {"zero_shot.accuracy": 0.5, "ocr.cer.all": 0.5}
        self.assertEqual(
            [line.split(" is ")[0] for line in report.violations(worse)],
            ["zero_shot.accuracy", "ocr.cer.all"],
        )

    def test_the_report_shows_these_figures(self):
        text = report.OUTPUT.read_text(encoding="utf-8")
        for name, section in report.SECTIONS.items():
            for title, on, figure in section.headline(self.sections[name]["figures"]):
                self.assertIn(f"| {title} | {on} | {figure} |", text, ADVICE)


if __name__ == "__main__":
    unittest.main()

"""The manifest, the committed files and the code agree."""

import hashlib
import re
import sys
import unittest
from pathlib import Path

MODELS = Path(__file__).parent.parent
sys.path.insert(0, str(MODELS))

import build  # noqa: E402
import manifest  # noqa: E402

HEX = re.compile(r"[0-9a-f]{64}")


class ManifestTest(unittest.TestCase):
    def setUp(self):
        self.contents = manifest.read(MODELS / "manifest.toml")

    def test_every_entry_is_pinned_and_licensed(self):
        for entry in [*self.contents.packages, *self.contents.assets]:
            with self.subTest(entry):
                self.assertRegex(entry.sha256, HEX)
                self.assertTrue(entry.licence)

    def test_packages_are_used_and_named_by_their_version(self):
        for package in self.contents.packages:
            with self.subTest(package.name):
                self.assertIn(package.use, ("assets", "tests"))
                self.assertIn(f"-{package.version}-", package.file)

    def test_every_asset_comes_from_a_known_place(self):
        packages = {package.name for package in self.contents.packages}
        for asset in self.contents.assets:
            with self.subTest(asset.path):
                self.assertTrue(asset.source in packages or (MODELS.parent / asset.source).is_file(), asset.source)
                self.assertTrue(asset.quality)

    def test_assets_are_what_build_makes(self):
        images = {f"testdata/{name}" for name in build.TEST_IMAGES}
        ocr = {build.CHARACTERS, *(f"{build.OCR}/{name}" for name in build.ocr.NETWORKS)}
        made = {build.LIBRARY, build.CENTERFACE, build.SENTIMENT, build.TOKENIZER, *ocr, *images}
        self.assertEqual({asset.path for asset in self.contents.assets}, made)

    def test_functions_get_no_test_data(self):
        for asset in self.contents.assets:
            with self.subTest(asset.path):
                self.assertEqual(asset.path.startswith("testdata/"), asset.functions == [])

    def test_tokenizer_is_copied_unchanged(self):
        pinned = next(asset.sha256 for asset in self.contents.assets if asset.path == build.TOKENIZER)
        committed = (MODELS / "sentiment/tokenizer.json").read_bytes()
        self.assertEqual(hashlib.sha256(committed).hexdigest(), pinned)


if __name__ == "__main__":
    unittest.main()

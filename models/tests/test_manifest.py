"""The manifest is consistent with the committed files and the code."""

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

    def test_packages_have_a_use_and_their_version_in_the_file_name(self):
        for package in self.contents.packages:
            with self.subTest(package.name):
                self.assertIn(package.use, ("assets", "tests"))
                self.assertIn(f"-{package.version}-", package.file)

    def test_every_asset_has_a_known_source(self):
        packages = {package.name for package in self.contents.packages}
        for asset in self.contents.assets:
            with self.subTest(asset.path):
                self.assertTrue(asset.source in packages or (MODELS.parent / asset.source).is_file(), asset.source)
                self.assertTrue(asset.quality)

    def test_assets_are_those_that_build_makes(self):
        self.assertEqual(sorted(asset.path for asset in self.contents.assets), sorted(build.asset_paths()))

    def test_functions_have_no_test_data(self):
        for asset in self.contents.assets:
            with self.subTest(asset.path):
                self.assertEqual(asset.path.startswith("testdata/"), asset.functions == [])


if __name__ == "__main__":
    unittest.main()

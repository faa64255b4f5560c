"""The scores of models/QUALITY.md are computed correctly."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "evaluate"))

import scoring  # noqa: E402
import sentiment  # noqa: E402
import speech  # noqa: E402
from scoring import Box  # noqa: E402


class BoxesTest(unittest.TestCase):
    def test_overlap_is_intersection_over_union(self):
        box = Box(10, 10, 20, 10)
        self.assertEqual(scoring.overlap(box, box), 1)
        self.assertAlmostEqual(scoring.overlap(box, Box(20, 10, 20, 10)), 1 / 3)
        self.assertAlmostEqual(scoring.overlap(box, Box(0, 0, 100, 100)), 200 / 10_000)
        # The boxes are apart in both directions: the product of two negative overlaps must not count as an area.
        self.assertEqual(scoring.overlap(box, Box(100, 100, 5, 5)), 0)
        self.assertEqual(scoring.overlap(Box(0, 0, 0, 0), Box(0, 0, 0, 0)), 0)

    def test_second_box_on_a_face_and_distant_box_are_false(self):
        face, other = Box(0, 0, 100, 100), Box(300, 0, 100, 100)
        self.assertEqual(scoring.matches([face, Box(5, 0, 100, 100)], [face]), 1)
        self.assertEqual(scoring.matches([Box(50, 0, 100, 100)], [face]), 0)
        self.assertEqual(scoring.matches([other, face], [face, other]), 2)
        self.assertEqual(scoring.matches([], [face]), 0)
        self.assertEqual(scoring.matches([face], []), 0)

    def test_box_is_matched_to_the_face_with_the_largest_overlap(self):
        left, right = Box(0, 0, 100, 100), Box(40, 0, 100, 100)
        # The first box overlaps both faces. If it were matched to the left one, the second box would match none.
        self.assertEqual(scoring.matches([Box(38, 0, 100, 100), Box(0, 0, 90, 100)], [left, right]), 2)


class EditsTest(unittest.TestCase):
    def test_distance_counts_deletions_insertions_and_substitutions(self):
        for found, expected, edits in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("saturday", "sunday", 3),
            ("ab", "ba", 2),
            ("a b".split(), "a c b".split(), 1),
        ]:
            self.assertEqual(scoring.distance(found, expected), edits, (found, expected))
            self.assertEqual(speech.errors(list(expected), list(found)), edits, (found, expected))

    def test_words_ignore_case_punctuation_and_spelling_of_numbers(self):
        self.assertEqual(speech.words("It's 7:30, Twenty-one!"), speech.words("it's seven thirty twenty one"))
        self.assertNotEqual(speech.words("platform 9"), speech.words("platform 8"))


class CardTest(unittest.TestCase):
    CARD = """
| `model.onnx` | `2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae` |

| part | corpus | sentences | fp32 | int8 |
| --- | --- | ---: | ---: | ---: |
| held-out | all | 2,492 | **89.53 %** | **89.41 %** |
| dev | nyt | 163 | 88.34 % | 87.73 % |
"""

    def test_fp32_is_quoted_by_column(self):
        found = sentiment.card(self.CARD, b"foo")
        self.assertEqual({key: round(share, 6) for key, share in found.items()}, {
            ("held-out", "all"): 0.8953,
            ("dev", "nyt"): 0.8834,
        })

    def test_model_card_of_other_weights_is_refused(self):
        with self.assertRaises(SystemExit):
            sentiment.card(self.CARD, b"bar")

    def test_neutral_answer_is_not_correct(self):
        data = sentiment.data
        sentences = [data.Sentence(corpus, "1", 2.0, "good") for corpus in data.CORPORA for _ in range(2)]
        answers = [{"label": label} for _ in data.CORPORA for label in ("POSITIVE", "NEUTRAL")]
        figures = sentiment.accuracies("dev", sentences, answers)
        self.assertEqual(figures["sentiment.label.dev.all"], 0.5)
        self.assertEqual(figures["sentiment.decided.dev.all"], 1.0)
        self.assertEqual(figures["sentiment.neutral.dev.movies"], 0.5)


if __name__ == "__main__":
    unittest.main()

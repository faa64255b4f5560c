"""The data sets of models/evaluate have the properties that the report states."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "evaluate"))

import summaries  # noqa: E402
import zero_shot  # noqa: E402


class EvaluateTest(unittest.TestCase):
    def test_zero_shot_data_is_large_varied_and_deterministic(self):
        items = zero_shot.single(zero_shot.TEST)
        self.assertGreaterEqual(len(items), 200)
        self.assertGreaterEqual(len({item.set for item in items}), 5)
        self.assertEqual(len({item.text for item in items}), len(items))
        self.assertEqual(items, zero_shot.single(zero_shot.TEST))

    def test_tuning_shares_no_label_and_no_statement_with_the_test(self):
        def flat(statements: zero_shot.Statements) -> set[str]:
            labels = {label for of_set in statements.values() for label in of_set}
            return labels.union(*(texts for of_set in statements.values() for texts in of_set.values()))

        self.assertEqual(flat(zero_shot.TUNING) & flat(zero_shot.TEST), set())

    def test_statement_that_contains_its_label_is_refused(self):
        with self.assertRaises(SystemExit):
            zero_shot.check({"pets": {"cats": ["the cat sleeps"], "dogs": ["it barks"]}})
        zero_shot.check({"pets": {"cats": ["the caterpillar sleeps"], "dogs": ["it barks"]}})

    def test_documents_contain_the_planted_sentences(self):
        documents = summaries.documents(summaries.TEST)
        self.assertGreaterEqual(len(documents), 50)
        for document in documents:
            self.assertEqual(len(document.planted), summaries.PLANTED)
            self.assertTrue(all(sentence in document.text for sentence in document.planted))
        self.assertEqual(documents, summaries.documents(summaries.TEST))
        self.assertEqual(set(summaries.TUNING) & set(summaries.TEST), set())


if __name__ == "__main__":
    unittest.main()

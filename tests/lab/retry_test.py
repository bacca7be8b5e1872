#!/usr/bin/env python3
"""What run_lab_tests tries again, and what it does not."""

import unittest

import retry


class Attempts:
    """What L1 comes to in its first start and in its second."""

    def __init__(self, *outcomes: dict[str, str]) -> None:
        self.outcomes, self.asked = list(outcomes), []

    def __call__(self, names: list[str]) -> dict[str, str]:
        self.asked.append(names)
        return self.outcomes.pop(0)


class RetryTest(unittest.TestCase):
    def test_what_failed_has_failed(self) -> None:
        attempts = Attempts({"a": "PASS", "b": "FAIL: wrong checksum"})
        self.assertEqual(retry.outcomes_of(["a", "b"], attempts), {"a": "PASS", "b": "FAIL: wrong checksum"})
        self.assertEqual(attempts.asked, [["a", "b"]])

    def test_what_l1_ended_is_tried_again(self) -> None:
        attempts = Attempts({"a": "FAIL: wrong checksum"}, {"b": "PASS", "c": "FAIL: no address"})
        self.assertEqual(retry.outcomes_of(["a", "b", "c"], attempts),
                         {"a": "FAIL: wrong checksum", "b": "PASS", "c": "FAIL: no address"})
        self.assertEqual(attempts.asked, [["a", "b", "c"], ["b", "c"]])

    def test_what_l1_ends_twice_has_failed(self) -> None:
        attempts = Attempts({"a": "SKIP: no guest"}, {})
        self.assertEqual(retry.outcomes_of(["a", "b"], attempts),
                         {"a": "SKIP: no guest", "b": "FAIL: L1 ended before it, twice"})


if __name__ == "__main__":
    unittest.main()

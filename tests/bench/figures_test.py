#!/usr/bin/env python3
"""What is told while a figure is measured, for one may take minutes."""

import contextlib
import io
import tempfile
import unittest
from unittest import mock

import bench
from figures import HEADER, Row, take_turns


class NoBench:
    def __init__(self, *_) -> None:
        pass


def quick(_: NoBench) -> list[Row]:
    return [Row("quick", "ms", take_turns(1, {"ours": lambda: 2.0})["ours"])]


class ProgressTest(unittest.TestCase):
    def measure(self, *figures: str) -> str:
        """The rows; all that is said is in self.said."""
        rows, self.said = io.StringIO(), io.StringIO()
        both = mock.Mock(write=lambda text: (rows.write(text), self.said.write(text)))
        with tempfile.TemporaryDirectory() as tree, mock.patch.dict(bench.FIGURES, {name: (NoBench, quick) for name in figures}), \
                mock.patch("sys.argv", ["bench.py", tree, *figures]), contextlib.redirect_stdout(both), \
                contextlib.redirect_stderr(self.said):
            self.assertEqual(bench.main(), 0)
        return rows.getvalue()

    def test_each_figure_and_turn_is_told_before_it_begins(self) -> None:
        rows = self.measure("a", "b")
        row = quick(NoBench())[0].line()
        turns = ["▸   turn 1 of 2", "▸   turn 2 of 2", row]
        self.assertEqual(self.said.getvalue().splitlines(), [HEADER, "▸ a, 1 of 2", *turns, "▸ b, 2 of 2", *turns])
        self.assertEqual(rows.splitlines(), [HEADER, row, row])


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""When the lab gives L1 up."""

import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def load_lab():
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("lab", str(HERE / "lab"))
    lab = importlib.util.module_from_spec(importlib.util.spec_from_loader("lab", loader))
    loader.exec_module(lab)
    return lab


class EndTest(unittest.TestCase):
    lab = load_lab()

    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def end_of(self, command: str, limit: float | None, silence: float) -> str:
        with subprocess.Popen(["sh", "-c", command], cwd=self.folder) as process:
            try:
                return self.lab.end_of(process, self.folder / "alive", limit, silence)
            finally:
                process.kill()

    def test_it_ends(self) -> None:
        self.assertEqual(self.end_of("exit 3", 60, 60), "")

    def test_it_lives_on_until_its_limit(self) -> None:
        self.assertEqual(self.end_of("while touch alive; do sleep 0.1; done", 2, 1.5), "the time limit of 2 s passed")

    def test_it_falls_silent(self) -> None:
        self.assertEqual(self.end_of("touch alive; exec sleep 60", 60, 0.5), "L1 has been silent for 0.5 s")

    def test_it_never_says_a_word(self) -> None:
        self.assertEqual(self.end_of("exec sleep 60", None, 0.5), "L1 has been silent for 0.5 s")


if __name__ == "__main__":
    unittest.main()

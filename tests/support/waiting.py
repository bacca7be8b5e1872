"""Waiting, for the tests that are programs of their own."""

import time


class Failure(AssertionError):
    """What a test found wrong."""


def wait_until(what: str, holds, seconds: float, pause: float = 0.1) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Failure(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)

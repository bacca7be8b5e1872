"""Which of the lab's tests are tried again: those that L1 did not come to the end of. What a test has said stays said, for
a fault of the product that shows in one run of two is a fault."""

import typing

Outcomes = dict[str, str]  # of each test by name: "PASS", "SKIP: why" or "FAIL: why"


def outcomes_of(names: list[str], attempt: typing.Callable[[list[str]], Outcomes]) -> Outcomes:
    """`attempt` starts L1 for tests, and tells what became of those that came to their end."""
    outcomes = attempt(names)
    again = [name for name in names if name not in outcomes]
    if again:
        print("L1 ended before these tests did; once more, in a new L1:", *again, flush=True)
        outcomes = attempt(again) | outcomes
    return {name: outcomes.get(name, "FAIL: L1 ended before it, twice") for name in names}

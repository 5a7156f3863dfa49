"""A little of each target of `make fuzz`."""

import pytest
from hypothesis import HealthCheck, given, settings

from fuzz.targets import TARGETS

COUNTS = {"pictures": 100, "weights": 60, "checkpoints": 60, "recipes": 60, "command lines": 60}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "recipes" else ()) for name in COUNTS]
)
def test_a_little_of_each_target(name, tmp_path):
    target = TARGETS[name](tmp_path)

    @settings(
        max_examples=COUNTS[name],
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.strategy)
    def attempt(example):
        target.attempt(example)

    attempt()

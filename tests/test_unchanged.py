"""Refactoring changes nothing: restored pictures and losses are equal to the stored ones.

Processors round differently, so that a value of 8 bits may be the next one here and there. Who means to change what is
restored runs `tests/unchanged.py`, and says so.
"""

import numpy as np
import pytest

from unchanged import EXPECTED, TRAININGS, losses, restorations


@pytest.fixture(scope="module")
def expected():
    with np.load(EXPECTED, allow_pickle=False) as arrays:
        return dict(arrays)


def test_restored_pictures_are_as_they_were(expected):
    found = restorations()
    assert {name for name in expected if not name.startswith("losses")} == set(found)
    for name, picture in found.items():
        assert picture.shape == expected[name].shape, name
        difference = np.abs(picture.astype(int) - expected[name])
        assert difference.max() <= 1, name
        assert (difference > 0).mean() < 0.005, name


def test_losses_are_as_they_were(expected):
    found = losses()
    assert set(found) == set(TRAININGS)
    for name, values in found.items():
        # The first batches differ only by rounding; later ones accumulate it.
        np.testing.assert_allclose(values[:4], expected[f"losses {name}"][:4], rtol=1e-4, err_msg=name)
        np.testing.assert_allclose(values, expected[f"losses {name}"], rtol=0.05, err_msg=name)

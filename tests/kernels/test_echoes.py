"""The fused echoes against the plain ones in float64."""

import pytest
import torch

from lnca.kernels.echoes import fused_echoes
from lnca.kernels.native import LEVELS, best_level, library
from lnca.nn.echoes import FAR, echoes
from lnca.nn.surroundings import reach

HERE = LEVELS[: LEVELS.index(best_level()) + 1] if best_level() else ()
pytestmark = pytest.mark.skipif(library() is None, reason="no C++ compiler when lnca was installed")


@pytest.mark.parametrize("level", HERE)
@pytest.mark.parametrize("scales", [1, 3, 6])
@pytest.mark.parametrize("columns", [1, 37])
def test_they_are_the_plain_ones(level, scales, columns):
    image = torch.rand(2, 4 * 14 + FAR + 1, 4 * columns, 3)
    expected = echoes(image.double(), scales, 14)
    found = fused_echoes(image, scales, 14, 0, 14, level)
    # Differences of two values round to some 1e-7 of them, and the weakest gradients' are divided by about 1e-4.
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=2e-4 if scales == 1 else 1e-5)
    assert torch.equal(fused_echoes(image, scales, 14, 3, 8, level), found[:, 3:8])


def test_threads_pictures_and_what_is_beyond_reach_change_no_bit():
    level, scales, rows = best_level(), 3, 24
    image = torch.rand(2, 4 * 60, 72, 3)
    whole = fused_echoes(image, scales, 60, 0, 60, level)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(fused_echoes(image[1:], scales, 60, 0, 60, level), whole[1:])
    finally:
        torch.set_num_threads(threads)
    margin, first = reach(scales), 16
    part = image[:, 4 * first : 4 * (first + rows) + FAR + 1]
    found = fused_echoes(part, scales, rows, margin, rows - margin, level)
    assert torch.equal(found, whole[:, first + margin : first + rows - margin])

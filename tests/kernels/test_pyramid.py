"""The automaton on three lattices, row by row in C++: equal to the plain one in float64, the same bits in any band."""

import copy

import pytest
import torch

from lnca.kernels.native import LEVELS, best_level
from lnca.kernels.pyramid import FusedPyramid, Kept, spread_rows
from lnca.nn.pyramid import PyramidAutomaton
from nn.test_pyramid import shaken

pytestmark = pytest.mark.skipif(best_level() is None, reason="the kernels were not built")
HERE = LEVELS[: LEVELS.index(best_level() or LEVELS[0]) + 1]


def restored(fused, image, level, steps, band, first=0):
    rows = image.permute(0, 2, 3, 1).contiguous()
    height = image.shape[-2]
    source = fused(lambda begin, end: rows[:, begin:end], spread_rows(level), height, steps)
    return torch.cat([source(begin, min(begin + band, height)) for begin in range(0, height, band)], 1).permute(
        0, 3, 1, 2
    )


@pytest.mark.parametrize("level", HERE)
@pytest.mark.parametrize("channels", [(8, 12, 16), (5, 7, 9), (64, 80, 96)])
def test_equal_to_the_plain_automaton(level, channels):
    model = shaken(PyramidAutomaton(channels, 2))
    plain = copy.deepcopy(model).double()
    image, told = torch.rand(2, 3, 40, 56), 50 * torch.rand(2, 2, 5, 7)
    fused = FusedPyramid(model, level)
    with torch.no_grad():
        for steps, expected in enumerate(plain.unrolled(image.double(), told.double(), 2)):
            found = restored(fused, image, told, steps, 40)
            assert (found - expected).abs().max() < 1e-5 * max(1, expected.abs().max())


@pytest.mark.parametrize("band", [8, 16, 24, 64])
def test_the_same_bits_in_any_band(band):
    fused = FusedPyramid(shaken(PyramidAutomaton((8, 12, 16), 3)), best_level())
    image, told = torch.rand(1, 3, 136, 48), 50 * torch.rand(1, 2, 17, 6)
    assert torch.equal(restored(fused, image, told, 3, band), restored(fused, image, told, 3, 136))


def test_rows_are_made_once_and_kept_as_long_as_someone_needs_them():
    made = []

    def make(begin, end):
        made.append((begin, end))
        return torch.arange(begin, end, dtype=torch.float32)[None, :, None, None]

    kept = Kept(100, make)
    ahead, behind = kept.reader(), kept.reader()
    assert ahead(0, 10).flatten().tolist() == list(range(10))
    assert ahead(8, 30).flatten().tolist() == list(range(8, 30))
    assert behind(0, 5).flatten().tolist() == list(range(5))
    assert behind(20, 25).flatten().tolist() == list(range(20, 25))
    assert ahead(28, 40).flatten().tolist() == list(range(28, 40))
    assert made == [(0, 10), (10, 30), (30, 40)]
    assert kept.rows is not None
    assert kept.rows.shape[1] == 20

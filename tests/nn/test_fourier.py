"""Filters in the Fourier domain against sums written out, and borders that meet."""

import pytest
import torch

from lnca.nn.fourier import blurred, periodic, quick_margin


@pytest.mark.parametrize("sides", [(3, 3), (5, 3), (4, 3), (1, 1)])
def test_a_blur_is_the_sum_over_the_kernel_around_its_middle(sides):
    draw = torch.Generator().manual_seed(0)
    picture, kernel = (torch.rand(1, *shape, generator=draw, dtype=torch.float64) for shape in ((1, 8, 10), sides))
    expected = sum(
        kernel[0, row, column] * picture.roll((row - sides[0] // 2, column - sides[1] // 2), (-2, -1))
        for row in range(sides[0])
        for column in range(sides[1])
    )
    torch.testing.assert_close(blurred(picture, kernel), expected)


def test_borders_meet_and_the_picture_stays_inside():
    """The mirrored pixels of a row 0, 1, 2, 3 are 2 1 | 0 1 2 3 | 2 1; each is mixed with its opposite, half and half
    at the outermost, three quarters to one quarter beside it."""
    row = torch.arange(4.0)
    extended = periodic(row.expand(1, 1, 4, 4), 2, 2)
    assert torch.equal(extended[0, 0, 3], torch.tensor([1.5, 1.25, 0, 1, 2, 3, 1.75, 1.5]))
    assert torch.equal(extended[..., 2:-2, 2:-2], row.expand(1, 1, 4, 4))
    picture = torch.rand(1, 2, 20, 30, generator=torch.Generator().manual_seed(1))
    extended = periodic(picture, 6, 9)
    assert torch.equal(extended[..., 0, :], extended[..., -1, :])
    assert torch.equal(extended[..., 0], extended[..., -1])


def test_margins_make_transforms_quick():
    # 11 + 2 * 2 = 15, and 13 + 2 * 3 = 19, + 2 * 4 = 21.
    assert quick_margin(11, 2) == 2
    assert quick_margin(13, 3) == 4
    # Not farther than a picture can be mirrored.
    assert quick_margin(8, 31) == 7

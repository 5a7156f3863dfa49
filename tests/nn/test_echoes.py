"""Autocorrelations of gradients: what they are, where they look, the same in parts."""

import math

import pytest
import torch

from lnca.degradation import motion_path
from lnca.nn.echoes import CHANNELS, FAR, GAIN, LAGS, LITTLE, echoes
from lnca.nn.surroundings import reach


def test_an_echo_is_the_autocorrelation_of_gradients_at_every_second_position():
    torch.manual_seed(0)
    image = torch.rand(1, 64, 80, 3, dtype=torch.float64)
    heard = echoes(image, 1)
    assert heard.shape == (1, 16, 20, CHANNELS)
    grey = image[0].mean(-1)
    right = torch.nn.functional.pad(grey[:, 1:] - grey[:, :-1], (0, 1))
    lag = LAGS.index((2, -3))
    row, column = 5, 11
    places = [(4 * row + i, 4 * column + j) for i in (0, 2) for j in (0, 2)]
    own = sum(right[y, x] ** 2 for y, x in places) / 4
    product = sum(right[y, x] * right[y + 2, x - 3] for y, x in places) / 4
    assert heard[0, row, column, lag].item() == pytest.approx((GAIN * product / (own + LITTLE)).item(), rel=1e-9)
    assert heard[0, row, column, len(LAGS)].item() == pytest.approx(math.log(own + LITTLE) / 2 + 4, rel=1e-9)


def test_lags_look_everywhere_once():
    assert len(set(LAGS)) == len(LAGS)
    assert not {(-row, -column) for row, column in LAGS} & set(LAGS)
    assert all(0 <= row <= FAR and abs(column) <= FAR for row, column in LAGS)


@pytest.mark.parametrize("length", [8, 14, 20])
def test_a_motion_is_heard_at_its_length_and_direction(length):
    torch.manual_seed(0)
    sharp = torch.rand(1, 1, 160, 160, dtype=torch.float64)
    kernel = motion_path(torch.tensor([length + 1.0]), torch.tensor([0.0]), torch.tensor([0.0])).double()
    image = torch.nn.functional.conv2d(sharp, kernel[:, None], padding=15)[:, 0, 20:-20, 20:-20, None]
    around = echoes(image, 6).mean((0, 1, 2))[: len(LAGS)]
    assert LAGS[int(around.argmin())] == (0, length)


def test_a_part_hears_what_the_whole_does():
    torch.manual_seed(0)
    image, scales, cells = torch.rand(1, 256, 48, 3), 3, 24
    whole, first = echoes(image, scales), 16
    part = echoes(image[:, 4 * first : 4 * (first + cells) + FAR + 1], scales, cells)
    margin = reach(scales)
    assert torch.equal(whole[:, first + margin : first + cells - margin], part[:, margin:-margin])

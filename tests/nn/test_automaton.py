"""Seed, mask, steps and reading, with a rule that adds one."""

import pytest
import torch

from lnca.nn.automaton import Automaton
from lnca.nn.neighbourhood import convolve, neighbours


class AddOne(Automaton):
    """Adds 1 to every output and hidden channel."""

    def update(self, cells_BHWC):
        return torch.ones(*cells_BHWC.shape[:-1], self.updated_channels)


def test_seed_is_the_image_then_one_half_then_zero():
    automaton = AddOne(3, 2, 4)
    image = torch.rand(2, 5, 6, 3)
    cells = automaton.seed(image)
    assert cells.shape == (2, 5, 6, 9)
    assert torch.equal(cells[..., :3], image)
    assert (cells[..., 3:5] == 0.5).all()
    assert (cells[..., 5:] == 0).all()


def test_a_step_leaves_the_input_and_changes_the_rest():
    automaton = AddOne(3, 2, 4)
    cells = automaton.seed(torch.rand(2, 5, 6, 3))
    after = automaton.run(cells, 3)
    assert torch.equal(after[..., :3], cells[..., :3])
    assert (automaton.read(after) == 3.5).all()
    assert (automaton.hidden(after) == 3).all()


def test_frames_are_the_states_after_each_step():
    automaton = AddOne(1, 1, 1)
    frames = list(automaton.frames(automaton.seed(torch.rand(1, 4, 4, 1)), 5))
    assert [frame[0, 0, 0, 2].item() for frame in frames] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_the_mask_updates_whole_cells_at_the_update_rate(rate):
    automaton = AddOne(1, 1, 2, update_rate=rate)
    cells = automaton.seed(torch.zeros(1, 100, 100, 1))
    delta = (automaton.step(cells, automaton.mask(0, 0, cells)) - cells)[..., 1:]
    assert torch.equal(delta.amin(-1), delta.amax(-1))
    assert delta.mean().item() == pytest.approx(rate, abs=0.02)


def test_the_mask_depends_on_seed_step_row_and_column_alone():
    automaton = AddOne(1, 1, 2, update_rate=0.5)
    cells = torch.zeros(3, 20, 30, 4)
    mask = automaton.mask(1, 2, cells)
    assert torch.equal(mask, automaton.mask(1, 2, cells[:1]))
    assert torch.equal(mask[:7, :9], automaton.mask(1, 2, cells[:, :7, :9]))
    assert not torch.equal(mask, automaton.mask(2, 2, cells))
    assert not torch.equal(mask, automaton.mask(1, 3, cells))
    assert AddOne(1, 1, 2).mask(1, 2, cells) is None


def test_a_run_is_repeated_by_its_seed():
    automaton = AddOne(1, 1, 2, update_rate=0.5)
    cells = automaton.seed(torch.zeros(1, 20, 20, 1))
    first, again, other = (automaton.run(cells, 3, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert automaton.read(first).mean().item() == pytest.approx(2, abs=0.15)


def test_neighbours_come_row_by_row_with_zeros_outside():
    values = torch.arange(1.0, 10).reshape(1, 3, 3, 1)
    assert [view[0, 1, 1, 0].item() for view in neighbours(values)] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [view[0, 0, 0, 0].item() for view in neighbours(values)] == [0, 0, 0, 0, 1, 2, 0, 4, 5]


def test_convolve_is_a_convolution():
    x = torch.randn(2, 5, 7, 6, dtype=torch.float64)
    kernel, bias = torch.randn(1, 6, 3, 3, dtype=torch.float64), torch.randn(1, dtype=torch.float64)
    plain = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), kernel, bias, padding=1).permute(0, 2, 3, 1)
    torch.testing.assert_close(convolve(x, kernel[0], bias), plain)

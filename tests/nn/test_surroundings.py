"""Means around cells: their values, and the same bits in a part of a picture."""

import torch

from lnca.nn.surroundings import reach, widened


def test_the_narrowest_is_the_cell_itself():
    cells = torch.rand(2, 12, 8, 3)
    assert torch.equal(widened(cells, 1)[0], cells)
    assert torch.equal(widened(cells, 3)[0], cells)


def test_wider_ones_are_smoother_and_keep_the_level():
    cells = torch.rand(1, 64, 64, 1, generator=torch.Generator().manual_seed(0))
    means = torch.cat(widened(cells, 5), -1)
    deviations = means.flatten(0, 2).std(0)
    assert (deviations[1:] < 0.75 * deviations[:-1]).all()
    torch.testing.assert_close(means.mean((0, 1, 2)), cells.mean().expand(5), atol=2e-2, rtol=0)
    flat = torch.full((1, 4, 4, 3), 0.3)
    for mean in widened(flat, 5):
        torch.testing.assert_close(mean, flat)


def test_a_part_gives_the_same_bits_but_near_its_border():
    cells = torch.rand(1, 40, 10, 3)
    inner = reach(4)
    whole, part = widened(cells, 4)[-1], widened(cells[:, 10:35], 4)[-1]
    assert torch.equal(part[:, inner:-inner], whole[:, 10 + inner : 35 - inner])
    assert not torch.equal(part[:, :inner], whole[:, 10 : 10 + inner])
    changed = cells.clone()
    changed[0, 20, 5] += 1
    rows = (widened(changed, 4)[-1] - whole).abs().amax((0, 2, 3)).nonzero().flatten()
    assert (rows.min().item(), rows.max().item()) == (20 - inner, 20 + inner)

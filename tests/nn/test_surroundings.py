"""Means around cells: what they are, and that a part of a picture gives the same bits."""

import torch

from lnca.nn.surroundings import reach, surroundings


def test_the_narrowest_is_the_mean_over_a_cell():
    image = torch.rand(2, 12, 8, 3)
    expected = torch.nn.functional.avg_pool2d(image.permute(0, 3, 1, 2), 4).permute(0, 2, 3, 1)
    torch.testing.assert_close(surroundings(image, 1), expected)
    assert torch.equal(surroundings(image, 3)[..., :3], surroundings(image, 1))


def test_wider_ones_are_smoother_and_keep_the_level():
    image = torch.rand(1, 256, 256, 1, generator=torch.Generator().manual_seed(0))
    means = surroundings(image, 5)
    deviations = means.flatten(0, 2).std(0)
    assert (deviations[1:] < 0.75 * deviations[:-1]).all()
    torch.testing.assert_close(means.mean((0, 1, 2)), image.mean().expand(5), atol=5e-3, rtol=0)
    flat = torch.full((1, 16, 16, 3), 0.3)
    torch.testing.assert_close(surroundings(flat, 5), torch.full((1, 4, 4, 15), 0.3))


def test_a_part_gives_the_same_bits_but_near_its_border():
    image = torch.rand(1, 160, 40, 3)
    whole, part = surroundings(image, 4), surroundings(image[:, 40:140], 4)
    inner = reach(4)
    assert torch.equal(part[:, inner:-inner], whole[:, 10 + inner : 35 - inner])
    assert not torch.equal(part[:, :inner], whole[:, 10 : 10 + inner])
    changed = image.clone()
    changed[0, 80, 20] += 1
    rows = (surroundings(changed, 4) - whole).abs().amax((0, 2, 3)).nonzero().flatten()
    assert (rows.min().item(), rows.max().item()) == (20 - inner, 20 + inner)

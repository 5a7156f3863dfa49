"""Muon against singular value decompositions, in float64."""

import pytest
import torch

from lnca.training.muon import COEFFICIENTS, Muon, MuonSettings, orthogonalised


def scaled(values):
    """Singular values after five steps."""
    a, b, c = COEFFICIENTS
    for _ in range(5):
        values = a * values + b * values**3 + c * values**5
    return values


@pytest.mark.parametrize("shape", [(6, 6), (5, 12), (12, 5), (3, 4, 9)])
def test_singular_vectors_stay_and_singular_values_come_near_to_one(shape):
    matrix = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    values = scaled(s / s.norm(dim=-1, keepdim=True))
    found = orthogonalised(matrix)
    torch.testing.assert_close(found, u @ torch.diag_embed(values) @ vh, rtol=1e-5, atol=1e-5)
    assert values.min() > 0.68
    assert values.max() < 1.21
    # Of one length, as the nearest orthogonal matrix is, whatever the gradient's.
    torch.testing.assert_close(orthogonalised(1e3 * matrix), found, rtol=1e-5, atol=1e-5)


def test_small_directions_count_as_large_ones():
    left, right = (
        torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=g))[0] for g in [torch.Generator()] * 2
    )
    matrix = left @ torch.diag(torch.tensor([1.0, 0.3, 0.1, 0.02, 0.003], dtype=torch.float64)) @ right
    along = torch.diag(left.mT @ orthogonalised(matrix) @ right.mT)
    assert along.min() > 0.68
    assert along.max() < 1.21


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_two_steps_by_hand(layout):
    """A convolution is a matrix of output channels; one with more rows than columns moves farther."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(20, 2, 3, 3).to(memory_format=layout))
    untouched = torch.nn.Parameter(torch.ones(2, 2))
    settings = MuonSettings(learning_rate=0.1, momentum=0.9, weight_decay=0.5)
    optimizer = Muon([weight, untouched], settings)
    expected, mean = weight.detach().clone(), torch.zeros(20, 18)
    for _ in range(2):
        gradient = torch.randn(20, 2, 3, 3)
        weight.grad = gradient.to(memory_format=layout)
        optimizer.step()
        mean = 0.9 * mean + 0.1 * gradient.flatten(1)
        ahead = 0.1 * gradient.flatten(1) + 0.9 * mean
        move = orthogonalised(ahead).reshape(20, 2, 3, 3) * (20 / 18) ** 0.5
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * move
        torch.testing.assert_close(weight.detach(), expected)
    assert torch.equal(untouched.detach(), torch.ones(2, 2))

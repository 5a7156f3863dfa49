"""Skipping settled cells follows `Settling` to the bit; a tolerance of 0 gives the same cells as no skipping."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from rules import allowed

import lnca
from conftest import textured
from lnca import LncaError
from lnca.kernels.cpu import FusedRun
from lnca.restoration.bands import Plan
from lnca.restoration.pictures import Rows
from lnca.runtime.native import library
from lnca.runtime.settling import Settling

pytestmark = pytest.mark.skipif(library() is None, reason="no C++ compiler when lnca was installed")

RULES = {
    "nafca": ("latent-nafca", {}),
    "nafca, masked": ("latent-nafca", {"update_rate": 0.6}),
    "vitca": ("latent-vitca", {"position": "none"}),
    "vitca, masked": ("latent-vitca", {"position": "none", "update_rate": 0.6}),
}


def rule_and_cells(name, batch, rows, columns):
    """Cells that change less the larger they are, since a large number rounds the increment away."""
    torch.manual_seed(2)
    architecture, settings = RULES[name]
    rule = lnca.build(architecture, **settings).eval().automaton
    torch.nn.init.normal_(rule.head.weight, std=0.01)
    cells = rule.seed(torch.randn(batch, rows, columns, rule.input_channels))
    large = torch.rand(batch, rows // 3 + 1, columns // 3 + 1, 1).repeat_interleave(3, 1).repeat_interleave(3, 2)
    cells[..., rule.input_channels :] += 1e9 * (large[:, :rows, :columns] < 0.8)
    return rule, cells


def step_by_step(rule, cells, steps, tolerance, seed):
    run, unsettled = FusedRun(rule), torch.ones_like(cells[..., :1], dtype=torch.bool)
    taken = torch.zeros(cells.shape[:-1], dtype=torch.int32)
    for step in range(steps):
        drawn = rule.mask(seed, step, cells)
        active = unsettled if drawn is None else unsettled & drawn
        after = torch.where(active, run(cells, 1, seed, step), cells)
        changed = (after - cells).abs().amax(-1, keepdim=True) > tolerance
        around = F.max_pool2d(changed.float().permute(0, 3, 1, 2), 3, 1, 1).permute(0, 2, 3, 1) > 0
        unsettled = around | (unsettled & ~active)
        taken += active[..., 0]
        cells = after
    return cells, taken, unsettled[..., 0]


@pytest.mark.parametrize("shape", [(1, 20, 29), (3, 13, 8), (2, 1, 9), (1, 5, 1)])
@pytest.mark.parametrize("tolerance", [0, 0.01, 0.03])
@pytest.mark.parametrize("name", RULES)
def test_cells_and_steps_are_those_of_the_definition(name, tolerance, shape):
    rule, cells = rule_and_cells(name, *shape)
    expected, taken, unsettled = step_by_step(rule, cells, 9, tolerance, 5)
    for count in (1, 2):
        with allowed(count):
            settling, result = Settling(*shape, tolerance), cells.clone()
            for first, steps in ((0, 4), (4, 5)):
                FusedRun(rule).advance(result, steps, 5, first, settling=settling)
            assert torch.equal(result, expected)
            assert np.array_equal(settling.steps, taken.numpy())
            assert np.array_equal(settling.unsettled.astype(bool), unsettled.numpy())


@pytest.mark.parametrize("name", RULES)
def test_tolerance_zero_is_exact_and_leaves_out_something(name):
    rule, cells = rule_and_cells(name, 2, 30, 41)
    settling, result = Settling(2, 30, 41, 0), cells.clone()
    FusedRun(rule).advance(result, 12, 1, settling=settling)
    assert torch.equal(result, FusedRun(rule)(cells, 12, 1))
    assert settling.steps.mean() < 0.7 * (12 * rule.update_rate)
    assert settling.steps.max() > 6


@pytest.mark.parametrize(
    "name", [model.name for model in lnca.models() if model.architecture not in ("pyramid", "deblur")]
)
def test_a_picture_settles_alike_in_any_plan(name):
    restorer = lnca.load(name, "cpu", "fused")
    picture = textured(42, 34)
    exact = restorer.settle(picture, tolerance=0)
    assert exact.picture.tobytes() == restorer.restore(picture).tobytes()
    rows, columns = exact.steps.shape[1:]
    near = restorer.settle(picture, 40, 0.02)
    assert near.steps.max() <= 40
    assert near.steps.mean() < 38
    assert np.abs(np.asarray(near.picture, float) - np.asarray(restorer.restore(picture, 40))).mean() < 1
    for band, block, steps in ((2, 1, 1), (5, 3, 2), (rows, 4, 4), (3, 5, 3), (1, rows, 8)):
        plan = Plan(rows, columns, band, block, steps, 0, rows * columns * 64 * 4)
        again, taken = restorer.streamer.settle(Rows(picture), 0.02, 40, plan=plan)
        assert np.array_equal(taken, near.steps)
        assert again.tobytes() == near.picture.tobytes()


def test_restoring_until_cells_settle(command, tmp_path):
    restorer = lnca.load("latent-vitca-denoise", "cpu")
    picture = textured(60, 44)
    picture.save(tmp_path / "p.png")
    expected = restorer.settle(picture)
    assert restorer.restore(picture, "auto").tobytes() == expected.picture.tobytes()
    assert restorer.restore(picture, "auto", "1MB").tobytes() == expected.picture.tobytes()
    arguments = ("restore", tmp_path / "p.png", "--model", "latent-vitca-denoise", "--device", "cpu", "--overwrite")
    status, _, error = command(*arguments, "--steps", "auto", "--heat-map", tmp_path / "heat.png")
    assert (status, error) == (0, f"{tmp_path / 'p.png'}: {expected.steps.mean():.1f} steps a cell\n")
    assert Image.open(tmp_path / "p-restored.png").tobytes() == expected.picture.tobytes()
    heat = np.asarray(Image.open(tmp_path / "heat.png"), int).sum(-1)
    assert heat.shape == (44, 60)
    assert np.array_equal(heat[::4, ::4] == heat.max(), expected.steps[0] == expected.steps.max())
    region = ("--region", "8,12,20,10")
    status, _, error = command(
        *arguments, *region, "--steps", "auto", "--heat-map", tmp_path / "there.png", "--overwrite"
    )
    assert status == 0, error
    there = np.asarray(Image.open(tmp_path / "there.png"), int).sum(-1)
    inside = np.zeros_like(heat)
    inside[12:24, 8:28] = 1
    assert np.array_equal(there, heat * inside)
    status, _, _ = command(*arguments, "--steps", "auto", "--tolerance", "0")
    assert Image.open(tmp_path / "p-restored.png").tobytes() == restorer.restore(picture).tobytes()


def test_what_cannot_settle_is_said(command, tmp_path):
    textured(60, 44).save(tmp_path / "p.png")
    for arguments, sentence in (
        (("--steps", "many"), "--steps should be a number, 0 or more, or auto, got 'many'"),
        (("--steps", "-1"), "--steps should be a number, 0 or more, or auto, got '-1'"),
        (("--tolerance", "0.1"), "--tolerance and --heat-map need --steps auto"),
        (("--steps", "auto", "--tolerance", "-1"), "the tolerance must be 0 or more, got -1"),
        (("--steps", "auto", "--heat-map", tmp_path / "p.png"), f"{tmp_path}/p.png exists; add --overwrite"),
    ):
        status, _, error = command("restore", tmp_path / "p.png", "--model", "lnca-denoise", *arguments)
        assert status == 2
        assert error.startswith(f"lnca: {sentence}")
    status, _, error = command("restore", tmp_path / "p.png", "--steps", "auto")
    assert status == 2
    assert "all cells of photo-denoise take every step" in error
    status, _, error = command("restore", tmp_path, "--steps", "auto", "--heat-map", tmp_path / "h.png")
    assert (status, error) == (2, "lnca: --heat-map is for one picture\n")
    with pytest.raises(LncaError, match="need a latent model and the compiled kernels"):
        lnca.load("latent-nafca-denoise", "cpu", "plain").restore(textured(20, 20), "auto")

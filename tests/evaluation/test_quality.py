"""Scores agree with the metrics."""

import pytest
import torch

import lnca
from lnca import metrics
from lnca.data.tile_set import open_tiles
from lnca.degradation.paper import motion_blur
from lnca.evaluation.quality import evaluate, pairs, steps_curve


@pytest.fixture
def tiles(pictures):
    return open_tiles(pictures, "all", 0, 32, 24)


def test_scores_of_a_function_are_means_and_deviations_over_tiles(tiles):
    result = evaluate(lambda x: 1 - x, tiles, "denoise", seed=3)
    clean, corrupted = (torch.cat(part) for part in zip(*pairs(tiles, "denoise", None, 3), strict=True))
    torch.testing.assert_close(clean, torch.from_numpy(tiles.clean[tiles.rows]) / 255)
    for kind, x in (("input", corrupted), ("output", 1 - corrupted)):
        for name, metric in (("ssim", metrics.ssim), ("psnr", metrics.psnr)):
            values = metric(x, clean)
            assert result[kind][name]["mean"] == pytest.approx(values.mean().item(), rel=1e-5)
            assert result[kind][name]["deviation"] == pytest.approx(values.std().item(), rel=1e-5)
    assert result["tiles"] == 24
    assert result["recovered"] == metrics.recovered(result["output"]["ssim"]["mean"], result["input"]["ssim"]["mean"])


def test_the_curve_meets_the_score_at_the_models_steps(tiles, weights):
    model = lnca.load(weights, "cpu")
    curve = steps_curve(model.module, tiles, "deblur", 5)
    assert list(curve)[:4] == [0, 1, 2, 4]
    assert list(curve)[-2:] == [96, 128]
    for steps in (0, 2, 4):
        score = evaluate(lambda x, n=steps: model.restore(x, n), tiles, "deblur", 5)
        assert curve[steps] == pytest.approx(score["output"]["ssim"]["mean"], abs=1e-5)


def test_inside_a_margin_tiles_have_no_border(tiles):
    seen = []
    evaluate(lambda x: seen.append(x) or x, tiles, "deblur", seed=3, margin=4)
    ((_, corrupted),) = pairs(tiles, "deblur", None, 3)
    assert torch.equal(seen[0], corrupted[..., 4:28, 4:28])
    # The border of a white tile that is blurred is dark, and its middle is not.
    white = motion_blur(torch.ones(4, 3, 32, 32), 7, torch.Generator().manual_seed(0))
    assert white.min() < 0.9
    torch.testing.assert_close(white[..., 4:28, 4:28], torch.ones(4, 3, 24, 24))

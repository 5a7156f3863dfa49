"""Every model gets the same degraded photographs, and scores agree with the metrics."""

import pytest
import torch

from conftest import textured
from lnca import LncaError, metrics
from lnca.degradation import MARGINS
from lnca.evaluation.photographs import CONDITIONS, HIGHEST_PSNR, cases, chosen_pictures, evaluate_photographs


@pytest.fixture
def folder(tmp_path):
    for index in range(5):
        textured(90 + index, 70, index).save(tmp_path / f"{index}.png")
    return tmp_path


def test_each_photograph_has_its_own_degradation_whatever_comes_before(folder):
    paths = chosen_pictures(folder, "all", 0)
    first = {case.name: case for case in cases(paths, "photo-denoise", "sigma 25", 0)}
    alone = next(cases(paths[3:], "photo-denoise", "sigma 25", 0))
    assert torch.equal(first[alone.name].degraded, alone.degraded)
    other = next(cases(paths[3:], "photo-denoise", "sigma 25", 1))
    assert torch.equal(other.clean, alone.clean)
    assert not torch.equal(other.degraded, alone.degraded)
    noise = torch.cat([(case.degraded - case.clean).flatten() for case in first.values()])
    assert noise.std().item() == pytest.approx(25 / 255, rel=0.1)


@pytest.mark.parametrize("task", CONDITIONS)
def test_every_condition_has_its_margin_cut_off_and_its_middle_taken(task, folder):
    paths = chosen_pictures(folder, "all", 0)
    for condition in CONDITIONS[task]:
        case = next(cases(paths, task, condition, 0, 64))
        side = 64 - 2 * MARGINS[task]
        assert case.clean.shape == case.degraded.shape == (1, 3, side, side)
        assert not torch.equal(case.clean, case.degraded)


def test_longer_motion_hurts_more(folder):
    paths = chosen_pictures(folder, "all", 0)

    def score(condition):
        pictures = cases(paths, "photo-deblur", condition, 0)
        return sum(metrics.psnr(case.degraded, case.clean).item() for case in pictures)

    assert score("5 pixels") > score("10 pixels") > score("20 pixels")


def test_scores_are_means_over_photographs(folder):
    paths = chosen_pictures(folder, "test", 0, 1)
    done = []
    result = evaluate_photographs(lambda x: x, paths, "photo-denoise", 3, lambda: done.append(1))
    assert len(done) == len(CONDITIONS["photo-denoise"])
    case = next(cases(paths, "photo-denoise", "sigma 50", 3))
    rows = result["conditions"]["sigma 50"]
    assert rows["output"] == rows["input"]
    assert rows["input"]["psnr"]["mean"] == pytest.approx(metrics.psnr(case.degraded, case.clean).item())
    assert rows["input"]["ssim"]["mean"] == pytest.approx(metrics.ssim(case.degraded, case.clean).item())
    assert rows["kept"]["psnr"]["mean"] == HIGHEST_PSNR


def test_a_photograph_that_is_too_small_is_named(tmp_path):
    textured(60, 40, 0).save(tmp_path / "small.png")
    with pytest.raises(LncaError, match="small.png is 60x40, too small to be scored for photo-deblur"):
        next(cases([tmp_path / "small.png"], "photo-deblur", "mixture", 0))


def test_too_few_photographs_to_split(tmp_path):
    textured(32, 32, 0).save(tmp_path / "one.png")
    with pytest.raises(LncaError, match="1 picture is too few to split"):
        chosen_pictures(tmp_path, "test", 0)
    assert len(chosen_pictures(tmp_path, "all", 0)) == 1

"""`import lnca` is light, and lists and builds models."""

import subprocess
import sys

import pytest

import lnca

SHIPPED = [
    "latent-nafca-deblur",
    "latent-nafca-denoise",
    "latent-vitca-deblur",
    "latent-vitca-denoise",
    "lnca-denoise",
    "photo-deblur",
    "photo-denoise",
]


SLOW_TO_LOAD = ("torch", "numpy", "scipy", "PIL", "click", "safetensors")


def test_import_loads_nothing_that_is_slow_to_load():
    code = f"import sys, lnca; print([name for name in {SLOW_TO_LOAD} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_models_lists_the_shipped_weights():
    assert [model.name for model in lnca.models()] == SHIPPED


@pytest.mark.parametrize("name", [name for name in SHIPPED if not name.startswith("photo-")])
def test_shipped_weights_are_small_carry_a_card_and_restore(name, picture):
    model = lnca.load(name, "cpu")
    info = model.info
    assert info.path.stat().st_size < 1_000_000
    card = info.card
    assert f"{card['model']}-{card['task']}" == name
    assert {"data", "licence", "recipe", "seed", "commit", "quality"} <= set(card)
    quality = card["quality"]
    assert quality["recovered"] >= (0.55 if card["task"] == "denoise" else 0.05)
    assert quality["steps"]["128"] >= quality["steps"]["64"] - 0.01
    assert quality["steps"][str(model.stepped.steps)] == pytest.approx(quality["output"]["ssim"]["mean"], abs=1e-4)
    assert model.restore(picture).size == picture.size


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("photo-")])
def test_models_of_photographs_are_small_carry_a_card_and_help_without_harm(name, picture):
    model = lnca.load(name, "cpu")
    assert model.info.path.stat().st_size < (2_000_000 if name == "photo-deblur" else 3_000_000)
    card = model.info.card
    assert card["task"] == name
    assert {"data", "licence", "recipe", "seed", "commit", "quality"} <= set(card)
    for condition, row in card["quality"]["conditions"].items():
        if condition == "clean":
            assert row["kept"]["psnr"]["mean"] > 40
        else:
            assert row["output"]["psnr"]["mean"] > row["input"]["psnr"]["mean"]
            assert row["output"]["ssim"]["mean"] > row["input"]["ssim"]["mean"]
    assert model.restore(picture).size == picture.size


def test_the_model_beside_the_papers_costs_an_eighth_of_nafnet_at_most():
    from lnca.measuring.inference import operations

    # Operations of full NAFNet, which are the same for every pixel.
    nafnet = operations(lnca.build("nafnet").eval(), 64)
    assert operations(lnca.load("lnca-denoise", "cpu", "plain").module, 64) <= nafnet / 8
    assert lnca.load("lnca-denoise", "cpu").info.parameters < 500_000


def test_the_model_beside_the_papers_stays_after_640_steps():
    import torch

    from lnca import metrics
    from lnca.corruption import PAPER_DIFFICULTY
    from lnca.degradation.paper import corrupt
    from lnca.demo import photograph
    from lnca.restoration.pictures import to_tensor

    half = torch.nn.functional.avg_pool2d(to_tensor(photograph()), 2)
    tiles = half[0].unfold(1, 32, 32).unfold(2, 32, 32).permute(1, 2, 0, 3, 4).flatten(0, 1)[::3]
    given = corrupt(tiles, "denoise", PAPER_DIFFICULTY["denoise"], torch.Generator().manual_seed(0))
    restorer = lnca.load("lnca-denoise", "cpu")
    early, late = (metrics.ssim(restorer.restore(given, steps), tiles).mean().item() for steps in (64, 640))
    assert late > early - 0.005
    assert late > metrics.ssim(given, tiles).mean().item() + 0.1


def test_build_gives_an_untrained_module():
    model = lnca.build("latent-vitca", hidden_channels=48)
    assert model.automaton.hidden_channels == 48
    assert model.training


def test_a_picture_is_restored_in_one_call(weights, picture):
    expected = lnca.load(weights).restore(picture, steps=2, strength=0.5)
    assert lnca.restore(picture, model=weights, steps=2, strength=0.5).tobytes() == expected.tobytes()
    assert lnca.restore(picture).tobytes() == lnca.load(lnca.catalogue.DEFAULT_MODEL).restore(picture).tobytes()

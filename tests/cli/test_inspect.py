"""`lnca models`, `lnca evaluate`, and what `lnca train` refuses."""

import json

import pytest

import lnca


def test_models_are_listed(command):
    _, out, _ = command("models")
    names = [model.name for model in lnca.models()]
    assert sorted(word for word in out.split() if word in names) == names
    lines = out.splitlines()
    assert lines[0] == "For photographs"
    assert lines[1] == "  photo-denoise         the default: camera noise, film grain, JPEG artefacts"
    _, out, _ = command("models", "--json")
    listed = json.loads(out)
    assert [model["name"] for model in listed] == [model.name for model in lnca.models()]
    assert all(model["card"]["quality"]["output"]["ssim"]["mean"] > 0 for model in listed)


def test_evaluate_scores_the_test_split_and_repeats_itself(command, weights, pictures):
    arguments = ("evaluate", "--model", weights, "--data", pictures, "--json", "--device", "cpu")
    status, out, _ = command(*arguments, "--split", "all", "--limit", 8, "--curve")
    result = json.loads(out)
    assert status == 0
    assert (result["task"], result["tiles"], result["pictures"], result["split"]) == ("denoise", 8, 6, "all")
    assert result["steps"]["4"] == pytest.approx(result["output"]["ssim"]["mean"], abs=1e-5)
    assert command(*arguments, "--split", "all", "--limit", 8, "--curve")[1] == out
    assert json.loads(command(*arguments)[1])["pictures"] == 1
    blurred = json.loads(command(*arguments, "--task", "deblur", "--difficulty", 3)[1])
    assert blurred["input"]["ssim"]["mean"] > 0.8
    _, text, _ = command(*arguments[:5], "--split", "all", "--limit", 8)
    assert f"output  SSIM {result['output']['ssim']['mean']:.4f}" in text


def test_too_few_pictures_to_split(refused, weights, pictures):
    said = refused("evaluate", "--model", weights, "--data", pictures / "below")
    assert "too few to split" in said
    assert "--split all" in said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--split", "some"), "--split should be train, validation, test or all"),
        (("--task", "colour"), "--task should be denoise, deblur, photo-denoise or photo-deblur, got 'colour'"),
        (("--difficulty", 2), "between 0 and 1, got 2"),
        (("--model", "latent"), "no model 'latent'; did you mean"),
    ],
)
def test_what_evaluate_refuses(refused, weights, pictures, options, sentence):
    assert sentence in refused("evaluate", "--model", weights, "--data", pictures, *options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--task", "colour"), "--task should be denoise, deblur, photo-denoise or photo-deblur"),
        (("--model", "latent-nafka"), "no architecture 'latent-nafka'; did you mean latent-nafca"),
        (("--recipe", "quick"), "no recipe 'quick'"),
        (("--set", "automaton.pol=1"), "recipe.automaton has no field 'pol'"),
        (("--batch-size", 1), "a batch of 1 has no negative samples"),
        (("--batch-size", 1000), "fewer than a batch of 1000"),
        (("--data", "below"), "1 picture is too few to split"),
        (("--data", "nowhere"), "is not a folder"),
    ],
)
def test_what_train_refuses(refused, pictures, tmp_path, monkeypatch, options, sentence):
    monkeypatch.chdir(pictures)
    base = ("--model", "latent-nafca", "--task", "denoise", "--data", ".", "--out", tmp_path / "run")
    assert sentence in refused("train", *base, *options)
    assert not (tmp_path / "run").exists()

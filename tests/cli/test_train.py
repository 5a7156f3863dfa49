"""`lnca train` as a command: weights that the other commands take, and resuming after SIGKILL at any moment."""

import json
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

QUICK = [
    f"--set={change}"
    for change in (
        "tile=32",
        "checkpoint_every=3",
        "automaton.fewest_steps=1",
        "automaton.most_steps=3",
        "joint.fewest_steps=1",
        "joint.most_steps=3",
        "model.latent-nafca.steps=4",
    )
]


def write_pictures(folder, count, side):
    folder.mkdir()
    draw = np.random.default_rng(1)
    for index in range(count):
        small = draw.integers(0, 256, (side // 5, side // 5, 3), np.uint8)
        Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{index}.png")


def arguments(data, out, *options):
    return [
        "train",
        "--model",
        "latent-nafca",
        "--task",
        "deblur",
        "--data",
        str(data),
        "--out",
        str(out),
        "--device",
        "cpu",
        *QUICK,
        *options,
    ]


def process(*given):
    return [sys.executable, "-m", "lnca", *arguments(*given)]


def lnca(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "lnca", *map(str, arguments)], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.slow
def test_trained_weights_are_taken_by_restore_and_evaluate(tmp_path):
    write_pictures(tmp_path / "data", 5, 80)
    trained = subprocess.run(
        process(tmp_path / "data", tmp_path / "run", "--epochs", "1", "--batch-size", "3"),
        capture_output=True,
        text=True,
        check=True,
    )
    weights = tmp_path / "run" / "latent-nafca-deblur.safetensors"
    assert trained.stdout.strip() == str(weights)
    lnca("restore", tmp_path / "data" / "0.png", "-o", tmp_path / "0.png", "--model", weights)
    with Image.open(tmp_path / "0.png") as restored:
        assert restored.size == (80, 80)
    result = json.loads(lnca("evaluate", "--model", weights, "--data", tmp_path / "data", "--json"))
    assert result["task"] == "deblur"
    assert result["pictures"] == 1
    assert result["tiles"] == 4


@pytest.mark.parametrize("task", ["denoise", "photo-denoise"])
def test_all_unreadable_pictures_are_named_at_once_or_left_out(tmp_path, capsys, task):
    from lnca import LncaError
    from lnca.training.plan import Plan
    from lnca.training.recipe import load_recipe
    from lnca.training.run import Run

    write_pictures(tmp_path / "data", 9, 80)
    (tmp_path / "data" / "notes.txt").write_text("words")
    whole = Run(_plan(Plan, load_recipe, tmp_path, task), tmp_path / "whole")
    assert "notes.txt is left out: another kind of file" in capsys.readouterr().err
    used = [name for split in ("train", "validation") for name in _names(tmp_path, split)]
    broken = [_names(tmp_path, "train")[0], _names(tmp_path, "train")[2], _names(tmp_path, "validation")[0]]
    for name in broken:
        (tmp_path / "data" / name).write_bytes(b"broken")
    with pytest.raises(LncaError, match="3 pictures cannot be read; mend this, or go on without with --skip-broken"):
        Run(_plan(Plan, load_recipe, tmp_path, task), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "data" / broken[2]).write_bytes((tmp_path / "data" / _names(tmp_path, "test")[0]).read_bytes())
    run = Run(_plan(Plan, load_recipe, tmp_path, task), tmp_path / "run", skip_broken=True)
    said = capsys.readouterr().err
    assert [name for name in used if f"{name} is not a picture" in said] == broken[:2]
    assert run.train.groups == whole.train.groups - 2
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["left_out"]) == 3


def _plan(plan, load_recipe, folder, task):
    return plan(
        "latent-nafca" if task == "denoise" else "lnca",
        task,
        folder / "data",
        load_recipe("stable", ["batch_size=2", "crop=16"]),
        0,
    )


def _names(folder, split):
    from lnca.data.splits import split_groups

    paths = sorted((folder / "data").glob("*.png"))
    return [paths[index].name for index in split_groups([path.name for path in paths], 0)[split]]


def test_one_picture_is_too_few_and_train_says_nothing_of_evaluate(refused, tmp_path):
    write_pictures(tmp_path / "data", 1, 80)
    said = refused(*arguments(tmp_path / "data", tmp_path / "run"))
    assert "--split" not in said
    assert "1 picture is too few to split in training, validation and test set" in said


def test_help_names_all_models_and_recipes(command):
    from lnca.architectures import ARCHITECTURES, PRESETS
    from lnca.training.recipe import shipped_recipes

    words = set(command("train", "--help")[1].replace(",", " ").replace(".", " ").split())
    assert {*ARCHITECTURES, *PRESETS, *shipped_recipes()} <= words


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_bytes_of_an_uninterrupted_run(tmp_path):
    write_pictures(tmp_path / "data", 20, 160)
    options = ("--epochs", "2", "--batch-size", "8")
    subprocess.run(process(tmp_path / "data", tmp_path / "whole", *options), check=True, capture_output=True)
    chance = random.Random(0)
    for attempt in range(100):
        resume = ["--resume"] if attempt else []
        run = subprocess.Popen(
            process(tmp_path / "data", tmp_path / "killed", *options, *resume),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            # Wait longer each time, so that a slow machine finishes too.
            run.wait(timeout=chance.uniform(5, 12) * (1 + attempt / 4))
        except subprocess.TimeoutExpired:
            os.kill(run.pid, signal.SIGKILL)
            run.wait()
            continue
        assert run.returncode == 0
        break
    assert attempt >= 2, "the run was too short to be killed"
    name = "latent-nafca-deblur.safetensors"
    assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

"""The script of the comparison: models by their public interface, functions of other modules, and whole runs."""

import json
import sys

import numpy as np
import pytest

import judges
from conftest import textured
from lnca import LncaError
from lnca.evaluation.protocols import noisy, score


@pytest.fixture
def folders(tmp_path):
    for folder, names in {"sets/CBSD68": ["a", "b"], "real": ["x_real", "x_mean"]}.items():
        (tmp_path / folder).mkdir(parents=True)
        for number, name in enumerate(names):
            textured(32, 24, number).save(tmp_path / folder / f"{name}.png")
    return tmp_path


@pytest.fixture
def run(folders, monkeypatch, capsys):
    def call(*options):
        places = ["--benchmarks", folders / "sets", "--real", folders / "real", "--out", folders / "judges.json"]
        monkeypatch.setattr(sys, "argv", ["judges.py", *map(str, places), "--sets", "CBSD68", *options])
        judges.main()
        return capsys.readouterr().out

    return call


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module with a denoiser that is not part of lnca."""
    (tmp_path / "theirs.py").write_text(
        "def gentle(x, sigma):\n    return x if sigma is None else x * 0 + sigma / 255\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "theirs:gentle"
    sys.modules.pop("theirs", None)


def blind_only(picture, steps=None):
    return picture


def with_level(picture, steps=None, noise_level="auto"):
    return picture if noise_level == "auto" else (picture * 0 + noise_level / 255).clip(0, 1)


def choosy(picture, noise_level="auto"):
    raise LncaError("this model is not told how much noise there is")


def test_a_model_without_a_noise_level_says_why_it_is_not_told():
    assert judges.why_not_given(blind_only) == "it takes no noise level"
    assert judges.why_not_given(choosy) == "this model is not told how much noise there is"
    assert judges.why_not_given(with_level) == ""


def test_blind_it_is_given_a_files_bytes_and_told_floats_beyond_white():
    given = noisy(np.full((16, 16, 3), 250, np.uint8), 25, False, "a")
    seen = []
    blind = judges.restored(lambda picture: seen.append(picture) or picture, given, None)
    assert seen[0].dtype == np.uint8
    assert np.array_equal(255 * blind, (255 * given).clip(0, 255).round())
    assert np.allclose(judges.restored(with_level, given, 51), 0.2)
    judges.restored(lambda picture, noise_level: seen.append(picture) or picture, given, 51)
    assert seen[1].dtype == np.float32
    assert seen[1].max() > 1


def test_the_present_model_is_judged_through_its_public_interface():
    method = judges.ours("photo-denoise")
    assert method.name == "photo-denoise"
    assert method.blind
    assert method.parameters > 100_000
    assert method.operations > 10_000
    assert len(method.identity) == 64
    clean = np.asarray(textured(64, 64))
    given = noisy(clean, 25, True, "a")
    assert score(method.run(given, None), clean)[0] > score(given, clean)[0] + 3
    grey = noisy(clean[..., 0], 25, True, "a")
    assert method.run(grey, None).shape == grey.shape
    assert not np.array_equal(method.stepped(given, 1), method.stepped(given, method.steps))
    assert np.array_equal(method.stepped(given, method.steps), method.run(given, None))


def test_a_whole_run_of_a_function(run, module, folders):
    text = run("--function", module, "--parts", "papers,real,levels,clean")
    content = json.loads((folders / "judges.json").read_text())
    rows = content["methods"]["gentle"]["rows"]
    # With sigma it returns sigma; without, it returns its input.
    assert set(rows["clean/CBSD68"]) == {"a", "b"}
    assert rows["clean/CBSD68"]["a"] == [60, 1]
    assert set(rows["real"]) == {"x"}
    assert rows["papers/colour/CBSD68/25"]["a"][0] < 10
    assert len([key for key in rows if key.startswith("real/")]) == 6
    assert "gentle" in text


def test_a_function_is_known_by_its_code_and_its_weights(module, tmp_path):
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"1")
    first = judges.function(module, weights)
    assert first.identity == judges.function(module, weights).identity
    assert first.identity != judges.function(module).identity
    weights.write_bytes(b"2")
    assert first.identity != judges.function(module, weights).identity
    assert judges.function(module, weights, "ours").name == "ours"
    with pytest.raises(LncaError, match="weights.p does not exist"):
        judges.function(module, tmp_path / "weights.p")


@pytest.mark.parametrize("where", ["theirs:rough", "nobodys:gentle", "theirs", ""])
def test_a_function_that_is_not_there(module, where):
    with pytest.raises(LncaError, match="module:callable"):
        judges.function(where)


def test_a_second_run_adds_only_what_is_new(run, module, folders, monkeypatch):
    run("--function", module, "--parts", "users", "--every", "2")
    first = json.loads((folders / "judges.json").read_text())["methods"]["gentle"]["rows"]
    assert set(first["users/colour/CBSD68/25"]) == {"a"}
    asked = []
    monkeypatch.setattr(judges, "judge", lambda method, trials, record, report: judging(asked, method, trials, record))
    run("--function", module, "--parts", "users")
    assert {trial.picture for trial in asked} == {"b"}


def judging(asked, method, trials, record):
    record.begin(method)
    asked += [trial for trial in trials if not record.has(method, trial)]


@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_every_is_a_number_of_one_or_more(run, value, capsys):
    with pytest.raises(SystemExit):
        run("--every", value)
    assert "should be 1 or more" in capsys.readouterr().err


def test_speed_and_table(run, folders, monkeypatch):
    monkeypatch.setattr(judges, "SPEED_SIDE", 32)
    monkeypatch.setattr(judges, "matrix_rate", lambda *_: 2e9)
    monkeypatch.setattr(judges.os, "sched_setaffinity", lambda *_: None)
    run("--methods", "given", "--parts", "users")
    run("--methods", "given", "--speed", "--rounds", "1")
    content = json.loads((folders / "judges.json").read_text())
    assert content["seconds a megapixel"]["given"]["median"] < 1
    assert content["seconds a megapixel"]["environment"]["multiply-adds a second"] == 1e9
    text = run("--table")
    assert "| given |" in text
    assert "CBSD68, 2 pictures" in text

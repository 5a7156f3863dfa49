"""Each method gets the trials that it supports, and a run resumes where another one ended."""

import json

import numpy as np
import pytest

from conftest import textured
from lnca import LncaError
from lnca.evaluation.drawn import drawn_pictures
from lnca.measuring import judging
from lnca.measuring.denoisers import Denoiser, nothing
from lnca.measuring.judging import Judges, Record, Trial, as_text, judge, step_counts


@pytest.fixture
def judges(tmp_path):
    for name, count in (("CBSD68", 3), ("Kodak24", 2)):
        (tmp_path / "sets" / name).mkdir(parents=True)
        for number in range(count):
            textured(24, 20, number).save(tmp_path / "sets" / name / f"{number}.png")
    (tmp_path / "real").mkdir()
    for number in range(2):
        for kind, seed in (("real", number), ("mean", 7 + number)):
            textured(24, 20, seed).save(tmp_path / "real" / f"scene{number}_{kind}.JPG", quality=95)
    return Judges(benchmarks=tmp_path / "sets", real=tmp_path / "real", sets=["CBSD68", "Kodak24"])


def method(calls=None, **settings):
    """A denoiser that halves its input and records its noise level."""

    def run(x, level):
        if calls is not None:
            calls.append((x, level))
        return x / 2

    return Denoiser(**{"name": "half", "identity": "1", "run": run, **settings})


def keys(judges, part, asked):
    return [trial.key for trial in judges.trials(part, asked)]


def test_protocols_are_asked_as_far_as_a_method_can_be_asked(judges):
    told, blind, both = method(), method(blind=True, refusal="no level"), method(blind=True)
    assert {key.partition("/")[0] for key in keys(judges, "users", told)} == {"users, told"}
    assert {key.partition("/")[0] for key in keys(judges, "users", blind)} == {"users"}
    assert {key.partition("/")[0] for key in keys(judges, "users", both)} == {"users", "users, told"}
    assert {key.partition("/")[0] for key in keys(judges, "users", nothing())} == {"users"}
    assert keys(judges, "papers", blind) == []
    # Five pictures at three levels.
    assert len(keys(judges, "papers", told)) == 15
    assert {trial.level for trial in judges.trials("papers", told)} == {15, 25, 50}
    assert {trial.level for trial in judges.trials("users", blind)} == {None}
    assert keys(judges, "grey", method(grey=False)) == []
    assert keys(judges, "papers", method(colour=False)) == []


def test_what_a_trial_gives(judges):
    papers, users = (list(judges.trials(part, method(blind=True))) for part in ("papers", "users"))
    given, truth = papers[0].make()
    assert given.min() < 0 or given.max() > 1
    assert truth.dtype == np.uint8
    clipped = users[0].make().given
    assert np.array_equal(clipped * 255, (255 * given).clip(0, 255).round())
    grey = next(judges.trials("grey", method())).make()
    assert grey.given.shape == grey.truth.shape == (20, 24)


def test_real_pairs_blind_and_told(judges):
    assert keys(judges, "real", method()) == []
    assert keys(judges, "real", method(blind=True)) == ["real", "real"]
    told = list(judges.trials("levels", method(levels=(5, 12.5))))
    assert [(trial.key, trial.picture, trial.level) for trial in told] == [
        ("real/5", "scene0", 5),
        ("real/5", "scene1", 5),
        ("real/12.5", "scene0", 12.5),
        ("real/12.5", "scene1", 12.5),
    ]
    given, truth = told[0].make()
    assert not np.array_equal(255 * given, truth)


def test_clean_pictures_are_given_as_they_are(judges):
    trials = list(judges.trials("clean", method(blind=True)))
    assert len(trials) == 5 + len(drawn_pictures())
    for trial in trials:
        given, truth = trial.make()
        assert np.array_equal(255 * given, truth)
    assert keys(judges, "clean", method()) == []


def test_steps_of_a_model_that_has_steps(judges):
    assert keys(judges, "steps", method(blind=True)) == []
    stepped = method(blind=True, steps=2, stepped=lambda x, steps: x)
    trials = list(judges.trials("steps", stepped))
    assert {trial.steps for trial in trials} == {1, 2, 3, 4, 6, 8}
    assert {trial.key.rpartition("/")[0] for trial in trials} == {"steps/CBSD68/25", "steps/real"}


@pytest.mark.parametrize(
    ("trained", "expected"), [(1, [1, 2, 3, 4]), (5, [1, 2, 3, 4, 5, 6, 8, 12, 16, 20]), (2, [1, 2, 3, 4, 6, 8])]
)
def test_step_counts(trained, expected):
    assert step_counts(trained) == expected


def test_steps_are_run_with_their_number(judges, tmp_path):
    seen = []
    stepped = method(blind=True, steps=1, stepped=lambda x, steps: seen.append(steps) or x)
    judge(stepped, list(judges.trials("steps", stepped))[::5], Record(tmp_path / "r.json"))
    assert seen == [1, 2, 3, 4]


def test_a_part_that_is_not_there(judges):
    with pytest.raises(LncaError, match="no part 'paper'; there are papers"):
        next(judges.trials("paper", method()))


def trial(picture, key="papers/colour/CBSD68/15"):
    truth = np.full((12, 12), 100, np.uint8)
    return Trial(key, picture, lambda: judging.Material((truth + 10.0) / 255, truth), 15)


def test_a_run_goes_on_where_another_one_ended(tmp_path):
    file, calls = tmp_path / "results.json", []
    judge(method(calls), [trial("a")], Record(file))
    judge(method(calls), [trial("a"), trial("b")], Record(file))
    assert len(calls) == 2
    rows = Record(file).methods["half"]["rows"]["papers/colour/CBSD68/15"]
    # Half of 110 instead of 100: an error of 45.
    assert rows["a"][0] == rows["b"][0] == pytest.approx(20 * np.log10(255 / 45), abs=1e-3)


def test_other_weights_are_scored_again(tmp_path):
    file, calls = tmp_path / "results.json", []
    judge(method(calls), [trial("a"), trial("b")], Record(file))
    judge(method(calls, identity="2"), [trial("a")], Record(file))
    assert len(calls) == 3
    found = Record(file).methods["half"]
    assert found["identity"] == "2"
    assert list(found["rows"]["papers/colour/CBSD68/15"]) == ["a"]


def test_a_run_that_ends_early_keeps_what_it_has(tmp_path):
    def broken():
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        judge(method(), [trial("a"), Trial("papers/colour/CBSD68/15", "b", broken)], Record(tmp_path / "r.json"))
    assert list(Record(tmp_path / "r.json").methods["half"]["rows"]["papers/colour/CBSD68/15"]) == ["a"]


def test_two_runs_at_once_keep_each_others_methods(tmp_path):
    first, second = Record(tmp_path / "r.json"), Record(tmp_path / "r.json")
    judge(method(name="one"), [trial("a")], first)
    judge(method(name="two"), [trial("a")], second)
    first.write(more={"x": 1})
    content = json.loads((tmp_path / "r.json").read_text())
    assert list(content["methods"]) == ["one", "two"]
    assert content["more"] == {"x": 1}


def test_results_of_another_protocol_are_dropped(tmp_path, monkeypatch):
    judge(method(), [trial("a")], Record(tmp_path / "r.json"))
    monkeypatch.setattr(judging, "VERSION", judging.VERSION + 1)
    assert Record(tmp_path / "r.json").methods == {}


@pytest.mark.parametrize("content", ["[]", "{", '{"quality": {}}'])
def test_a_file_that_is_something_else_is_not_overwritten(tmp_path, content):
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(LncaError, match="is no result file of the judges"):
        Record(tmp_path / "r.json")


def test_a_line_of_the_file_is_what_was_asked(tmp_path):
    value = {"a": {"rows": {"x": {"p": [1.5, 2]}, "y": {}}}, "n": None}
    text = as_text(value)
    assert json.loads(text) == value
    assert '"x": {"p": [1.5, 2]}' in text.splitlines()[3]


def test_nothing_scores_what_is_given(judges, tmp_path):
    record = Record(tmp_path / "r.json")
    judge(nothing(), judges.trials("users", nothing()), record)
    rows = record.methods["given"]["rows"]
    # Noise of 25 of 255: 20.17 dB, and a little more where it was clipped.
    assert 20 < np.mean([psnr for psnr, _ in rows["users/colour/CBSD68/25"].values()]) < 21.5

"""The training of an automaton on three lattices: losses by hand, which weights move, and runs that are interrupted."""

import json
import math
import signal
from pathlib import Path

import pytest
import torch

import lnca
from conftest import textured
from lnca import LncaError
from lnca.nn.weights_file import load_weights
from lnca.training import losses
from lnca.training import run as running
from lnca.training.batch import Batch, decibels
from lnca.training.checkpoint import checkpoints
from lnca.training.pace import Cost, batches_within
from lnca.training.plan import Plan
from lnca.training.pyramid import NoiseLevelTrainer, PyramidTrainer
from lnca.training.recipe import load_recipe
from lnca.training.run import Interrupted, Run
from lnca.training.samples import side

CHANGES = [
    "batch_size=2",
    "training_tiles=6",
    "validation_tiles=2",
    "checkpoint_every=2",
    "noise_level.epochs=1",
    "pyramid.epochs=2",
    "noise_level.crops=[32, 32]",
    "pyramid.crops=[32, 40]",
    "model.pyramid={channels: [8, 8, 8]}",
]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for index in range(5):
        textured(72, 64, index).save(folder / f"{index}.png")
    return folder


def plan(folder, changes=(), **options):
    options = {"task": "photo-denoise", "seed": 3, **options}
    return Plan("pyramid", data=folder, recipe=load_recipe("photo-denoise", [*CHANGES, *changes]), **options)


@pytest.fixture(scope="module")
def uninterrupted(photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return Run(plan(photographs), folder)()


def small(**settings):
    torch.manual_seed(0)
    model = lnca.build("pyramid", channels=(8, 8, 8), **settings)
    torch.nn.init.normal_(model.decode.weight, std=0.02)
    return model


def batch(count=2, level=20.0):
    draw = torch.Generator().manual_seed(0)
    anchor = torch.rand(count, 3, 32, 32, generator=draw)
    noisy = anchor + 0.1 * torch.randn(anchor.shape, generator=draw)
    return Batch(anchor, noisy, torch.arange(count), level=torch.full((count, 2, 4, 4), level))


def trained(trainer, phase, *changes, batches=10):
    recipe = load_recipe("photo-denoise", [*CHANGES, *changes])
    return trainer(small(), recipe, getattr(recipe, phase), batches)


def snapshot(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(model, before):
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def test_the_error_of_a_level_by_hand():
    true = torch.tensor([9.3, 9.3]).view(2, 1, 1, 1)
    estimated = torch.tensor([0.3, 99.3]).view(2, 1, 1, 1)
    ten = math.log(10)
    expected = [1.3 * (ten + ten**2 / 2), 0.7 * (ten + ten**2 / 2)]
    assert losses.level_error(true, estimated).tolist() == pytest.approx(expected)


def test_charbonnier_and_its_weights_by_hand():
    errors = losses.charbonnier(torch.zeros(2, 3, 2, 2), torch.tensor([0.0, 0.5]).view(2, 1, 1, 1).expand(2, 3, 2, 2))
    assert errors.tolist() == pytest.approx([1e-3, math.sqrt(0.25 + 1e-6)])
    levels = torch.tensor([20.0, 89.0]).view(2, 1, 1, 1).expand(2, 2, 3, 3)
    assert losses.level_weights(levels).tolist() == pytest.approx([1, 0.5])


def test_every_step_s_picture_counts_and_the_last_one_most():
    trainer, given = trained(PyramidTrainer, "pyramid"), batch(level=89.0)
    with torch.no_grad():
        loss = trainer.loss(given)
        frames = list(trainer.model.unrolled(given.positive, given.level, 3))
    each = [losses.charbonnier(given.anchor, frame).mean() for frame in frames[1:]]
    assert loss.item() == pytest.approx(0.5 * (0.1 * each[0] + 0.1 * each[1] + each[2]).item(), rel=1e-5)


def test_each_phase_moves_its_own_weights():
    for trainer, phase in ((NoiseLevelTrainer, "noise_level"), (PyramidTrainer, "pyramid")):
        one = trained(trainer, phase)
        before = snapshot(one.model)
        # The estimator's last layer is zero at first.
        for _ in range(2):
            one.train_batch(batch(), torch.Generator())
        estimator = {name for name in before if name.startswith("estimator.")}
        assert changed(one.model, before) == (estimator if phase == "noise_level" else set(before) - estimator)


def test_muon_moves_the_convolutions_of_the_rules_and_adam_the_rest():
    one = trained(PyramidTrainer, "pyramid")
    names = {id(p): name for name, p in one.model.named_parameters()}
    adam, muon = ({names[id(p)] for p in each.param_groups[0]["params"]} for each in one.optimizer.optimizers)
    assert muon == {n for n, p in one.model.named_parameters() if n.startswith("rules.") and n.endswith("weight")}
    assert adam | muon == {n for n in names.values() if not n.startswith("estimator.")}


def test_what_is_kept_is_a_mean_of_the_weights():
    """The first weights are the mean; then its decay grows up to `memory`."""
    one = trained(PyramidTrainer, "pyramid", "pyramid.memory=0.25")
    expected = None
    for count in range(4):
        one.train_batch(batch(), torch.Generator())
        now = one.model.decode.weight.detach()
        keep = min(0.25, (1 + count) / (10 + count))
        expected = now.clone() if expected is None else keep * expected + (1 - keep) * now
    torch.testing.assert_close(one.kept.decode.weight.detach(), expected)
    assert not torch.equal(one.kept.decode.weight, one.model.decode.weight)


def test_validation_is_told_the_level_or_estimates_it():
    one, given = trained(PyramidTrainer, "pyramid", "batch_size=2"), batch(5)
    one.train_batch(batch(), torch.Generator())
    one.kept.eval()
    with torch.no_grad():
        told, blind = one.kept(given.positive, noise_level=given.level), one.kept(given.positive)
    torch.testing.assert_close(one.scores(given)["told_psnr"], decibels(told, given.anchor))
    torch.testing.assert_close(one.restore(given.anchor, given.positive), blind)
    assert not torch.equal(told, blind)


def test_parts_of_a_batch_have_the_gradient_of_the_whole():
    whole, parts = trained(PyramidTrainer, "pyramid"), trained(PyramidTrainer, "pyramid", "micro_batches=3")
    values = [one.train_batch(batch(3), torch.Generator())["loss"] for one in (whole, parts)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    torch.testing.assert_close(whole.model.decode.weight, parts.model.decode.weight, rtol=1e-3, atol=1e-5)


def test_a_picture_without_error_does_not_hide_the_others():
    image = torch.rand(1, 3, 16, 16)
    assert decibels(image, image).item() == 60


def test_crops_grow_evenly():
    settings = load_recipe("photo-denoise").pyramid
    assert [side(settings, share) for share in (0, 0.1, 0.5, 0.95, 1)] == [64, 64, 80, 96, 96]


class Killed(BaseException):
    """Ends a run between two batches without a chance to save anything."""


def test_killed_and_resumed_it_gives_the_same_bytes(photographs, uninterrupted, tmp_path):
    def kill(now, done, total, values):
        if (now, done) == ("pyramid", 3):
            raise Killed

    with pytest.raises(Killed):
        Run(plan(photographs), tmp_path, progress=kill)()
    assert checkpoints(tmp_path)
    weights = Run(plan(photographs), tmp_path, resume=True)()
    assert weights.read_bytes() == uninterrupted.read_bytes()
    assert (tmp_path / "log.jsonl").read_bytes() == (uninterrupted.parent / "log.jsonl").read_bytes()


def test_the_log_has_what_each_phase_is_validated_by(uninterrupted):
    first, *others = map(json.loads, (uninterrupted.parent / "log.jsonl").read_text().splitlines())
    assert {"validation_level_error", "validation_psnr"} <= set(first)
    assert all({"validation_told_psnr", "validation_psnr", "validation_ssim"} <= set(each) for each in others)


def stopped(chosen, folder, phase, done, **options):
    def press(now, number, total, values):
        if (now, number) == (phase, done):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as stop:
        Run(chosen, folder, progress=press, **options)()
    return stop.value.weights


def test_stopped_in_each_phase_it_resumes_to_the_same_bytes_and_leaves_the_best_so_far(
    photographs, uninterrupted, tmp_path
):
    assert stopped(plan(photographs), tmp_path, "noise_level", 2) is None
    # Before the first validation these are the current weights, afterwards the best ones.
    early = stopped(plan(photographs), tmp_path, "pyramid", 2, resume=True)
    assert early.name == "photo-denoise-so-far.safetensors"
    assert load_weights(early)[1].card["unfinished"] == 5
    late = stopped(plan(photographs), tmp_path, "pyramid", 4, resume=True)
    run = Run(plan(photographs), tmp_path, resume=True)
    best, model = run.best["model"], load_weights(late)[0]
    assert all(torch.equal(value, best[name]) for name, value in model.state_dict().items())
    assert run().read_bytes() == uninterrupted.read_bytes()
    assert not late.exists()


def test_a_training_begins_with_the_weights_of_another(photographs, uninterrupted, tmp_path):
    chosen = plan(photographs, ["noise_level.epochs=0", "pyramid.epochs=1"], initial=uninterrupted)
    card = load_weights(Run(chosen, tmp_path)())[1].card
    count = len(small().state_dict())
    assert card["initial"] == f"{count} of {count} tensors of photo-denoise"
    before, after = load_weights(uninterrupted)[0], load_weights(tmp_path / "photo-denoise.safetensors")[0]
    same = {name for name, value in after.state_dict().items() if torch.equal(value, before.state_dict()[name])}
    assert same == {name for name in same if name.startswith("estimator.")} != set()


def test_minutes_are_shared_by_the_epochs_and_their_validations():
    costs = [Cost(2, 0.1, 6.0), Cost(10, 0.5, 12.0)]
    assert batches_within(10, costs) == int((600 - 12 - 120) / 5.2)
    with pytest.raises(LncaError, match="--minutes 2 leave no time"):
        batches_within(2, costs)


def test_a_run_by_minutes_decides_on_its_batches_once_and_resumes_to_the_same_bytes(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "PILOT_SECONDS", 0.0)
    monkeypatch.setattr(running, "batches_within", lambda minutes, costs: 2 if measured(costs) else 0)
    chosen = plan(photographs, ["training_tiles=100"], minutes=0.5)
    whole = Run(chosen, tmp_path / "whole")()
    assert json.loads((tmp_path / "whole" / "run.json").read_text())["crops"] == 4
    assert load_weights(whole)[1].card["crops"] == 4
    stopped(chosen, tmp_path / "cut", "pyramid", 1)
    # Now simulate another machine.
    monkeypatch.setattr(running, "batches_within", lambda minutes, costs: 5)
    assert Run(chosen, tmp_path / "cut", resume=True)().read_bytes() == whole.read_bytes()
    with pytest.raises(LncaError, match="was started with other settings"):
        Run(plan(photographs, ["training_tiles=100"], minutes=0.6), tmp_path / "cut", resume=True)


def measured(costs):
    assert [cost.epochs for cost in costs] == [1, 2]
    return all(cost.batch > 0 and cost.validation > 0 for cost in costs)


def test_measuring_leaves_the_model_as_it_was(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "PILOT_SECONDS", 0.0)
    plain, timed = (Run(plan(photographs, minutes=m), tmp_path / str(m)) for m in (None, 60))
    assert all(torch.equal(value, plain.model.state_dict()[n]) for n, value in timed.model.state_dict().items())
    assert len(timed.train) > len(plain.train)
    assert timed.trainer is None
    assert timed.megapixels_per_second == 0


def test_it_says_how_many_megapixels_a_second(photographs, tmp_path, command):
    changes = [f"--set={change}" for change in (*CHANGES, "noise_level.epochs=0", "pyramid.epochs=1")]
    status, out, err = command(
        "train",
        "--model",
        "pyramid",
        "--task",
        "photo-denoise",
        "--recipe",
        "photo-denoise",
        "--data",
        photographs,
        "--out",
        tmp_path / "run",
        "--device",
        "cpu",
        *changes,
    )
    assert status == 0
    assert Path(out.strip()).exists()
    words = err.split()
    assert words[:2] == ["trained", "on"]
    assert float(words[2]) > 0


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ((), {"task": "denoise"}, "pyramid learns from photographs whose noise is known: use --task photo-denoise"),
        (["pyramid.crops=[32, 44]"], {}, "should be multiples of 8, of 16 or more, got"),
        (["pyramid.crops=[32, 128]"], {}, "none of the pictures has sides of 144 pixels"),
    ],
)
def test_what_cannot_be_trained_is_said(photographs, tmp_path, changes, options, words):
    with pytest.raises(LncaError, match=words):
        Run(plan(photographs, changes, **options), tmp_path)


def test_tiles_know_no_minutes(photographs, tmp_path):
    tiles = Plan("lnca", "denoise", photographs, load_recipe("stable", ["tile=32", "batch_size=2"]), minutes=1)
    with pytest.raises(LncaError, match="--minutes is for the tasks of photographs"):
        Run(tiles, tmp_path)

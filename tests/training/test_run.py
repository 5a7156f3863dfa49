"""A run killed at any moment and resumed ends with the bytes of an uninterrupted one."""

import errno
import hashlib
import io
import itertools
import json
import os
import shutil
import signal
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

import lnca
from disks import failing
from lnca import LncaError
from lnca.data.crops import CropSet
from lnca.data.prepare import prepare
from lnca.data.sets import data_set
from lnca.training.checkpoint import MARK, checkpoints, open_checkpoint, read_checkpoint, write_checkpoint
from lnca.training.initial import begin_with
from lnca.training.plan import Plan
from lnca.training.recipe import Recipe, load_recipe
from lnca.training.run import Interrupted, Run
from processes import forked

CHANGES = (
    "batch_size=4",
    "tile=32",
    "training_tiles=14",
    "checkpoint_every=2",
    "validation_tiles=16",
    "sheet_every=1",
    "autoencoder.epochs=2",
    "automaton.epochs=2",
    "joint.epochs=1",
    "automaton.pool=8",
    "joint.pool=8",
    "automaton.fewest_steps=1",
    "automaton.most_steps=3",
    "joint.fewest_steps=1",
    "joint.most_steps=3",
    "model.latent-nafca.steps=3",
    "model.latent-nafca.dropout=0.1",
    "model.latent-nafca.update_rate=0.5",
)
# One epoch of the first phase alone.
SHORT = ("autoencoder.epochs=1", "automaton.epochs=0", "joint.epochs=0")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Five textured pictures; 14 of their tiles are trained on, in three batches an epoch."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for index in range(5):
        small = random.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(small).resize((100, 100), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def plan(pictures, changes=()):
    return Plan("latent-nafca", "denoise", pictures, load_recipe("stable", [*CHANGES, *changes]), seed=3)


@pytest.fixture(scope="module")
def uninterrupted(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    weights = Run(plan(pictures), folder)()
    return weights, folder


def train_and_die(pictures, folder, phase, batch, threads):
    """A process that is killed between two batches."""

    def kill(now, done, total, values):
        if (now, done) == (phase, batch):
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(threads)
    Run(plan(pictures), folder, progress=kill)()


@pytest.mark.parametrize(
    ("phase", "batch"),
    [
        pytest.param("autoencoder", 5, marks=pytest.mark.slow),
        pytest.param("automaton", 6, marks=pytest.mark.slow),
        ("joint", 2),
    ],
)
def test_killed_in_each_phase_and_resumed_gives_the_same_bytes(pictures, uninterrupted, tmp_path, phase, batch):
    arguments = (pictures, tmp_path / "run", phase, batch, torch.get_num_threads())
    killed = forked().Process(target=train_and_die, args=arguments)
    killed.start()
    killed.join(300)
    assert killed.exitcode == -signal.SIGKILL
    assert not list((tmp_path / "run").glob("*.safetensors"))
    weights = Run(plan(pictures), tmp_path / "run", resume=True)()
    assert weights.read_bytes() == uninterrupted[0].read_bytes()
    assert (tmp_path / "run" / "log.jsonl").read_bytes() == (uninterrupted[1] / "log.jsonl").read_bytes()


def test_ctrl_c_saves_and_resumes_to_the_same_bytes(pictures, uninterrupted, stopped, tmp_path):
    assert Run(plan(pictures), tmp_path, resume=True)().read_bytes() == uninterrupted[0].read_bytes()


def test_another_seed_gives_other_weights(pictures, tmp_path):
    recipe = plan(pictures, SHORT).recipe
    one, other = (
        Run(Plan("latent-nafca", "denoise", pictures, recipe, seed=seed), tmp_path / str(seed)) for seed in (3, 4)
    )
    for run in (one, other):
        run()
    others = other.model.autoencoder.state_dict()
    trained = dict(one.model.autoencoder.named_parameters())
    assert not any(torch.equal(value, others[name]) for name, value in trained.items())


def test_a_run_leaves_logs_sheets_and_tensorboard(uninterrupted):
    folder = uninterrupted[1]
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [(r["phase"], r["epoch"]) for r in records] == [
        ("autoencoder", 1),
        ("autoencoder", 2),
        ("automaton", 1),
        ("automaton", 2),
        ("joint", 1),
    ]
    assert all(0 < r["validation_ssim"] < 1 for r in records)
    assert {file.name for file in (folder / "sheets").iterdir()} == {
        "autoencoder-001.png",
        "autoencoder-002.png",
        "automaton-001.png",
        "automaton-002.png",
        "joint-001.png",
    }
    assert list((folder / "tensorboard").glob("events.*"))


def kept_epoch(run, ssim):
    """The epoch whose weights a run keeps, for given validation scores."""
    scores, after = iter(ssim), []

    def validate(phase):
        after.append({name: value.clone() for name, value in run.model.state_dict().items()})
        return {"ssim": next(scores), "psnr": 0.0, "input_ssim": 0.0}, [torch.zeros(1, 3, 32, 32)]

    run.validate = validate
    run()
    end = run.model.state_dict()
    (epoch,) = (e for e, weights in enumerate(after) if all(torch.equal(v, weights[n]) for n, v in end.items()))
    return epoch


def test_the_best_epoch_is_kept(pictures, tmp_path):
    run = Run(plan(pictures, ["automaton.epochs=0", "joint.epochs=0", "autoencoder.epochs=4"]), tmp_path)
    assert kept_epoch(run, [0.1, 0.4, 0.3, 0.2]) == 1


def test_an_exploding_loss_names_the_last_good_checkpoint(pictures, tmp_path):
    run = Run(plan(pictures, ["exploded=1e-9", "checkpoint_every=1"]), tmp_path)
    with pytest.raises(
        LncaError, match=r"loss became .* in phase autoencoder, epoch 1, batch 1; there is no checkpoint"
    ):
        run()
    Run(plan(pictures, SHORT), tmp_path / "good")()
    weights = open_checkpoint(checkpoints(tmp_path / "good")[0])["model"]
    assert all(value.isfinite().all() for value in weights.values())


def test_a_nan_in_the_automaton_stops_the_run_and_keeps_the_checkpoint(pictures, tmp_path):
    def poison(phase, done, total, values):
        if (phase, done) == ("automaton", 1):
            run.trainer.pool.entries.state[:] = float("nan")

    run = Run(plan(pictures), tmp_path, progress=poison)
    with pytest.raises(
        LncaError, match=r"worst is pool entry \d, training tile \d+ after .*checkpoint is .*checkpoint-0+6.lnca"
    ):
        run()
    assert Run(plan(pictures), tmp_path, resume=True)().exists()


@pytest.mark.parametrize(
    ("changes", "resume", "words"),
    [
        ([], False, "already holds a run; add --resume"),
        (["batch_size=8"], True, "was started with other settings"),
    ],
)
def test_a_folder_with_another_run_is_refused(pictures, uninterrupted, changes, resume, words):
    with pytest.raises(LncaError, match=words):
        Run(plan(pictures, changes), uninterrupted[1], resume=resume)


def test_a_damaged_checkpoint_is_named(pictures, tmp_path):
    (tmp_path / "checkpoint-000000002.lnca").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(LncaError, match=r"checkpoint-000000002.lnca is damaged \(.*\); delete it"):
        Run(plan(pictures), tmp_path, resume=True)


def test_other_pictures_cannot_continue_a_run(pictures, uninterrupted, tmp_path):
    for file in pictures.iterdir():
        with Image.open(file) as picture:
            picture.rotate(90).save(tmp_path / file.name)
    with pytest.raises(LncaError, match="changed since the run began"):
        Run(plan(tmp_path), uninterrupted[1], resume=True)


@pytest.mark.parametrize(
    ("changes", "words"), [(["batch_size=1"], "no negative"), (["batch_size=500"], "fewer than a batch")]
)
def test_batches_that_cannot_be(pictures, tmp_path, changes, words):
    with pytest.raises(LncaError, match=words):
        Run(plan(pictures, changes), tmp_path)


SMALL = {
    "vitca": [
        "vitca.epochs=2",
        "vitca.pool=8",
        "vitca.fewest_steps=1",
        "vitca.most_steps=2",
        "model.vitca={embed: 16, heads: 2, mlp: 8, steps: 2}",
    ],
    "lnca": [
        "residual.epochs=2",
        "residual.settled=0.5",
        "residual.longest=4",
        "residual.fewest_steps=1",
        "residual.most_steps=2",
        "augment=true",
        "model.lnca={width: 4, steps: 2}",
    ],
    "nafnet": [
        "nafnet.epochs=2",
        "model.nafnet={width: 4, encoder_blocks: [1], middle_blocks: 1, decoder_blocks: [1]}",
    ],
    "restormer": [
        "restormer.epochs=2",
        "model.restormer={dim: 8, num_blocks: [1, 1, 1, 1], num_refinement_blocks: 1, heads: [1, 1, 1, 1]}",
    ],
}

# Two batches an epoch.
TILES = ["batch_size=4", "tile=32", "training_tiles=10"]


@pytest.mark.parametrize("model", SMALL)
def test_the_other_models_are_trained_and_resumed_to_the_same_bytes(pictures, tmp_path, model):
    def press(phase, done, total, values):
        if done == 3:
            signal.raise_signal(signal.SIGINT)

    chosen = Plan(model, "denoise", pictures, load_recipe("paper", [*SMALL[model], *TILES]), 0)
    whole = Run(chosen, tmp_path / "whole")()
    with pytest.raises(Interrupted):
        Run(chosen, tmp_path / "cut", progress=press)()
    assert Run(chosen, tmp_path / "cut", resume=True)().read_bytes() == whole.read_bytes()
    assert lnca.load(whole, "cpu").restore(Image.new("RGB", (20, 20))).size == (20, 20)


def test_what_another_training_has_seen_is_not_drawn_again(pictures, tmp_path, monkeypatch):
    changes = [*SMALL["lnca"], "batch_size=4", "crop=40", "training_tiles=4", "validation_tiles=4"]
    recipe = load_recipe("paper", changes)
    draw, drawn = CropSet.pairs, []
    monkeypatch.setattr(CropSet, "pairs", lambda *given, **how: drawn.append(draw(*given, **how)) or drawn[-1])

    def first_batch(name, initial=None):
        drawn.clear()
        weights = Run(Plan("lnca", "photo-denoise", pictures, recipe, 0, initial), tmp_path / name)()
        return weights, drawn[0][1]

    weights, seen = first_batch("first")
    more = first_batch("more", weights)[1]
    assert not torch.equal(more, seen)
    assert torch.equal(first_batch("first again")[1], seen)
    assert torch.equal(first_batch("more again", weights)[1], more)


def test_photographs_are_trained_on_crops_from_given_weights_and_resumed(pictures, tmp_path, capsys):
    def press(phase, done, total, values):
        if done == 3:
            signal.raise_signal(signal.SIGINT)

    first = Run(
        Plan("lnca", "denoise", pictures, load_recipe("paper", [*SMALL["lnca"], *TILES]), 0),
        tmp_path / "first",
    )()
    changes = [*SMALL["lnca"], "batch_size=4", "crop=40", "training_tiles=8", "validation_tiles=4"]
    chosen = Plan("lnca", "photo-denoise", pictures, load_recipe("paper", changes), 0, first)
    whole = Run(chosen, tmp_path / "whole")()
    assert whole.name == "photo-denoise.safetensors"
    with pytest.raises(Interrupted):
        Run(chosen, tmp_path / "cut", progress=press)()
    assert Run(chosen, tmp_path / "cut", resume=True)().read_bytes() == whole.read_bytes()
    known = len(lnca.load(first, "cpu").module.state_dict())
    assert lnca.load(whole, "cpu").info.card["initial"] == f"{known} of {known} tensors of lnca-denoise"
    # A linear map with more outputs gets the first ones from the file.
    model = lnca.build("lnca", width=4, steps=2, latent_channels=17)
    begin_with(model, first, 0)
    gather = lnca.load(first, "cpu").module.autoencoder.gather[-1]
    assert torch.equal(model.autoencoder.gather[-1].weight[: len(gather.weight)], gather.weight)
    assert len(model.autoencoder.gather[-1].weight) == len(gather.weight) + 1
    assert "warning" not in capsys.readouterr().err
    reseeded = Plan("lnca", "photo-denoise", pictures, load_recipe("paper", changes), 7, first)
    card = lnca.load(Run(reseeded, tmp_path / "reseeded")(), "cpu").info.card
    assert card["initial"] == f"{known} of {known} tensors of lnca-denoise, which were trained with seed 0"
    assert "was trained with --seed 0, and so on another split" in capsys.readouterr().err
    other = Plan(
        "lnca",
        "photo-denoise",
        pictures,
        load_recipe("paper", [*changes, "model.lnca.width=6", "model.lnca.rule=vitca"]),
        0,
        first,
    )
    with pytest.raises(LncaError, match="another shape"):
        Run(other, tmp_path / "other")


@pytest.fixture(scope="module")
def half_done(pictures, tmp_path_factory):
    """The folder of a run that was stopped in the middle of an epoch, with several checkpoints."""

    def press(now, done, total, values):
        if (now, done) == ("automaton", 1):
            signal.raise_signal(signal.SIGINT)

    folder = tmp_path_factory.mktemp("half done")
    with pytest.raises(Interrupted):
        Run(plan(pictures), folder, progress=press)()
    return folder


@pytest.fixture
def stopped(half_done, tmp_path):
    """The checkpoints in a copy of that run, in `tmp_path`."""
    shutil.copytree(half_done, tmp_path, dirs_exist_ok=True)
    return checkpoints(tmp_path)


def test_the_last_checkpoints_are_kept_and_a_damaged_one_is_passed_over(
    pictures, uninterrupted, stopped, tmp_path, capsys
):
    newest, second, third = stopped
    steps = [open_checkpoint(path)["position"]["step"] for path in (newest, second, third)]
    assert steps == [7, 6, 4]
    content = newest.read_bytes()
    newest.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    second.write_bytes(second.read_bytes()[:1000])
    weights = Run(plan(pictures), tmp_path, resume=True)()
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(" is damaged")[0] for line in said] == [f"warning: {newest}", f"warning: {second}"]
    assert said[1].endswith(f"going on from {third.name}")
    assert weights.read_bytes() == uninterrupted[0].read_bytes()
    assert len(checkpoints(tmp_path)) == 3


def test_what_cannot_be_written_leaves_the_checkpoints_that_are_there(pictures, uninterrupted, stopped, tmp_path):
    """A full disk, a quota, a read-only disk, a folder of another user."""
    whole = [(path, path.read_bytes()) for path in stopped]
    for fault, number in (
        ("write", errno.ENOSPC),
        ("write", errno.EDQUOT),
        ("open", errno.EROFS),
        ("open", errno.EACCES),
    ):
        run = Run(plan(pictures), tmp_path, resume=True)
        said = rf"cannot write .*checkpoint-0+8.lnca: {os.strerror(number)}"
        with failing(fault, number), pytest.raises(LncaError, match=said):
            run()
        assert [(path, path.read_bytes()) for path in checkpoints(tmp_path)] == whole
        assert not list(tmp_path.glob(".lnca-*"))
    assert Run(plan(pictures), tmp_path, resume=True)().read_bytes() == uninterrupted[0].read_bytes()


def run_command(words, said, threads):
    """The command line in a process of its own; what it says goes to a file."""
    from lnca.cli import main

    torch.set_num_threads(threads)
    sys.argv = ["lnca", *map(str, words)]
    with said.open("w") as sys.stdout:
        main()


def test_sigterm_saves_and_exits_with_0(pictures, uninterrupted, tmp_path):
    folder, said = tmp_path / "run", tmp_path / "said"
    options = [f"--set={change}" for change in CHANGES]
    options += ["--model=latent-nafca", "--task=denoise", "--seed=3", "--device=cpu"]
    words = ["train", "--data", pictures, "--out", folder, *options]
    process = forked().Process(target=run_command, args=(words, said, torch.get_num_threads()))
    process.start()
    while not checkpoints(folder):
        assert process.is_alive()
        time.sleep(0.01)
    process.terminate()
    process.join(60)
    assert said.read_text() == f"stopped; {folder} holds everything, go on with --resume\n"
    assert process.exitcode == 0
    assert not list(folder.glob("*.safetensors"))
    assert Run(plan(pictures), folder, resume=True)().read_bytes() == uninterrupted[0].read_bytes()


def test_a_gradient_that_is_no_number_stops_the_run_before_the_weights_have_it(pictures, uninterrupted, tmp_path):
    def poison(phase, done, total, values):
        if (phase, done) == ("automaton", 2):
            run.model.automaton.head.weight.register_hook(lambda gradient: gradient / 0)

    run = Run(plan(pictures), tmp_path, progress=poison)
    with pytest.raises(
        LncaError, match=r"a gradient became infinite or no number, in phase automaton, epoch 1, batch 3"
    ):
        run()
    assert all(value.isfinite().all() for value in run.model.state_dict().values())
    assert Run(plan(pictures), tmp_path, resume=True)().read_bytes() == uninterrupted[0].read_bytes()


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), "the allocator's"])
def test_a_batch_that_does_not_fit_says_which_number_to_lower(pictures, tmp_path, monkeypatch, error):
    """The autoencoder's takes the whole batch."""

    def hungry(*_, **__):
        if isinstance(error, Exception):
            raise error
        torch.empty(2**60)

    run = Run(plan(pictures), tmp_path)
    monkeypatch.setattr(run.train.__class__, "pairs", hungry)
    with pytest.raises(LncaError, match=r"a batch of 4 does not fit .*; begin again with a smaller --batch-size$"):
        run()


@pytest.mark.usefixtures("stopped")
def test_a_batch_that_does_not_fit_is_cut_into_parts_and_the_run_goes_on(pictures, tmp_path, monkeypatch):
    def hungry(*_, **__):
        raise MemoryError

    for parts, advice in (
        (1, "--resume with --set micro_batches=2, which"),
        (2, "--resume .*=4, "),
        (4, "begin again"),
    ):
        run = Run(plan(pictures, [f"micro_batches={parts}"]), tmp_path, resume=True)
        with monkeypatch.context() as patch:
            patch.setattr(run.train.__class__, "pairs", hungry)
            with pytest.raises(LncaError, match=f"does not fit .*; {advice}"):
                run()
    assert Run(plan(pictures, ["micro_batches=2"]), tmp_path, resume=True)().exists()


def test_other_errors_are_not_taken_for_want_of_memory(pictures, tmp_path, monkeypatch):
    run = Run(plan(pictures), tmp_path)
    monkeypatch.setattr(run.train.__class__, "pairs", lambda *_, **__: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="inconsistent"):
        run()


def test_a_clock_that_jumps_changes_nothing(pictures, uninterrupted, tmp_path, monkeypatch):
    jumps = itertools.cycle([0, 1e9, 3, 2e9])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    assert Run(plan(pictures), tmp_path)().read_bytes() == uninterrupted[0].read_bytes()


@pytest.mark.parametrize("how", ["removed", "cut off"])
def test_prepared_tiles_that_go_during_training(pictures, tmp_path, how):
    """Removed tiles stay open; reading truncated tiles would kill the process."""
    prepare(data_set("folder"), pictures, tmp_path / "data", side=32)
    tiles = tmp_path / "data" / "clean.npy"

    def spoil(phase, done, total, values):
        if done == 2:
            tiles.unlink() if how == "removed" else os.truncate(tiles, 200)

    run = Run(plan(tmp_path / "data", SHORT), tmp_path / "run", progress=spoil)
    if how == "removed":
        assert run().exists()
    else:
        with pytest.raises(LncaError, match=r"clean.npy was cut off while it was in use; prepare it anew"):
            run()


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: saved.pop("begun"),
        lambda saved: saved.pop("digest"),
        lambda saved: saved.update(position={"phase": 1}),
        lambda saved: saved["position"].update(phase=9),
        lambda saved: saved["model"].popitem(),
        lambda saved: saved["trainer"].clear(),
        lambda saved: saved.update(best=3),
        lambda saved: saved.update(trainer=[1]),
    ],
)
def test_a_checkpoint_of_another_version_is_refused_in_a_sentence(pictures, stopped, tmp_path, change):
    """With the right checksum and the right settings."""
    path = stopped[0]
    saved = open_checkpoint(path)
    change(saved)
    write_checkpoint(tmp_path, saved_step(path), saved)
    with pytest.raises(LncaError, match="the newest checkpoint in .* is not of this run .*; delete it to go on"):
        Run(plan(pictures), tmp_path, resume=True)
    path.unlink()
    Run(plan(pictures), tmp_path, resume=True)


def saved_step(path):
    return int(path.stem.removeprefix("checkpoint-"))


def test_frozen_batch_norm_keeps_its_statistics(pictures, tmp_path):
    """Frozen statistics do not depend on the batch, but scale and shift are still learned."""
    for kind in ("frozen", "synchronised"):
        run = Run(plan(pictures, [*SHORT, f"autoencoder.batch_norm={kind}"]), tmp_path / kind)
        before = {name: value.clone() for name, value in run.model.state_dict().items()}
        run()
        after = run.model.state_dict()
        running = [name for name in before if name.endswith("running_mean")]
        weights = [name.replace("running_mean", "weight") for name in running]
        assert running
        assert all(torch.equal(before[name], after[name]) == (kind == "frozen") for name in running)
        assert not any(torch.equal(before[name], after[name]) for name in weights)


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    payload = io.BytesIO()
    torch.save({"plan": {}, "bomb": Bomb()}, payload)
    digest = hashlib.sha256(payload.getvalue()).hexdigest().encode()
    path = tmp_path / "checkpoint-000000001.lnca"
    path.write_bytes(MARK + digest + b"\n" + payload.getvalue())
    plan = Plan("latent-nafca", "denoise", tmp_path, Recipe())
    with pytest.raises(LncaError, match=r"is damaged \(it holds more than tensors and plain data\); delete"):
        read_checkpoint(tmp_path, plan, True)
    assert not (tmp_path / "ran").exists()


def test_a_deblurrer_is_not_trained_by_itself(pictures, tmp_path):
    with pytest.raises(LncaError, match="its cells are those of pyramid; train that"):
        Run(Plan("deblur", "photo-deblur", pictures, load_recipe("photo-denoise", []), 0), tmp_path)

"""Two processes that share each batch train like one process."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from conftest import textured
from lnca import LncaError
from lnca.nn.weights_file import load_weights
from lnca.training.batch_norm import synchronise
from lnca.training.plan import Plan
from lnca.training.pool import Entries, ReplayPool
from lnca.training.recipe import load_recipe
from lnca.training.run import Interrupted, Run
from lnca.training.world import ALONE, Together, World
from processes import forked

CHANGES = [
    "batch_size=4",
    "tile=32",
    "validation_tiles=3",
    "autoencoder.epochs=4",
    "automaton.epochs=4",
    "automaton.pool=7",
    "automaton.fewest_steps=1",
    "automaton.most_steps=3",
    "automaton.output_range=latent",
    "checkpoint_every=1000",
    "automaton.standardise_latent=true",
    "model.latent-vitca={position: none, embed: 16, mlp: 8, steps: 3}",
]


def train(rank, size, last, resume, model, pictures, folder, changes):
    """A process of a world of gloo's: writes down its losses, and stops after `last` batches where that is not 0."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}.store", rank=rank, world_size=size)
    losses = []

    def note(phase, done, total, values):
        losses.append((phase, done, values["loss"]))
        if len(losses) == last:
            run.interrupt()

    recipe = load_recipe("stable", changes)
    run = Run(Plan(model, "denoise", pictures, recipe, seed=3), folder, resume=resume, progress=note, world=Together())
    with suppress(Interrupted):
        run()
    dist.destroy_process_group()
    Path(f"{folder}-{rank}.json").write_text(json.dumps(losses))


def together(size, pictures, folder, last=0, resume=False, model="latent-vitca", changes=CHANGES):
    """Losses of each process."""
    Path(f"{folder}.store").unlink(missing_ok=True)
    processes = [
        forked().Process(target=train, args=(rank, size, last, resume, model, pictures, folder, changes))
        for rank in range(size)
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(300)
        assert [process.exitcode for process in processes] == [0] * size
    finally:
        for process in processes:
            process.kill()
    return [json.loads(Path(f"{folder}-{rank}.json").read_text()) for rank in range(size)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """27 tiles in training."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(5):
        textured(100, 100, number).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def alone(pictures, tmp_path_factory):
    """Losses, weights and checkpoint of one process."""
    losses = []

    def note(phase, done, total, values):
        losses.append((phase, done, values["loss"]))

    plan = Plan("latent-vitca", "denoise", pictures, load_recipe("stable", CHANGES), seed=3)
    weights = Run(plan, tmp_path_factory.mktemp("alone") / "run", progress=note)()
    return losses, load_weights(weights)[0].state_dict()


def close(found, expected, tolerance):
    return all(torch.allclose(value, found[name], rtol=tolerance, atol=tolerance) for name, value in expected.items())


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_and_a_third_goes_on(pictures, alone, tmp_path):
    """In both phases, of 24 batches each; then one goes on from where two stopped, with the pool that two had."""
    expected, weights = alone
    folder = tmp_path / "run"
    first, second = together(2, pictures, folder, last=38)
    assert first == second
    assert len(first) == 38
    assert sum(phase == "automaton" for phase, _, _ in first) == 14
    for (phase, done, loss), (other, number, found) in zip(expected[:38], first, strict=True):
        assert (phase, done) == (other, number)
        assert found == pytest.approx(loss, rel=1e-5)
    plan = Plan("latent-vitca", "denoise", pictures, load_recipe("stable", CHANGES), seed=3)
    later = []
    path = Run(plan, folder, resume=True, progress=lambda phase, done, total, values: later.append(values["loss"]))()
    losses = [loss for _, _, loss in expected[38:]]
    assert later[:10] == pytest.approx(losses[:10], rel=1e-3)
    # Rounding differs between CPUs, and grows from batch to batch.
    assert later == pytest.approx(losses, rel=5e-3)
    assert close(load_weights(path)[0].state_dict(), weights, 1e-3)


OTHERS = {
    "latent-nafca": [
        "automaton.epochs=1",
        "autoencoder.epochs=1",
        "model.latent-nafca={update_rate: 0.5, dropout: 0.0}",
    ],
    "lnca": ["residual.epochs=2", "micro_batches=2", "model.lnca={width: 8, steps: 3}"],
    "vitca": ["vitca.epochs=2", "model.vitca={hidden_channels: 4, embed: 8, mlp: 8, steps: 3}"],
    "nafnet": [
        "nafnet.epochs=2",
        "model.nafnet={width: 4, encoder_blocks: [1], middle_blocks: 1, decoder_blocks: [1]}",
    ],
}


@pytest.mark.parametrize(
    "model", [pytest.param(model, marks=() if model == "nafnet" else pytest.mark.slow) for model in OTHERS]
)
def test_two_processes_have_the_losses_of_one_whatever_is_trained(model, pictures, tmp_path):
    changes = ["batch_size=4", "tile=32", "training_tiles=16", "validation_tiles=3", *OTHERS[model]]
    losses = []

    def note(phase, done, total, values):
        losses.append((phase, done, values["loss"]))

    Run(Plan(model, "denoise", pictures, load_recipe("stable", changes), seed=3), tmp_path / "alone", progress=note)()
    first, second = together(2, pictures, tmp_path / "run", model=model, changes=changes)
    assert first == second
    assert [value[:2] for value in map(tuple, first)] == [value[:2] for value in losses]
    assert [value[2] for value in first] == pytest.approx([value[2] for value in losses], rel=1e-5)


@pytest.mark.slow
def test_the_command_starts_its_own_processes_and_goes_on_where_one_stopped(pictures, alone, tmp_path):
    pytest.importorskip("lightning.fabric")
    plan = Plan("latent-vitca", "denoise", pictures, load_recipe("stable", CHANGES), seed=3)

    def press(phase, done, total, values):
        if (phase, done) == ("automaton", 14):
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted) as caught:
        Run(plan, tmp_path / "run", progress=press)()
    assert caught.value.signal == signal.SIGTERM
    options = [part for change in CHANGES for part in ("--set", change)]
    command = [
        sys.executable,
        "-m",
        "lnca",
        "train",
        "--model",
        "latent-vitca",
        "--task",
        "denoise",
        "--seed",
        "3",
        "--data",
        pictures,
        "--out",
        tmp_path / "run",
        "--device",
        "cpu",
        "--devices",
        "2",
        "--resume",
        *options,
    ]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stderr
    path = tmp_path / "run" / "latent-vitca-denoise.safetensors"
    assert result.stdout.splitlines() == [str(path)]
    assert close(load_weights(path)[0].state_dict(), alone[1], 1e-3)


class Rank(World):
    """One of three processes; the test simulates all of them."""

    def __init__(self, rank):
        self.rank, self.size = rank, 3


def test_a_pool_is_shared_out_and_put_together_again():
    draw = torch.Generator().manual_seed(0)
    whole = ReplayPool(8)

    def some(count, start):
        number = torch.arange(start, start + count)
        return Entries(*(torch.rand(count, 2, generator=draw) for _ in range(3)), number, number)

    parts = [ReplayPool(8, Rank(rank)) for rank in range(3)]
    for start in (0, 5, 10):
        new = some(5, start)
        for pool in (whole, *parts):
            pool.push(new)
    kept = [pool.entries.sample.tolist() for pool in parts]
    assert whole.entries.sample.tolist() == [kept[slot % 3][slot // 3] for slot in range(8)]
    drawn = [pool.draw(4, torch.Generator().manual_seed(1)) for pool in (whole, *parts)]
    assert all(torch.equal(drawn[0][0], slots) for slots, _ in drawn)
    assert torch.equal(drawn[0][1].state, sum(entries.state for _, entries in drawn[1:]))
    other = ReplayPool(8, Rank(1))
    other.load_state_dict(whole.state_dict())
    assert torch.equal(other.entries.state[:3], parts[1].entries.state[:3])


def test_a_batch_has_to_be_shared_equally(pictures, tmp_path):
    plan = Plan("latent-vitca", "denoise", pictures, load_recipe("stable", CHANGES), seed=3)
    with pytest.raises(LncaError, match="a batch of 4 cannot be shared equally by 3 processes; change --batch-size"):
        Run(plan, tmp_path, world=Rank(0))


def test_batch_norm_is_the_plain_one_where_there_is_nobody_else():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    synchronise(model, ALONE)
    assert type(model[1]) is nn.BatchNorm2d


@pytest.mark.parametrize("halves", [1, 2])
def test_synchronised_batch_norm_is_batch_norm(halves):
    """In a world in which the other half of the batch equals this one."""
    torch.manual_seed(0)
    x = torch.rand(4, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    plain, model = nn.BatchNorm2d(3).double(), nn.Sequential(nn.BatchNorm2d(3)).double()
    for norm in (plain, model[0]):
        nn.init.uniform_(norm.weight)
        nn.init.uniform_(norm.bias)
    model[0].load_state_dict(plain.state_dict())
    world = World()
    world.size = halves
    synchronise(model, world)
    result, expected = model(x), plain(torch.cat([x] * halves))
    torch.testing.assert_close(torch.cat([result] * halves), expected)
    weight = torch.rand_like(x)
    (mine,) = torch.autograd.grad((result * weight).sum(), x)
    (theirs,) = torch.autograd.grad((expected * torch.cat([weight] * halves)).sum() / halves, x)
    torch.testing.assert_close(mine, theirs)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model[0].state_dict()[name], value)
    model.eval()
    torch.testing.assert_close(model(x), plain.eval()(x))

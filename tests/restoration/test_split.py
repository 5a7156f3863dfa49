"""Several processes restore a picture like one process, to the bit."""

import os
import socket

import numpy as np
import pytest
import torch

import lnca
from conftest import textured
from lnca import LncaError
from lnca.nn.weights_file import save_weights
from lnca.peers import LOST, joined, overlap, share, widened
from lnca.restoration.restorer import Restorer
from lnca.restoration.split import SplitStreamer, by_its_module, follow, split
from lnca.runtime import threads
from lnca.runtime.native import library
from processes import forked

RANDOM = {
    "nafca": ("latent-nafca", {"steps": 7}),
    "nafca, masked": ("latent-nafca", {"update_rate": 0.6, "hidden_channels": 5, "steps": 9}),
    "nafca, three down-samplings": ("latent-nafca", {"downsamplings": 3, "steps": 3}),
    "vitca": ("latent-vitca", {"position": "none", "steps": 5}),
    "residual": ("lnca", {"width": 7, "output_channels": 9, "mixing": 20}),
    "residual, blocks": ("lnca", {"shrink": 2, "width": 18}),
}
SHIPPED = ("lnca-denoise",)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Weight files of random models, and names of shipped ones."""
    folder = tmp_path_factory.mktemp("weights")
    found = {name: name for name in SHIPPED}
    for name, (architecture, settings) in RANDOM.items():
        torch.manual_seed(1)
        model = lnca.build(architecture, **settings)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=min(0.2, parameter[0].numel() ** -0.5) if parameter.ndim > 1 else 0.3)
        torch.nn.init.normal_(model.automaton.head.weight, std=0.03)
        found[name] = folder / f"{len(found)}.safetensors"
        save_weights(found[name], model, architecture, settings, {})
    return found


def pictures():
    """Pictures of all types, some with fewer rows of cells than processes."""
    tall = np.asarray(textured(90, 301))
    yield "tall", {"picture": tall}
    yield "flat", {"picture": textured(58, 9)}
    yield "16 bits", {"picture": tall[:77].astype(np.uint16) * 251}
    yield "grey", {"picture": textured(33, 130).convert("LA")}
    two = torch.from_numpy(tall[:101] / np.float32(255)).permute(2, 0, 1).contiguous()
    yield "tensors", {"picture": torch.stack([two, two.flip(-1)])}
    mask = np.random.default_rng(0).random((190, 90)).astype(np.float32)
    yield "masked", {"picture": tall[:190], "mask": mask, "strength": 0.7}


def work(number, count, port, said, task, *arguments):
    """One of the processes."""
    threads.allow(1)
    os.environ |= {
        "RANK": str(number),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
    }
    try:
        with joined() as peers:
            task(peers, said, *arguments)
    except LncaError as error:
        said.put(str(error))


def run(count, task, *arguments):
    """Runs a task in several processes; returns the result of the first one."""
    context = forked()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = context.Queue()
    processes = [context.Process(target=work, args=(n, count, port, said, task, *arguments)) for n in range(count)]
    for process in processes:
        process.start()
    try:
        return said.get(timeout=120)
    finally:
        for process in processes:
            process.join(20)
            process.kill()


def compare(peers, said, models, backend, some=()):
    """Returns differences by model and picture."""
    different = {}
    for name, path in models.items():
        restorer = Restorer(path, "cpu", "plain" if backend == "module" else backend)
        if backend == "module":
            restorer.streamer = SplitStreamer(by_its_module(restorer), peers)
        else:
            split(restorer, peers)
        if peers.number:
            follow(restorer)
            continue
        alone = Restorer(path, "cpu", "plain" if backend == "module" else backend)
        for kind, asked in pictures():
            if some and kind not in some:
                continue
            limit = "40MB" if kind == "tall" and backend == "fused" else None
            together, expected = restorer.restore(**asked, max_memory=limit), alone.restore(**asked)
            assert type(together) is type(expected)
            worst = np.abs(np.asarray(together, np.float64) - np.asarray(expected, np.float64)).max()
            if worst or (kind == "tall" and np.array_equal(np.asarray(together), asked["picture"])):
                different[name, kind] = worst
        peers.tell(None)
    if not peers.number:
        said.put(different)


@pytest.mark.slow
@pytest.mark.skipif(library() is None, reason="no C++ compiler when lnca was installed")
def test_four_processes_give_the_bits_of_one(models):
    assert run(4, compare, models, "fused") == {}


@pytest.mark.slow
def test_so_they_do_in_numpy(models):
    some = {name: models[name] for name in ("nafca, masked", "residual, blocks")}
    assert run(3, compare, some, "plain", ("flat", "tensors")) == {}


@pytest.mark.slow
def test_torchs_own_convolutions_in_bands_round_differently_and_no_more(models):
    """Like on GPUs."""
    some = {name: models[name] for name in ("nafca, masked", "residual", "residual, blocks")}
    different = run(3, compare, some, "module", ("flat", "tensors"))
    assert all(worst <= (1e-5 if kind == "tensors" else 1) for (_, kind), worst in different.items()), different


def refuse(peers, said, path, numbered):
    """Returns the message of an error."""
    sentences = []
    restorer = Restorer(path, "cpu")
    split(restorer, peers)
    if peers.number:
        assert restorer.streamer.work_along()
        return
    for asked in ({"max_memory": "1MB"}, {"steps": "auto"}):
        with pytest.raises(LncaError) as caught:
            restorer.restore(np.zeros((400, 400, 3), np.uint8), **asked)
        sentences.append(str(caught.value))
    with pytest.raises(LncaError) as caught:
        split(Restorer(numbered, "cpu"), peers)
    sentences.append(str(caught.value))
    restorer.restore(np.zeros((40, 40, 3), np.uint8))
    said.put(sentences)


def lose(peers, said, path):
    """Returns the error of the first process when the other one ends."""
    if peers.number:
        os._exit(9)
    restorer = Restorer(path, "cpu")
    split(restorer, peers)
    for _ in range(2):
        restorer.restore(np.zeros((40, 40, 3), np.uint8))


def test_what_does_not_fit_or_cannot_be_shared_is_refused_in_a_sentence(models, tmp_path):
    model = lnca.build("latent-vitca", position="sinusoidal")
    save_weights(tmp_path / "numbered.safetensors", model, "latent-vitca", {"position": "sinusoidal"}, {})
    sentences = run(2, refuse, models["nafca"], tmp_path / "numbered.safetensors")
    assert "does not fit into 1 MB; allow more with --max-memory, or use more devices" in sentences[0]
    assert sentences[1] == "--steps auto is for one device; leave --devices out"
    assert sentences[2] == "the cells of numbered are numbered, so that their lattice cannot be cut"


def test_a_process_that_ends_is_missed(models):
    assert run(2, lose, models["nafca"]) == LOST


def test_the_command_starts_processes_that_give_the_same_file(command, models, tmp_path):
    textured(120, 170).save(tmp_path / "p.png")
    arguments = ("restore", tmp_path / "p.png", "--model", models["nafca"], "--device", "cpu", "--quiet")
    assert command(*arguments, "-o", tmp_path / "one.png") == (0, "", "")
    assert command(*arguments, "-o", tmp_path / "two.png", "--devices", 2)[0] == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_bands_cover_all_rows():
    assert share(10, 4) == [range(3), range(3, 6), range(6, 8), range(8, 10)]
    assert [len(band) for band in share(2, 4)] == [1, 1, 0, 0]
    assert widened(range(3, 6), 4, 8) == range(8)
    assert widened(range(8, 8), 2, 8) == range(8, 8)
    assert list(overlap(range(5), range(3, 9))) == [3, 4]
    assert not overlap(range(3), range(3, 5))

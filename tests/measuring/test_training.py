"""`lnca bench train-memory`, `train-latency`, `backward`, `all` and `figures`, on tiny pictures."""

import json

import pytest
import torch
from PIL import Image
from torch import nn

from lnca.measuring.memory import SavedBytes, peak_memory
from lnca.measuring.tables import paper_table
from lnca.measuring.training import Bench, Budget, Job, pixels_at_equal_memory
from lnca.paper.columns import MODELS
from lnca.training.residual import ResidualTrainer

SMALL = ["--models", "latent-nafca", "--sizes", "16", "--batches", "2", "--device", "cpu", "--threads", "1"]


def test_bytes_are_those_that_autograd_keeps():
    model = nn.Sequential(nn.Linear(5, 7), nn.Sigmoid(), nn.Linear(7, 3))
    x = torch.rand(11, 5)
    with SavedBytes(model) as saved:
        for _ in range(3):
            # Kept: the input of the first map, and the sigmoid's output, for itself and for the second map.
            y = model(x)
            assert saved.most == 4 * 11 * (5 + 7)
            y.sum().backward()
        first, second = model(x), model(x)
        assert saved.most == 4 * 11 * (5 + 7 + 7)
        del first, second


def test_a_model_beside_the_papers_is_trained_by_its_own_trainer():
    bench = Bench(Job("lnca", "whole", 16, 2, steps=2, threads=1))
    assert isinstance(bench.trainer, ResidualTrainer)
    assert bench.memory()["saved"] > 0


def test_the_peak_is_this_processes():
    before = peak_memory()
    if before is None:
        pytest.skip("no /proc here")
    block = torch.ones(30_000_000)
    assert peak_memory() >= max(before, 4 * len(block))


def test_the_papers_tables_are_whole():
    for name, cell in (("train-memory", 16.4), ("train-latency", 10.2)):
        table = paper_table(name)
        assert list(table["paper"]) == list(MODELS)
        assert table["paper"]["latent-nafca"][128][32] == cell
        assert table["paper"]["vitca"][128] == {8: None, 16: None, 32: None}


def test_what_is_too_slow_or_too_large_is_foretold():
    budget = Budget(limit=10, memory=4e9)
    small, large = Job("vitca", "whole", 32, 8, 32), Job("vitca", "whole", 128, 8, 32)
    assert budget.refuses(large) is None
    budget.learn(small, seconds=0.5, size=1e8)
    assert budget.refuses(large) is None
    budget.learn(small, size=3e8)
    assert budget.refuses(large) == "would need about 5 GB"
    budget.learn(small, seconds=0.7)
    assert budget.refuses(large) == "a batch would take about 11 s, the limit is 10 s"
    assert budget.refuses(small) is None


def test_pixels_at_equal_memory():
    def row(model, side, saved, phase="automaton"):
        return {"model": model, "phase": phase, "side": side, "batch": 2, "saved": saved}

    rows = [row("vitca", 8, 128_000), row("vitca", 16, 1_024_000), row("latent-nafca", 16, 51_200)]
    assert pixels_at_equal_memory([*rows, row("latent-nafca", 16, 9e9, "autoencoder")]) == {"latent-nafca": 20}
    assert pixels_at_equal_memory(rows[2:]) == {}


@pytest.mark.slow
def test_all_tables_in_one_file_and_drawn(command, tmp_path, monkeypatch):
    monkeypatch.setattr("lnca.cli.bench.BACKWARD_MODELS", "latent-nafca")
    monkeypatch.setattr("lnca.measuring.training.WAYS", {"keep": ("keep", False), "recompute": ("recompute", False)})
    out = tmp_path / "all.json"
    threads = torch.get_num_threads()
    try:
        status, text, _ = command("bench", "all", *SMALL, "--rounds", "1", "--out", out)
    finally:
        torch.set_num_threads(threads)
    assert status == 0
    result = json.loads(out.read_text())
    memory = {row["phase"]: row for row in result["train-memory"]["rows"]}
    # 32 steps on 4x4 cells of 64 channels, two pictures: the cells alone are kept after every step.
    assert memory["automaton"]["saved"] > 4 * 32 * 2 * 4 * 4 * 64
    assert memory["autoencoder"]["saved"] < memory["automaton"]["saved"]
    (latency,) = result["train-latency"]["rows"]
    batches = {phase: (t["train"]["median"], t["validate"]["median"]) for phase, t in latency["phases"].items()}
    assert set(batches) == {"autoencoder", "automaton"}
    assert latency["seconds"] == pytest.approx(sum(400 * a + 100 * b for a, b in batches.values()))
    keep, recompute = result["backward"]["rows"]
    assert (keep["times_fewer"], keep["times_slower"]) == (1, 1)
    assert recompute["times_fewer"] > 15
    for part in ("Table 5, ", "Table 3, ", "Table 4, ", "| LatentNAFCA | recompute |"):
        assert part in text
    status, text, _ = command("bench", "figures", out, "--out", tmp_path)
    assert status == 0
    assert len(text.splitlines()) == 3
    for line in text.splitlines():
        with Image.open(line) as picture:
            assert min(picture.size) > 300


def test_bad_files_and_models_are_said(command, tmp_path):
    (tmp_path / "x.json").write_text("[1]")
    status, _, error = command("bench", "figures", tmp_path / "x.json")
    assert status == 2
    assert "is no result of lnca bench" in error
    status, _, error = command("bench", "figures", tmp_path / "none.json")
    assert status == 2
    assert "none.json is no result of lnca bench" in error
    status, _, error = command("bench", "backward", "--models", "nafnet")
    assert (status, error) == (2, "lnca: nafnet has no steps to go back through; give cellular automata\n")
    status, _, error = command("bench", "train-memory", "--sizes", "0")
    assert (status, error) == (2, "lnca: --sizes should be numbers separated by commas, got '0'\n")

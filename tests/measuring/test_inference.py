"""`lnca bench inference`: the protocol, the result file, the paper's figures."""

import json
import time

import pytest
import torch

import lnca
from lnca.measuring.inference import model_of, operations, ways
from lnca.measuring.measure import matrix_rate, register_rate, time_together
from lnca.measuring.tables import paper_table
from lnca.paper.columns import MODELS
from lnca.runtime.native import library

CPU = torch.device("cpu")


def test_rounds_are_interleaved_and_the_first_is_dropped():
    calls = []
    first = {"quick": True, "slow": True}

    def candidate(name, seconds):
        def run():
            calls.append(name)
            time.sleep(0.2 if first[name] else seconds)
            first[name] = False

        return run

    timings = time_together({"quick": candidate("quick", 0.001), "slow": candidate("slow", 0.02)}, 4, CPU)
    assert len(calls) == 10
    assert all(set(calls[i : i + 2]) == {"quick", "slow"} for i in range(0, 10, 2))
    assert timings["quick"].median < timings["slow"].median < 0.2
    assert 0.02 <= timings["slow"].low <= timings["slow"].median <= timings["slow"].high
    assert timings["slow"].rounds == 4
    assert timings["slow"].launch is None


def test_a_budget_ends_the_rounds_but_leaves_three():
    assert time_together({"x": lambda: time.sleep(0.02)}, 50, CPU, budget=0.01)["x"].rounds == 3


def test_operations_are_those_of_the_arithmetic():
    # 64 steps on 8x8 cells. Each step's linear maps of NAFCA: 64x128, 128x9, 128x64, 64x256, 128x64 and 64x48 products.
    products = 64 * 128 + 128 * 9 + 128 * 64 + 64 * 256 + 128 * 64 + 64 * 48
    model = model_of("latent-nafca", CPU)
    autoencoder = operations(lnca.build("latent-nafca", steps=0).eval(), 32)
    assert operations(model, 32) == 2 * 64 * 64 * products + autoencoder


def test_rates_are_those_of_this_machine():
    assert matrix_rate(CPU, torch.float32, 2) > 1e9
    rate = register_rate(torch.float32, 2)
    if library() is None:
        assert rate is None
    else:
        # Upper limit of any core: two fused operations of 16 lanes a cycle at 6 GHz.
        assert 1e9 < rate < torch.get_num_threads() * 6e9 * 2 * 2 * 16


@pytest.mark.parametrize("name", ["latent-nafca", "latent-vitca", "vitca"])
def test_every_way_restores_the_same(name):
    model = model_of(name, CPU)
    model.steps = 6
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    results = {way: run(x).clamp(0, 1).float() for way, run in ways(model, CPU)}
    assert len(results) >= 2
    for way, result in results.items():
        tolerance = 1e-5 if "float32" in way else 2e-2
        torch.testing.assert_close(result, results["plain float32"], rtol=0, atol=tolerance)


def test_the_papers_table_is_whole():
    table = paper_table("inference")
    assert list(table["paper"]) == list(MODELS)
    assert table["paper"]["restormer"][128] == {8: 0.58, 16: 0.68, 32: 0.93}
    assert table["paper"]["latent-nafca"][32][8] == 0.59


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_a_result(command, tmp_path):
    out = tmp_path / "b.json"
    asked = ["--models", "latent-nafca", "--sizes", "32", "--batches", "8", "--rounds", "1", "--device", "cpu"]
    status, text, _ = command("bench", "inference", *asked, "--limit", "60", "--out", out)
    assert status == 0
    assert "LatentNAFCA | paper, A100 | 0.59" in text
    result = json.loads(out.read_text())
    assert result["environment"]["threads"] == torch.get_num_threads()
    assert len(result["rows"]) >= 2
    for row in result["rows"]:
        assert 0 < row["seconds"]["low"] <= row["seconds"]["median"]
        assert row["share"] > 0
    status, _, error = command("bench", "inference", "--sizes", "32,x")
    assert (status, error) == (2, "lnca: --sizes should be numbers separated by commas, got '32,x'\n")
    status, text, _ = command("bench", "inference", *asked, "--limit", "0")
    assert status == 0
    assert "| - |" in text

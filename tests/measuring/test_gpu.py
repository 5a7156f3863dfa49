"""The GPU benchmark, whose parts also work through Triton's interpreter, and compiled steps."""

import importlib.util
from pathlib import Path

import pytest
import torch
from rules import cells_of, plain, random_rule

from lnca.kernels.gpu import CompiledRun

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("triton")
    spec = importlib.util.spec_from_file_location("gpu", Path(__file__).parents[2] / "benchmarks" / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


interpreted = pytest.mark.skipif("torch.cuda.is_available()", reason="Triton's interpreter is off where a GPU is")


@interpreted
def test_the_check_finds_both_precisions_right(script):
    rows = script.check(CPU, cells=4, steps=1)["rows"]
    assert len(rows) == 6
    assert all(row["right"] for row in rows)
    assert all(row["error"] > 0 for row in rows)


@interpreted
def test_blocks_and_frames_are_timed(script, monkeypatch):
    # The check runs both precisions.
    monkeypatch.setattr(script, "ALLOWED", {"float32": script.ALLOWED["float32"]})
    rows = script.blocks(CPU, side=4, batch=1, steps=1, rounds=1, choices=((16, 1), (64, 8)))["rows"]
    assert [row["chosen"] for row in rows] == [False, True] * 2
    rows = script.frames(CPU, sizes=((20, 12),), rounds=1, steps=1)["rows"]
    assert [row["rule"] for row in rows] == ["NAFCA", "ViTCA"]
    assert all(row["frames_a_second"] == 1 / row["seconds"]["median"] for row in rows)


@interpreted
def test_without_a_gpu_the_command_says_so(script, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpu.py"])
    with pytest.raises(SystemExit) as end:
        script.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == "bench-gpu: no CUDA device here; run it on a machine with one\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nafca, update rate", pytest.param("vitca", marks=pytest.mark.slow)])
def test_compiled_steps_are_the_plain_rule_and_one_serves_all_sizes(name):
    rule = random_rule(name)
    run = CompiledRun(rule)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for shape in ((2, 8, 8), (3, 5, 7), (2, 12, 9)):
        cells = cells_of(rule, *shape)
        expected = plain(rule, cells, 3, seed=5)
        assert (run(cells, 3, 5) - expected).abs().max() < 1e-5 * expected.abs().max()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1

"""The fused CPU steps against the plain rule in float64, on random weights and on the shipped ones."""

import copy
import ctypes
import shutil
import subprocess
import sys
from itertools import islice

import pytest
import torch
from rules import RULES, allowed, at_levels, cells_of, plain, random_rule

import lnca
from lnca import LncaError, metrics
from lnca.kernels.cpu import FusedRun
from lnca.runtime import native
from lnca.runtime.native import BFLOAT16_SETS, INSTRUCTION_SETS, best_level, library

needs_library = pytest.mark.skipif(library() is None, reason="no C++ compiler when lnca was installed")
# The level of float32 on this machine, and each level of bfloat16.
every_kernel = at_levels("float32", best_level(), bfloat16=BFLOAT16_SETS)


def test_the_library_is_there_where_a_compiler_is():
    assert library() is not None or not any(map(shutil.which, ("g++", "clang++", "c++")))


@needs_library
def test_a_library_of_another_version_is_left_alone(monkeypatch):
    class Longer(ctypes.Structure):
        _fields_ = (*native.CBand._fields_, ("one_more", ctypes.c_int64))

    others = {
        "STRUCTURES": (*native.STRUCTURES[:-2], Longer, native.CLattice),
        "LAYOUT": native.LAYOUT + 1,
    }
    for name, other in others.items():
        with monkeypatch.context() as patched:
            patched.setattr(native, name, other)
            with pytest.warns(UserWarning, match="another version of lnca"):
                assert library.__wrapped__() is None
    assert library.__wrapped__() is not None


@pytest.mark.skipif(best_level() != "amx", reason="no amx here")
def test_amx_is_left_alone_where_the_system_does_not_grant_it():
    # Linux refuses AMX if a thread's signal stack has no room for the registers.
    code = """
import ctypes
class Stack(ctypes.Structure):
    _fields_ = (("memory", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))
memory = ctypes.create_string_buffer(6000)
assert ctypes.CDLL(None).sigaltstack(ctypes.byref(Stack(ctypes.addressof(memory), 0, 6000)), None) == 0
from lnca.runtime.native import best_level
print(best_level())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "avx512bf16\n"


@needs_library
@at_levels("float32", *INSTRUCTION_SETS)
@pytest.mark.parametrize("name", RULES)
def test_float32_is_the_plain_rule_within_1e_5(name, level, precision):
    rule = random_rule(name)
    for shape in ((1, 5, 7), (3, 8, 8), (1, 17, 20), (2, 1, 9), (1, 6, 1)):
        cells = cells_of(rule, *shape)
        expected = plain(rule, cells, 8, seed=3)
        result = FusedRun(rule, precision, level)(cells, 8, 3)
        assert result.dtype == torch.float32
        assert (result - expected).abs().max() < 1e-5 * expected.abs().max()


@needs_library
@at_levels("bfloat16", *BFLOAT16_SETS)
@pytest.mark.parametrize("name", RULES)
def test_bfloat16_is_the_plain_rule_within_half_a_percent(name, level, precision):
    rule = random_rule(name)
    for shape in ((2, 12, 19), (1, 3, 45), (1, 9, 1)):
        cells = cells_of(rule, *shape)
        expected = plain(rule, cells, 8, seed=3)
        difference = (FusedRun(rule, precision, level)(cells, 8, 3) - expected).abs().max()
        assert 1e-5 * expected.abs().max() < difference < 5e-3 * expected.abs().max()


@needs_library
@at_levels("float32", *INSTRUCTION_SETS, bfloat16=BFLOAT16_SETS)
def test_the_rate_of_registers_can_be_measured(level, precision):
    done = library().lnca_multiply_add(INSTRUCTION_SETS.index(level), 1000, precision == "bfloat16")
    assert done >= 1000 * 12 * 4 * 2


@needs_library
@every_kernel
@pytest.mark.parametrize("name", RULES)
def test_threads_batches_and_single_steps_change_no_bit(name, level, precision):
    rule = random_rule(name)
    run = FusedRun(rule, precision, level)
    cells = cells_of(rule, 3, 7, 37)
    results = []
    for count in (1, 2, 5):
        with allowed(count):
            results.append(run(cells, 5, 7))
            results.append(torch.cat([run(cells[i : i + 1], 5, 7) for i in range(3)]))
    stepped = cells
    for step in range(5):
        stepped = run(stepped, 1, 7, step)
    assert all(torch.equal(result, results[0]) for result in (*results, stepped))


@needs_library
@every_kernel
@pytest.mark.parametrize("name", ["nafca", "nafca, update rate", "vitca", "vitca in pixel space"])
def test_a_part_of_a_lattice_with_a_border_of_its_steps_is_the_same_to_the_bit(name, level, precision):
    rule = random_rule(name)
    run = FusedRun(rule, precision, level)
    cells = cells_of(rule, 1, 24, 48)
    whole = run(cells, 3, 7)
    part = run(cells[:, 4:21, 5:44].contiguous(), 3, 7, corner=(4, 5))
    assert torch.equal(part[:, 3:-3, 3:-3], whole[:, 7:18, 8:41])


@needs_library
@pytest.mark.parametrize("name", [model.name for model in lnca.models() if model.architecture != "deblur"])
def test_real_restorations_are_the_same(name):
    from lnca.corruption import PAPER_DIFFICULTY
    from lnca.degradation.paper import corrupt
    from lnca.demo import photograph
    from lnca.randomness import generator
    from lnca.restoration.pictures import to_tensor

    task = name.rpartition("-")[2]
    clean = to_tensor(photograph())[..., 100:164, 200:264]
    corrupted = corrupt(clean, task, PAPER_DIFFICULTY[task], generator("cpu", 1))
    module = copy.deepcopy(lnca.load(name, "cpu", "plain").module).double()
    with torch.no_grad():
        expected = module(corrupted.double()).float()
        states = [state.float() for state in islice(module.frames(corrupted.double()), 4)]
    for backend, called in (("plain", "plain"), ("fused", f"fused {best_level()} float32")):
        restorer = lnca.load(name, "cpu", backend)
        assert restorer.backend == called
        torch.testing.assert_close(restorer.restore(corrupted), expected, rtol=0, atol=1e-5)
        for frame, state in zip(islice(restorer.iterate(corrupted), 4), states, strict=True):
            torch.testing.assert_close(frame, state, rtol=0, atol=1e-5)
    if best_level() in BFLOAT16_SETS:
        half = lnca.load(name, "cpu", precision="bfloat16").restore(corrupted)
        difference = metrics.ssim(half, clean) - metrics.ssim(expected, clean)
        assert abs(difference.item()) < 1e-3


@needs_library
def test_changed_weights_are_noticed_and_gradients_go_the_plain_way():
    model = lnca.load("latent-nafca-denoise", "cpu", "fused").module
    cells = model.automaton.seed(torch.rand(1, 8, 8, 16))
    with torch.no_grad():
        before = model.automaton.run(cells, 2)
        model.automaton.head.weight.mul_(0.5)
        after = model.automaton.run(cells, 2)
    assert not torch.equal(before, after)
    with torch.no_grad():
        exact = copy.deepcopy(model.automaton).double().run(cells.double(), 2)
        assert exact.dtype == torch.float64
        torch.testing.assert_close(after.double(), exact, rtol=0, atol=1e-5)
    model.automaton.run(cells, 2).sum().backward()
    assert model.automaton.head.weight.grad.abs().sum() > 0
    twin = copy.deepcopy(model)
    with torch.no_grad():
        assert torch.equal(twin.automaton.run(cells, 2), after)
        twin.automaton.head.weight.zero_()
        twin.automaton.head.bias.zero_()
        assert torch.equal(twin.automaton.run(cells, 2), cells)
        assert torch.equal(model.automaton.run(cells, 2), after)


@needs_library
def test_what_cannot_be_had_is_said(command, tmp_path, picture):
    with pytest.raises(LncaError, match="no fused kernel for a vitca of these widths"):
        FusedRun(lnca.build("latent-vitca", embed=120, heads=3).automaton)
    with pytest.raises(LncaError, match="no fused kernel for a nafca of these widths"):
        FusedRun(lnca.build("latent-nafca", hidden_channels=600).automaton)
    with pytest.raises(LncaError, match="no backend 'fast'; choose auto, plain, compiled, fused"):
        lnca.load("latent-nafca-denoise", "cpu", "fast")
    torch.manual_seed(0)
    from lnca.nn.weights_file import save_weights

    settings = {"width": 4, "encoder_blocks": (1,), "middle_blocks": 1, "decoder_blocks": (1,)}
    save_weights(tmp_path / "n.safetensors", lnca.build("nafnet", **settings), "nafnet", settings, {})
    assert lnca.load(tmp_path / "n.safetensors", "cpu").backend == "plain"
    with pytest.raises(LncaError, match="backend fused works for cellular automata"):
        lnca.load(tmp_path / "n.safetensors", "cpu", "fused")
    picture.save(tmp_path / "p.png")
    status, _, error = command("restore", tmp_path / "p.png", "--device", "cpu", "--backend", "quick")
    assert (status, error) == (2, "lnca: --backend should be auto, plain, compiled or fused, got 'quick'\n")
    status, _, error = command(
        "restore", tmp_path / "p.png", "--device", "cpu", "--backend", "plain", "--precision", "bfloat16"
    )
    assert status == 2
    assert "bfloat16 needs the fused kernels" in error
    status, _, error = command(
        "restore", tmp_path / "p.png", "--model", "lnca-denoise", "--backend", "plain", "--precision", "bfloat16"
    )
    assert status == 2
    assert "bfloat16 needs the fused kernels" in error
    assert command("restore", tmp_path / "p.png", "--device", "cpu", "--backend", "fused")[0] == 0

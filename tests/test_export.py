"""Exported graphs make what the model makes, at any size, without torch."""

import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

import lnca
from conftest import save_small_pyramid
from lnca import LncaError
from lnca.cli.app import app
from lnca.exporting import export
from lnca.nn.weights_file import save_weights
from lnca.onnx import GRAPHS, OnnxRestorer, file_name, session


def picture(height, width, dtype=np.float32, seed=0):
    values = np.random.default_rng(seed).random((height, width, 3))
    return values.astype(dtype) if dtype == np.float32 else (values * np.iinfo(dtype).max).astype(dtype)


def export_by_command(*options):
    """What `lnca export` says."""
    done = CliRunner().invoke(app, ["export", *map(str, options)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def exported(tmp_path_factory, weights):
    """The folder of the graphs, their description, and what the command said."""
    folder = tmp_path_factory.mktemp("exported")
    said = export_by_command("--model", weights, "--out", folder, "--steps-in-graph", 2)
    return folder, json.loads((folder / "model.json").read_text()), said


@pytest.fixture(scope="module")
def replaced(tmp_path_factory, exported, weights):
    """The folder of a program that took the place of graphs, and its description."""
    folder = tmp_path_factory.mktemp("replaced") / "out"
    shutil.copytree(exported[0], folder)
    (folder / "steps-int8.onnx").touch()
    (folder / "others.onnx").touch()
    options = ("--format", "torch", "--overwrite", "--json")
    return folder, json.loads(export_by_command("--model", weights, "--out", folder, *options))


def test_graphs_are_the_model_at_other_sizes_and_steps(exported, weights):
    folder, description, _ = exported
    assert description["checks"]["float32"]["largest difference"] < 1e-5
    model, graphs = lnca.load(weights, "cpu", "plain"), OnnxRestorer(folder)
    for shape, steps in (((8, 8), 0), ((37, 50), 4), ((64, 23), 8)):
        x = picture(*shape)
        np.testing.assert_allclose(graphs.restore(x, steps), model.restore(x, steps), atol=2e-5)


def test_graphs_take_several_pictures_at_once(exported, weights):
    encoder, steps, decoder = (
        onnxruntime.InferenceSession(exported[0] / f"{name}.onnx", providers=["CPUExecutionProvider"])
        for name in ("encoder", "steps", "decoder")
    )
    model = lnca.load(weights, "cpu", "plain").module
    side = exported[1]["multiple"]
    x = np.stack([picture(5 * side, 7 * side, seed=seed).transpose(2, 0, 1) for seed in (0, 1)])
    cells, skip = encoder.run(None, {"image": x})
    for _ in range(exported[1]["steps"] // exported[1]["steps_in_graph"]):
        (cells,) = steps.run(None, {"cells": cells})
    (restored,) = decoder.run(None, {"cells": cells, "skip": skip})
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    assert restored.shape == x.shape
    np.testing.assert_allclose(restored, expected, atol=2e-5)
    assert np.abs(restored[0] - restored[1]).max() > 0.01


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_types_and_grey_are_kept(exported, weights, dtype):
    model, graphs = lnca.load(weights, "cpu", "plain"), OnnxRestorer(exported[0])
    for x in (picture(20, 30, dtype), picture(20, 30, dtype)[..., 0].copy()):
        result = graphs.restore(x)
        assert (result.dtype, result.shape) == (x.dtype, x.shape)
        assert np.abs(result.astype(int) - model.restore(x)).max() <= (1 if dtype == np.uint8 else 3)


def test_every_run_of_the_steps_can_be_watched(exported):
    graphs = OnnxRestorer(exported[0])
    frames = list(graphs.iterate(picture(16, 16)))
    assert len(frames) == 1 + graphs.steps // 2
    assert not np.array_equal(frames[0], frames[-1])
    assert np.array_equal(frames[-1], graphs.restore(picture(16, 16)))


def test_smaller_variants_are_smaller_and_near(exported):
    folder, description, said = exported
    checks = description["checks"]
    *lines, where = said.splitlines()
    assert [line.split()[0] for line in lines] == list(checks) == ["float32", "float16"]
    assert all(" differs by at most " in line and ", SSIM " in line for line in lines)
    assert where == str(folder)
    assert checks["float16"]["bytes"] < 0.8 * checks["float32"]["bytes"]
    assert 0 < checks["float16"]["mean difference"] < 0.005
    assert OnnxRestorer(folder, "float16").restore(picture(16, 16)).shape == (16, 16, 3)


def test_graphs_are_valid_and_say_what_they_are(exported):
    graph = onnx.load(exported[0] / "steps.onnx")
    assert {p.key: p.value for p in graph.metadata_props}["steps"] == "4"
    for path in exported[0].glob("*.onnx"):
        graph = onnx.load(path)
        onnx.checker.check_model(graph, full_check=True)
        opset = next(each.version for each in graph.opset_import if each.domain in ("", "ai.onnx"))
        told = {each.key: each.value for each in graph.metadata_props}
        assert (told["opset"], told["model"]) == (str(opset), "small"), path.name
    graph = onnx.load(exported[0] / "steps.onnx")
    shape = graph.graph.input[0].type.tensor_type.shape.dim
    assert all(side.dim_param for side in shape[:3])
    assert shape[3].dim_value > 0
    # Nothing of the sources it was made from, which are elsewhere on another machine.
    assert not any(node.metadata_props for node in (graph.graph, *graph.graph.node, *graph.graph.value_info))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("latent-vitca", {"position": "none", "steps": 2}),
        ("lnca", {"steps": 2}),
        ("lnca", {"rule": "vitca", "shrink": 2, "steps": 1}),
    ],
)
def test_every_kind_of_latent_automaton(architecture, settings, tmp_path):
    torch.manual_seed(0)
    model = lnca.build(architecture, **settings)
    torch.nn.init.normal_(model.automaton.head.weight, std=0.05)
    save_weights(tmp_path / "w.safetensors", model, architecture, settings, {})
    export(tmp_path / "w.safetensors", tmp_path / "out")
    x = picture(24, 32)
    expected = lnca.load(tmp_path / "w.safetensors", "cpu", "plain").restore(x)
    np.testing.assert_allclose(OnnxRestorer(tmp_path / "out").restore(x), expected, atol=5e-5)


def test_a_torch_program(replaced, weights):
    program = torch.export.load(replaced[0] / "model.pt2").module()
    x = torch.rand(3, 3, 16, 40)
    with torch.no_grad():
        torch.testing.assert_close(program(x), lnca.load(weights, "cpu", "plain").module(x), atol=1e-5, rtol=0)


def test_the_runner_needs_no_torch(exported):
    code = (
        "import sys; sys.modules['torch'] = None; import numpy; from lnca.onnx import OnnxRestorer; "
        f"print(OnnxRestorer({str(exported[0])!r}).restore(numpy.zeros((9, 10, 3), numpy.uint8)).shape)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "(9, 10, 3)\n", run.stderr


@pytest.mark.parametrize(
    ("image", "steps", "sentence"),
    [
        (np.zeros((8, 8, 4), np.uint8), None, "should have the shape"),
        (np.zeros((8, 8, 3), np.int32), None, "should be uint8"),
        (np.zeros((7, 8, 3), np.uint8), None, "at least 8x8"),
        (np.full((8, 8, 3), np.nan), None, "should lie in \\[0, 1\\]"),
        (np.zeros((8, 8, 3), np.uint8), 3, "a multiple of 2, got 3"),
    ],
)
def test_what_the_runner_refuses(exported, image, steps, sentence):
    with pytest.raises(LncaError, match=sentence):
        OnnxRestorer(exported[0]).restore(image, steps)


def test_exports_that_are_missing_or_damaged(exported, tmp_path):
    with pytest.raises(LncaError, match="model.json is missing"):
        OnnxRestorer(tmp_path)
    for path in exported[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: 500 if path.suffix == ".onnx" else None])
    with pytest.raises(LncaError, match="no export that can be used"):
        OnnxRestorer(tmp_path)


def test_the_command_replaces_what_an_earlier_export_left(replaced):
    folder, description = replaced
    assert json.loads((folder / "model.json").read_text()) == description
    assert description["checks"]["float32"]["largest difference"] < 1e-5
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.pt2", "others.onnx"]


def test_what_the_command_refuses(refused, exported, weights, tmp_path):
    assert "holds an export; add --overwrite" in refused("export", "--model", weights, "--out", exported[0])
    assert "do not divide" in refused("export", "--model", weights, "--out", tmp_path, "--steps-in-graph", 3)
    assert "float32 and float16" in refused("export", "--model", weights, "--out", tmp_path, "--variants", "int8")
    assert "has the form cells only" in refused("export", "--model", weights, "--out", tmp_path, "--form", "image")
    assert "image, tiles or cells" in refused("export", "--model", weights, "--out", tmp_path, "--form", "one")
    assert "onnx or torch" in refused("export", "--model", weights, "--out", tmp_path, "--format", "tflite")
    masked = lnca.build("latent-nafca", update_rate=0.5)
    save_weights(tmp_path / "m.safetensors", masked, "latent-nafca", {"update_rate": 0.5}, {})
    assert "cannot be exported" in refused("export", "--model", tmp_path / "m.safetensors", "--out", tmp_path)


CARD = {"task": "photo-denoise", "licence": "a licence", "data": "photographs", "seed": 3}


@pytest.fixture(scope="module")
def noise_weights(tmp_path_factory):
    """A weight file of a small model that takes a noise level, changes pictures and guesses their noise."""
    return save_small_pyramid(tmp_path_factory.mktemp("noise") / "small.safetensors", CARD)


@pytest.fixture(scope="module")
def image(tmp_path_factory, noise_weights):
    folder = tmp_path_factory.mktemp("image")
    return folder, export(noise_weights, folder, variants=("float32", "float16"))


@pytest.mark.slow
def test_one_graph_is_the_model_at_any_size(image, noise_weights):
    folder, description = image
    assert description["form"] == "image"
    assert description["checks"]["float32"]["largest difference"] < 1e-5
    model, graph = lnca.load(noise_weights, "cpu", "plain"), OnnxRestorer(folder)
    for height, width in ((8, 8), (8, 41), (37, 50), (64, 23)):
        x = picture(height, width)
        uneven = np.linspace(0, 60, height * width, dtype=np.float32).reshape(height, width)
        for level in ("auto", 0, 25.0, uneven, model.noise_levels(x) + 3):
            expected = model.restore(x, noise_level=level)
            np.testing.assert_allclose(graph.restore(x, noise_level=level), expected, atol=2e-5)
        np.testing.assert_allclose(graph.levels(x), model.noise_levels(x), rtol=1e-4)
    assert np.abs(graph.restore(x, noise_level=50) - graph.restore(x)).max() > 1e-3
    grey = picture(20, 30, np.uint8)[..., 0].copy()
    for level in ("auto", 30):
        expected = model.restore(grey, noise_level=level).astype(int)
        assert np.abs(graph.restore(grey, noise_level=level) - expected).max() <= 1
    frames = list(graph.iterate(x))
    assert len(frames) == 2
    np.testing.assert_allclose(frames[0], x, atol=1e-7)


@pytest.mark.slow
def test_one_graph_takes_a_batch_and_the_level_is_optional(image, noise_weights):
    graph = session(image[0] / "image.onnx")
    assert [each.name for each in graph.get_inputs()] == ["input"]
    assert [each.name for each in graph.get_overridable_initializers()] == ["noise_level"]
    x = np.stack([picture(19, 30, seed=seed).transpose(2, 0, 1) for seed in (0, 1)])
    output, level = graph.run(None, {"input": x})
    assert (output.shape, level.shape) == (x.shape, (2, 2, 3, 4))
    for one, restored in zip(x, output, strict=True):
        np.testing.assert_allclose(graph.run(["output"], {"input": one[None]})[0][0], restored, atol=1e-6)
    told = np.full((1, 1, 1, 1), 25, np.float32)
    model = lnca.load(noise_weights, "cpu", "plain").module
    with torch.no_grad():
        expected = model(torch.from_numpy(x), noise_level=torch.full((1, 2, 1, 1), 25.0)).numpy()
    np.testing.assert_allclose(graph.run(["output"], {"input": x, "noise_level": told})[0], expected, atol=2e-5)


@pytest.mark.slow
def test_one_graph_says_its_licence_card_and_data(image):
    graph = onnx.load(image[0] / "image.onnx")
    onnx.checker.check_model(graph)
    told = {each.key: each.value for each in graph.metadata_props}
    assert (told["licence"], told["training data"], json.loads(told["card"])) == ("a licence", "photographs", CARD)
    assert (told["form"], told["opset"], told["reach"]) == ("image", "18", "9")


@pytest.mark.slow
def test_one_graph_in_half_precision_estimates_as_the_exact_one(image):
    folder, description = image
    checks = description["checks"]
    assert 0 < checks["float16"]["mean difference"] < 0.005
    kinds = {
        each.data_type for each in onnx.load(folder / "image-float16.onnx").graph.initializer if len(each.dims) == 4
    }
    # Weights of the rules, and those of the filters that look for noise.
    assert kinds == {onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT}
    flat = np.full((32, 32, 3), 0.5, np.float32)
    half, whole = OnnxRestorer(folder, "float16"), OnnxRestorer(folder)
    np.testing.assert_allclose(half.levels(flat), whole.levels(flat), rtol=1e-3)


@pytest.mark.slow
def test_tiles_agree_with_the_whole_picture(noise_weights, tmp_path):
    description = export(noise_weights, tmp_path, form="tiles")
    assert description["checks"]["float32"]["largest difference"] < 1e-5
    reach, near = 8 * description["reach"], 8 * description["guess_reach"]
    guesses, levels, restore = (session(tmp_path / file_name(name, "float32")) for name in GRAPHS["tiles"])
    x = picture(16, 320).transpose(2, 0, 1)[None].copy()
    parts = [guesses.run(None, {"input": x[..., max(left - near, 0) : left + 160 + near]})[0] for left in (0, 160)]
    said = np.concatenate([parts[0][..., :20], parts[1][..., near // 8 :]], -1)
    (level,) = levels.run(None, {"guesses": said})
    wide = {"input": x[..., : 160 + reach], "noise_level": level[..., : 20 + reach // 8]}
    steps, change = restore.run(None, wide)
    assert (steps.shape[:2], change.shape[:2]) == ((1, 2), (1, 2))
    model = lnca.load(noise_weights, "cpu", "plain").module
    with torch.no_grad():
        _, first, last = model.frames(torch.from_numpy(x))
    np.testing.assert_allclose(steps[0, 0, ..., :160], first[0, ..., :160].numpy(), atol=2e-5)
    np.testing.assert_allclose(steps[0, 1, ..., :160], last[0, ..., :160].numpy(), atol=2e-5)
    with pytest.raises(LncaError, match="for hosts that cut tiles; export it with --form image"):
        OnnxRestorer(tmp_path)


@pytest.mark.slow
def test_a_torch_program_of_a_model_that_takes_a_noise_level(noise_weights, tmp_path):
    export(noise_weights, tmp_path, "torch")
    program = torch.export.load(tmp_path / "model.pt2").module()
    x = torch.rand(3, 3, 16, 40)
    with torch.no_grad():
        expected = lnca.load(noise_weights, "cpu", "plain").module(x)
        torch.testing.assert_close(program(x), expected, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """An export of the form "image" whose graph gives back the picture and the noise level, 7 where none is given."""
    folder, helper, kind = tmp_path_factory.mktemp("copies"), onnx.helper, onnx.TensorProto.FLOAT
    picture, level = (1, 3, "height", "width"), (1, 2, "rows", "columns")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["input"], ["output"]), helper.make_node("Identity", ["noise_level"], ["level"])],
        "copies",
        [helper.make_tensor_value_info(*each) for each in (("input", kind, picture), ("noise_level", kind, level))],
        [helper.make_tensor_value_info(*each) for each in (("output", kind, picture), ("level", kind, level))],
        [onnx.numpy_helper.from_array(np.full((1, 2, 1, 1), 7, np.float32), "noise_level")],
    )
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])
    (folder / "image.onnx").write_bytes(model.SerializeToString())
    description = {"model": "copies", "form": "image", "steps": 2, "multiple": 8, "noise_level": True}
    (folder / "model.json").write_text(json.dumps(description))
    return folder


def test_a_graph_of_a_whole_picture_is_given_the_level_or_has_its_own(copies):
    graph, x = OnnxRestorer(copies), picture(16, 24)
    for level in ("auto", 20):
        np.testing.assert_allclose(graph.restore(x, noise_level=level), x, atol=1e-7)
    assert graph.levels(x).tolist() == [[[7, 7]]]
    assert len(list(graph.iterate(x))) == 2
    assert np.array_equal(graph.restore(x, steps=0), x)


@pytest.mark.parametrize(
    ("level", "sentence"),
    [
        ("loud", "should be auto, a number or an array"),
        (-1, "0 to 255"),
        (np.nan, "0 to 255"),
        (np.zeros((9, 9)), "the map of noise levels has the shape"),
    ],
)
def test_noise_levels_that_the_runner_refuses(copies, level, sentence):
    with pytest.raises(LncaError, match=sentence):
        OnnxRestorer(copies).restore(picture(16, 16), noise_level=level)


def test_forms_and_levels_that_a_model_does_not_have(exported, noise_weights, tmp_path):
    with pytest.raises(LncaError, match="small takes no noise level"):
        OnnxRestorer(exported[0]).restore(picture(16, 16), noise_level=20)
    with pytest.raises(LncaError, match="small takes no noise level"):
        OnnxRestorer(exported[0]).levels(picture(16, 16))
    with pytest.raises(LncaError, match="has the forms image and tiles"):
        export(noise_weights, tmp_path, form="cells")
    with pytest.raises(LncaError, match="leave --steps-in-graph out"):
        export(noise_weights, tmp_path, steps_in_graph=2)

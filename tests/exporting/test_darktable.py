"""What darktable imports: the archive's layout, the graph in it, and what a host makes of it in tiles."""

import importlib.util
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch

from conftest import save_small_pyramid
from lnca import LncaError
from lnca.catalogue import describe
from lnca.exporting.darktable import OVERLAP, archive, configuration, export_darktable, identity, unpacked
from lnca.nn.weights_file import load_weights
from lnca.onnx import session

ROOT = Path(__file__).parents[2]
SIDE = 256
CARD = {"task": "photo-denoise", "licence": "weights Apache-2.0; the pictures are CC0", "data": "photographs"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A weight file of a small model that changes pictures and estimates their noise."""
    return save_small_pyramid(tmp_path_factory.mktemp("weights") / "small-denoise.safetensors", CARD)


@pytest.fixture(scope="module")
def written(tmp_path_factory, small):
    folder = tmp_path_factory.mktemp("darktable")
    return export_darktable(small, folder, tile=SIDE, source="https://example.org")


@pytest.fixture(scope="module")
def demo():
    """integrations/darktable/demo.py."""
    spec = importlib.util.spec_from_file_location("demo", ROOT / "integrations" / "darktable" / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_archive_is_laid_out_as_darktable_reads_it(written):
    path = Path(written["file"])
    assert path.name == "denoise-lnca-small.dtmodel"
    with zipfile.ZipFile(path) as packed:
        assert packed.namelist() == ["denoise-lnca-small/config.json", "denoise-lnca-small/model.onnx"]
        config = json.loads(packed.read("denoise-lnca-small/config.json"))
    assert config == written["config"]
    told = {"id": "denoise-lnca-small", "task": "denoise", "backend": "onnx", "tiling": True}
    assert told.items() <= config.items()
    assert {"name", "description", "version"} <= config.keys()
    assert config["attributes"] == {"input_sizes": [SIDE]}
    card = config["model_card"]
    assert (card["license"], card["training_data_license"]) == ("Apache-2.0", "the pictures are CC0")
    assert (card["training_data"], card["source"]) == ("photographs", "https://example.org")


@pytest.mark.slow
def test_the_graph_has_one_input_of_a_fixed_size_and_is_the_model(written, small, tmp_path):
    _, content = unpacked(Path(written["file"]))
    graph = onnx.load_from_string(content)
    onnx.checker.check_model(graph)
    shapes = {
        each.name: [side.dim_value for side in each.type.tensor_type.shape.dim]
        for each in (*graph.graph.input, *graph.graph.output)
    }
    assert shapes == {"input": [1, 3, SIDE, SIDE], "output": [1, 3, SIDE, SIDE]}
    assert {each.key: each.value for each in graph.metadata_props}["form"] == "darktable"
    (tmp_path / "model.onnx").write_bytes(content)
    x = np.random.default_rng(0).random((1, 3, SIDE, SIDE), np.float32)
    (found,) = session(tmp_path / "model.onnx").run(None, {"input": x})
    with torch.no_grad():
        expected = load_weights(small)[0](torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(found - x).max() > 0.05
    assert written["checks"]["float32"]["largest difference"] < 1e-5


def test_the_same_model_gives_the_same_archive(small):
    config = configuration(describe(small), SIDE)
    assert "source" not in config["model_card"]
    assert archive(config, b"graph") == archive(config, b"graph")
    assert archive(config, b"graph") != archive(config, b"other")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photo-denoise", "denoise-lnca-photo"),
        ("lnca-denoise", "denoise-lnca"),
        ("My model_2", "denoise-lnca-my-model-2"),
    ],
)
def test_what_a_model_is_called_there(name, expected):
    assert identity(name) == expected


def test_what_cannot_be_written(small, weights, tmp_path):
    for tile in (100, 260, 248, 2056):
        with pytest.raises(LncaError, match=f"a multiple of 8 from 256 to 2048 pixels, got {tile}"):
            export_darktable(small, tmp_path, tile=tile)
    with pytest.raises(LncaError, match="small takes no noise level; darktable needs a model that does"):
        export_darktable(weights, tmp_path)
    assert not list(tmp_path.iterdir())
    there = tmp_path / "denoise-lnca-small.dtmodel"
    there.write_bytes(b"an earlier one")
    with pytest.raises(LncaError, match="exists; add --overwrite"):
        export_darktable(small, tmp_path)
    assert there.read_bytes() == b"an earlier one"


def test_archives_that_darktable_would_not_import(tmp_path):
    path = tmp_path / "a.dtmodel"
    path.write_bytes(b"no archive")
    with pytest.raises(LncaError, match=r"is no \.dtmodel file"):
        unpacked(path)
    for names in (["b/config.json"], ["b/config.json", "b/model.onnx"], ["config.json", "model.onnx"]):
        with zipfile.ZipFile(path, "w") as packed:
            for name in names:
                packed.writestr(name, '{"id": "a"}')
        with pytest.raises(LncaError, match=r"is no \.dtmodel file|should hold one folder"):
            unpacked(path)


@pytest.mark.slow
def test_the_command(command, refused, small, tmp_path):
    arguments = ("export", "--model", small, "--out", tmp_path, "--form", "darktable", "--tile", SIDE)
    status, out, _ = command(*arguments)
    assert status == 0
    assert out.splitlines()[0].startswith("float32  differs by at most")
    assert out.splitlines()[1] == str(tmp_path / "denoise-lnca-small.dtmodel")
    assert "add --overwrite" in refused(*arguments)
    first = (tmp_path / "denoise-lnca-small.dtmodel").read_bytes()
    assert command(*arguments, "--overwrite", "--json")[0] == 0
    assert (tmp_path / "denoise-lnca-small.dtmodel").read_bytes() == first


def test_options_that_do_not_go_together(refused, small, tmp_path):
    to = ("export", "--model", small, "--out", tmp_path)
    assert "--tile is for --form darktable" in refused(*to, "--tile", SIDE)
    assert "leave --format and --steps-in-graph out" in refused(*to, "--form", "darktable", "--format", "torch")


@pytest.mark.parametrize("shape", [(40, 30), (128, 128), (129, 300), (1, 5)])
def test_a_host_puts_tiles_together_without_loss(demo, shape):
    """With a graph that changes nothing the picture comes back, whatever is mirrored and cut."""

    class Nothing:
        def get_inputs(self):
            return [SimpleNamespace(shape=[1, 3, SIDE, SIDE])]

        def run(self, names, given):
            assert given["input"].shape == (1, 3, SIDE, SIDE)
            return [given["input"]]

    picture = np.random.default_rng(0).random((3, *shape), np.float32)
    np.testing.assert_array_equal(demo.in_tiles(Nothing(), picture), picture)
    assert demo.OVERLAP == OVERLAP


@pytest.mark.slow
def test_darktables_own_tool_accepts_it(small, tmp_path, monkeypatch, capsys):
    """pip install darktable-ai-sdk: what `dtai run` does with the model repository that `make publish` writes."""
    sdk = pytest.importorskip("dt_ai_sdk")
    from publishing import darktable
    from publishing.facts import Facts

    (tmp_path / "lnca-0.tar.gz").touch()
    monkeypatch.setattr("publishing.facts.__version__", "0")
    facts = Facts(owner="someone", date="2026-01-01", sdist=tmp_path / "lnca-0.tar.gz", judges={})
    info = describe(small)
    darktable.write(facts, info, tmp_path)
    path = tmp_path / "models" / "denoise-lnca-small" / "model.yaml"
    text = path.read_text().replace("model: small-denoise", f"model: {small}").replace("tile: 768", f"tile: {SIDE}")
    path.write_text(text.replace("- 768", f"- {SIDE}"))
    (found,) = sdk.discover_models(tmp_path)
    sdk.run_conversion(found)
    sdk.run_validation(found)
    packed = sdk.package_model(found)
    assert "Result: PASS" in capsys.readouterr().out
    config, content = unpacked(packed)
    ours, expected = unpacked(Path(export_darktable(small, tmp_path, tile=SIDE, source=facts.repository)["file"]))
    assert config == ours
    assert content == expected

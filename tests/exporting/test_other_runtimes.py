"""The graph of photo-denoise in runtimes other than ONNX Runtime's own: OpenVINO, and onnxruntime-web in Node.js.

pip install openvino
npm install --prefix FOLDER onnxruntime-web
LNCA_ORT_WEB=FOLDER pytest -m slow tests/exporting/test_other_runtimes.py
"""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

import lnca
from lnca.exporting import export

WEB = os.environ.get("LNCA_ORT_WEB")
# Runs a graph on pixels from a file, and writes what it gives.
SCRIPT = """
import {readFile, writeFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
const [folder, graph, pixels, height, width, output] = process.argv.slice(2);
const ort = createRequire(folder + '/')('onnxruntime-web');
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(await readFile(graph), {executionProviders: ['wasm']});
const values = new Float32Array((await readFile(pixels)).buffer.slice(0));
const input = new ort.Tensor('float32', values, [1, 3, Number(height), Number(width)]);
const found = await session.run({input});
await writeFile(output, new Uint8Array((await found.output.getData()).buffer));
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """The folder of an export."""
    folder = tmp_path_factory.mktemp("exported")
    export("photo-denoise", folder, variants=("float32", "float16"))
    return folder


@pytest.fixture(scope="module", params=[(64, 80), (93, 71)], ids=["multiples of 8", "others"])
def picture(request):
    """A noisy picture (1, 3, H, W), and what the model makes of it."""
    noisy = np.random.default_rng(0).normal(0.5, 0.1, (*request.param, 3)).clip(0, 1).astype(np.float32)
    expected = lnca.load("photo-denoise", "cpu", "plain").restore(noisy)
    return tuple(np.ascontiguousarray(each.transpose(2, 0, 1)[None]) for each in (noisy, expected))


@pytest.mark.parametrize("name", ["image", "image-float16"])
def test_the_graphs_are_what_onnx_asks_for(graphs, name):
    onnx.checker.check_model(graphs / f"{name}.onnx", full_check=True)


@pytest.mark.parametrize(("name", "tolerance"), [("image", 1e-4), ("image-float16", 5e-3)])
def test_openvino(graphs, picture, name, tolerance):
    openvino = pytest.importorskip("openvino", reason="pip install openvino")
    given, expected = picture
    compiled = openvino.Core().compile_model(graphs / f"{name}.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled({"input": given})["output"]
    assert np.abs(expected - given).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=tolerance)


@pytest.mark.skipif(WEB is None or shutil.which("node") is None, reason="LNCA_ORT_WEB has no onnxruntime-web")
@pytest.mark.parametrize(("name", "tolerance"), [("image", 1e-4), ("image-float16", 5e-3)])
def test_onnxruntime_web(graphs, picture, tmp_path, name, tolerance):
    given, expected = picture
    (tmp_path / "run.mjs").write_text(SCRIPT)
    (tmp_path / "pixels").write_bytes(given.tobytes())
    sides = map(str, given.shape[2:])
    command = ["node", tmp_path / "run.mjs", Path(WEB).resolve(), graphs / f"{name}.onnx", tmp_path / "pixels", *sides]
    subprocess.run([*command, tmp_path / "output"], check=True, timeout=600)
    found = np.frombuffer((tmp_path / "output").read_bytes(), np.float32).reshape(given.shape)
    np.testing.assert_allclose(found, expected, atol=tolerance)

"""chaiNNer's own nodes load photo-denoise and restore with it, through spandrel with the contribution in it.

LNCA_CHAINNER names a checkout of chaiNNer; its backend runs without the window.
"""

import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lnca
from hosts import ROOT, ask, free_port, started
from lnca.demo import photograph

HOST = os.environ.get("LNCA_CHAINNER")
CONTRIBUTION = ROOT / "integrations" / "spandrel" / "libs" / "spandrel" / "spandrel"
OPTIONS = {"chaiNNer_pytorch": {"use_cpu": True}}
SIGMA = 25

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(HOST is None, reason="LNCA_CHAINNER names no checkout of chaiNNer"),
]


def with_contribution(folder):
    """Copies spandrel into a folder, with the architecture in it as docs/integrations/spandrel.md says."""
    (place,) = find_spec("spandrel").submodule_search_locations
    library = folder / "spandrel"
    shutil.copytree(place, library, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CONTRIBUTION, library, dirs_exist_ok=True)
    registry = library / "__helpers" / "main_registry.py"
    text = registry.read_text("utf-8")
    for before, after in (
        ("from ..architectures import (", "from ..architectures import (\n    LNCA,"),
        ("MAIN_REGISTRY.add(", "MAIN_REGISTRY.add(\n    ArchSupport.from_architecture(LNCA.LNCAArch()),"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    registry.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """chaiNNer's backend; gives its address and the folder it works in."""
    base = tmp_path_factory.mktemp("chainner")
    with_contribution(base / "lib")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    script = Path(HOST) / "backend" / "src" / "server.py"
    options = (port, "--storage-dir", base / "storage", "--logs-dir", base / "logs")
    with started(script, options, f"{address}/health", base, base / "lib"):
        yield address, base


def node(schemas, name, schema, **told):
    """A node of a chain with the defaults of its inputs; those that are told go by their labels, "_" for a space."""
    inputs = []
    told = {label.replace("_", " "): value for label, value in told.items()}
    for each in schemas[schema]["inputs"]:
        value = told.pop(each["label"], each.get("def"))
        edge = isinstance(value, tuple)
        inputs.append(
            {"type": "edge", "id": value[0], "index": value[1]} if edge else {"type": "value", "value": value}
        )
    assert not told, f"{schema} has no input {told}"
    return {"id": name, "schemaId": schema, "inputs": inputs, "parent": None, "nodeType": "regularNode"}


@pytest.mark.parametrize("tile", [-1, 256], ids=["whole", "tiles of 256"])
def test_load_model_and_upscale_image_restore_as_we_do(host, tile):
    address, base = host
    schemas = {each["schemaId"]: each for each in json.loads(ask(f"{address}/nodes", timeout=1200))["nodes"]}
    clean = np.asarray(photograph()) / 255
    noisy = clean + np.random.default_rng(0).normal(0, SIGMA / 255, clean.shape)
    Image.fromarray((255 * noisy.clip(0, 1)).round().astype(np.uint8)).save(base / "noisy.png")
    weights = {info.name: info.path for info in lnca.models()}["photo-denoise"]
    made = f"restored{tile}"
    chain = [
        node(schemas, "image", "chainner:image:load", Image_File=str(base / "noisy.png")),
        node(schemas, "model", "chainner:pytorch:load_model", Model=str(weights)),
        node(
            schemas,
            "restored",
            "chainner:pytorch:upscale_image",
            Image=("image", 0),
            Model=("model", 0),
            Tile_Size=tile,
        ),
        node(
            schemas,
            "file",
            "chainner:image:save",
            Image=("restored", 0),
            Directory=str(base),
            Image_Name=made,
        ),
    ]
    message = {"data": chain, "options": OPTIONS, "sendBroadcastData": False}
    assert json.loads(ask(f"{address}/run", message, timeout=300))["type"] == "success"
    given, found = (np.asarray(Image.open(base / name)) for name in ("noisy.png", f"{made}.png"))
    difference = np.abs(found.astype(int) - lnca.restore(given))
    if tile < 0:
        assert difference.max() <= 1
    else:
        assert difference.max() > 0
        assert difference.mean() < 1

"""Export for darktable 5.6 and later: a .dtmodel file, which is a zip archive of config.json and model.onnx.

darktable cuts a picture into square tiles, whose size is in config.json, and mirrors the picture at its borders. It
drops `OVERLAP` pixels at every edge of a restored tile. The sides of the graph are fixed, so that execution providers
that compile a graph do it once. The graph takes sRGB in [0, 1] and estimates the noise level of each tile.
"""

import copy
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..catalogue import DEFAULT_MODEL, ModelInfo, locate
from ..errors import LncaError
from ..files import write_whole
from ..kernels.select import accelerate
from ..nn.pyramid import PyramidAutomaton
from ..nn.weights_file import load_weights
from ..onnx import FLOAT32, session
from ..restoration.pictures import to_tensor
from ..runtime.noise_level import SIDE
from ..runtime.pyramid import reach
from ..version import __version__
from . import temporary_folder
from .graphs import OPSET, TOLERANCE, as_json, check_libraries, compared, graph, model_props, probe, to_bytes

FORM = "darktable"
SUFFIX = ".dtmodel"
CONFIG, GRAPH = "config.json", "model.onnx"
# Pixels that darktable drops at every edge of a tile (OVERLAP_DENOISE in its restore.c).
OVERLAP = 64
# Sides of tiles in pixels: the default, as in darktable's own denoisers, and the range of darktable's list of sizes.
TILE, SMALLEST_TILE, LARGEST_TILE = 768, 256, 2048
TASK = "denoise"
# Words of a model's name that repeat the task or the architecture.
REDUNDANT_WORDS = {"", "denoise", "lnca"}
PAPER = "https://arxiv.org/abs/2403.15525"
# The earliest time that a zip file can hold, so that the same model gives the same bytes.
NO_TIME = (1980, 1, 1, 0, 0, 0)


class Tile(nn.Module):
    """Tile (B, 3, T, T) in [0, 1], T a multiple of 8 -> restored tile in [0, 1], at its estimated noise level."""

    def __init__(self, model: PyramidAutomaton):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        *_, restored = self.model.unrolled(image, self.model.estimator(image), self.model.steps)
        return restored.clamp(0, 1)


def export_darktable(
    name_or_path: str | Path, folder: str | Path, *, tile: int = TILE, overwrite: bool = False, source: str = ""
) -> dict[str, Any]:
    """Writes a model as a .dtmodel file that darktable imports.

    Args:
        name_or_path: a shipped model that takes a noise level, or a weight file of one.
        folder: folder of the file, whose name is the model's `identity`.
        tile: side of the tiles in pixels, a multiple of 8 from 256 to 2048.
        overwrite: whether to replace an earlier file.
        source: URL of the project, for the model card.

    Returns:
        A description with "file" (the path), "config" (the content of config.json), and "checks" (differences from the
        model in float64 on one tile).

    Raises:
        LncaError: the model does not exist or takes no noise level, the size of the tiles is invalid, a library is
            missing, the file exists, or the graph differs from the model.
    """
    if tile % SIDE or not SMALLEST_TILE <= tile <= LARGEST_TILE:
        raise LncaError(f"tiles should be a multiple of 8 from {SMALLEST_TILE} to {LARGEST_TILE} pixels, got {tile}")
    model, info = load_weights(locate(name_or_path))
    if not isinstance(model, PyramidAutomaton):
        raise LncaError(f"{info.name} takes no noise level; darktable needs a model that does, such as {DEFAULT_MODEL}")
    path = Path(folder) / f"{identity(info.name)}{SUFFIX}"
    if path.exists() and not overwrite:
        raise LncaError(f"{path} exists; add --overwrite to replace it")
    accelerate(model, torch.device("cpu"), "plain")
    content, config = tile_graph(model, info, tile), configuration(info, tile, source)
    check = _checked(model, info, content, tile)
    packed = archive(config, content)
    write_whole(path, packed)
    return {
        "lnca": __version__,
        "model": info.name,
        "form": FORM,
        "file": str(path),
        "config": config,
        "checks": {FLOAT32: check | {"bytes": len(packed)}},
    }


def identity(name: str) -> str:
    """The id of a model in darktable, from task, architecture and variant: denoise-lnca-photo for photo-denoise."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word not in REDUNDANT_WORDS]
    return "-".join((TASK, "lnca", *words))


def configuration(info: ModelInfo, tile: int = TILE, source: str = "") -> dict[str, Any]:
    """The content of config.json: the fields that darktable requires, and the model card in the form of its
    catalogue."""
    name = identity(info.name)
    licence = str(info.card.get("licence", "not stated"))
    weights, _, photographs = licence.partition("; ")
    return {
        "id": name,
        "name": name.replace("-", " "),
        "description": f"Latent neural cellular automaton for photographs ({info.name}), blind",
        "task": TASK,
        "arch": "lnca",
        "backend": "onnx",
        "version": __version__,
        "tiling": True,
        "attributes": {"input_sizes": [tile]},
        "model_card": {
            "long_description": f"Cellular automaton on three lattices, {info.parameters} parameters; it estimates the "
            "noise level of each tile",
            "scope": "single-image denoising",
            "author": "the lnca authors",
            **({"source": source} if source else {}),
            "paper": PAPER,
            "license": "Apache-2.0" if "Apache-2.0" in weights else weights,
            "training_data": str(info.card.get("data", "not stated")),
            "training_data_license": photographs or "not stated",
        },
    }


def tile_graph(model: PyramidAutomaton, info: ModelInfo, tile: int) -> bytes:
    """The graph for one tile as an ONNX file, with `input` and `output`, float32 [1, 3, tile, tile].

    Raises:
        LncaError: a library is missing.
    """
    check_libraries()
    facts = {
        "lnca": __version__,
        "model": info.name,
        "architecture": info.architecture,
        "form": FORM,
        "steps": model.steps,
        "multiple": SIDE,
        "reach": reach(model.steps) // SIDE,
        "opset": OPSET,
    }
    example = torch.rand(1, 3, tile, tile)
    return to_bytes(graph(Tile(model), (example,), ("input",), ("output",), ({},), model_props(facts, info)))


def archive(config: dict[str, Any], content: bytes) -> bytes:
    """The content of a .dtmodel file: a zip file with one folder, whose name is the model's id."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, part in ((CONFIG, as_json(config)), (GRAPH, content)):
            entry = zipfile.ZipInfo(f"{config['id']}/{name}", NO_TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            packed.writestr(entry, part)
    return buffer.getvalue()


def unpacked(path: Path) -> tuple[dict[str, Any], bytes]:
    """The configuration and the graph in a .dtmodel file.

    Raises:
        LncaError: the file does not exist, or darktable would not import it.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
            top = names[0].partition("/")[0]
            config = json.loads(packed.read(f"{top}/{CONFIG}"))
            content = packed.read(f"{top}/{GRAPH}")
    except (OSError, zipfile.BadZipFile, KeyError, IndexError, ValueError) as error:
        raise LncaError(f"{path} is no .dtmodel file: {error}") from error
    if config.get("id") != top or any(not name.startswith(f"{top}/") for name in names):
        raise LncaError(f"{path} should hold one folder, named like the id in its {CONFIG}")
    return config, content


def _checked(model: PyramidAutomaton, info: ModelInfo, content: bytes, tile: int) -> dict[str, float]:
    """Differences of the graph from the model in float64, on a photograph that is mirrored to fill a tile."""
    clean, given = (_mirrored(picture, tile) for picture in probe(info))
    with torch.no_grad():
        expected = Tile(copy.deepcopy(model).double())(given.double()).float()
    with temporary_folder() as buffer:
        write_whole(Path(buffer) / GRAPH, content)
        (found,) = session(Path(buffer) / GRAPH, threads=0).run(["output"], {"input": given.numpy()})
    check = compared(torch.from_numpy(found), expected, clean)
    if not check["largest difference"] <= TOLERANCE:
        raise LncaError(f"the graph differs from {info.name} by {check['largest difference']:g}; please report it")
    return check


def _mirrored(picture_BCHW: Tensor, side: int) -> Tensor:
    """A picture (1, 3, H, W), mirrored or cut at the right and lower border to (1, 3, side, side)."""
    picture = picture_BCHW[0, :, :side, :side].permute(1, 2, 0).numpy()
    missing = [(0, side - size) for size in picture.shape[:2]]
    return to_tensor(np.pad(picture, (*missing, (0, 0)), "reflect"))

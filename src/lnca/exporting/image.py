"""Export of an automaton with noise levels as one graph, or as three graphs for hosts that cut pictures into tiles."""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..catalogue import ModelInfo
from ..nn.pyramid import LEVEL_CHANNELS, PyramidAutomaton
from ..onnx import AUTO, FLOAT32, GRAPHS, Form, OnnxRestorer, Variant, file_name, session
from ..runtime.noise_level import FEATURE_REACH, SIDE
from ..runtime.pyramid import reach
from .graphs import LARGEST_CELLS, compared, graph, halved, probe, to_bytes

# The given noise level at which graphs are checked, in 255ths.
CHECKED_LEVEL = 20.0


class WholeImage(nn.Module):
    """Picture (B, 3, H, W), sides >= 8, and noise levels in 255ths -> restored picture of the same size, and the levels
    that were used, (B, 2, H / 8, W / 8) rounded up. Levels below 0 are replaced by estimates."""

    def __init__(self, model: PyramidAutomaton):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        height, width = image.shape[-2:]
        padded = image.index_select(2, mirrored(height)).index_select(3, mirrored(width))
        used = torch.where(level < 0, self.model.estimator(padded), level)
        *_, restored = self.model.unrolled(padded, used, self.model.steps)
        return restored[..., :height, :width].clamp(0, 1), used


def mirrored(size: int) -> Tensor:
    """Indices that mirror a row of `size` pixels at its end, to the next multiple of 8."""
    # The division of ONNX rounds towards zero, so no operand may be negative.
    place = torch.arange((size + SIDE - 1) // SIDE * SIDE)
    return torch.where(place < size, place, 2 * size - 2 - place)


class Guesses(nn.Module):
    """Picture (B, 3, H, W), sides multiples of 8 -> noise features of each cell, (B, channels, H / 8, W / 8)."""

    def __init__(self, model: PyramidAutomaton):
        super().__init__()
        self.estimator = model.estimator

    def forward(self, image: Tensor) -> Tensor:
        return self.estimator.features(self.estimator.energies(image))


class Levels(nn.Module):
    """Features of all cells of a picture -> noise levels in 255ths, (B, 2, H / 8, W / 8)."""

    def __init__(self, model: PyramidAutomaton):
        super().__init__()
        self.estimator = model.estimator

    def forward(self, guesses: Tensor) -> Tensor:
        return self.estimator.pooled_levels(guesses)


class Restore(nn.Module):
    """Tile (B, 3, H, W), sides multiples of 8, and noise levels -> the restored tile after each of S steps, (B, S, 3,
    H, W), and the mean absolute change of the fine cells in the step, over channels and 8x8 pixels, (B, S, H / 8,
    W / 8)."""

    def __init__(self, model: PyramidAutomaton):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        cells, pictures, changes = self.model.seed(image, level), [], []
        for rule in self.model.rules:
            before, cells = cells.fine, rule(cells)
            pictures.append(self.model.read(cells, image, level).clamp(0, 1))
            changes.append(nn.functional.avg_pool2d((cells.fine - before).abs().mean(1), SIDE // 2))
        return torch.stack(pictures, 1), torch.stack(changes, 1)


class ImageExport:
    """Exports the form "image": one graph, image.onnx."""

    form: Form = "image"

    def __init__(self, model: PyramidAutomaton, info: ModelInfo):
        self.model, self.info = model, info

    def facts(self) -> dict[str, Any]:
        """Fields of the description; `reach` and `guess_reach`, the radii of the receptive fields of restoring and of
        the features, are in cells of `multiple` pixels on a side."""
        steps = self.model.steps
        return {
            "steps": steps,
            "multiple": SIDE,
            "reach": reach(steps) // SIDE,
            "guess_reach": FEATURE_REACH,
            "noise_level": True,
        }

    def graphs(self, props: dict[str, str]) -> dict[str, bytes]:
        """The graph as an ONNX file, by its name."""
        batch, height, width = (
            torch.export.Dim(name, min=low, max=SIDE * LARGEST_CELLS)
            for name, low in (("batch", 1), ("height", SIDE), ("width", SIDE))
        )
        arguments = torch.rand(2, 3, 37, 45), torch.full((1, LEVEL_CHANNELS, 1, 1), AUTO)
        shapes: tuple[dict[int, Any], ...] = ({0: batch, 2: height, 3: width}, {})
        model = graph(WholeImage(self.model), arguments, ("input", "noise_level"), ("output", "level"), shapes, props)
        return {"image": to_bytes(optional(model, "noise_level", arguments[1]))}

    def varied(self, name: str, content: bytes, variant: Variant) -> bytes:
        # The energies of fine differences are too small for float16.
        return content if variant == FLOAT32 else halved(content, exact=("level",))

    def check(self, folder: Path, variant: Variant) -> dict[str, float]:
        """Differences of the graph from the model in float64 on a photograph, see `compared`: the worse of an estimated
        and a given noise level."""
        clean, given = probe(self.info)
        array, exact = given[0].permute(1, 2, 0).numpy(), copy.deepcopy(self.model).double()
        restorer, results = OnnxRestorer(folder, variant), []
        for given_level in (None, CHECKED_LEVEL):
            level = (
                None if given_level is None else torch.full((1, LEVEL_CHANNELS, 1, 1), given_level, dtype=torch.float64)
            )
            with torch.no_grad():
                expected = exact(given.double(), noise_level=level).float()
            found = restorer.restore(array, noise_level="auto" if given_level is None else given_level)
            results.append(compared(torch.from_numpy(found).permute(2, 0, 1)[None], expected, clean))
        return max(results, key=lambda result: result["largest difference"])


def optional(model: Any, name: str, default: Tensor) -> Any:
    """The graph (onnx.ModelProto) with a default for the input `name`, which may have any shape that broadcasts to the
    levels."""
    from onnx import numpy_helper

    inputs = {each.name: each for each in model.graph.input}
    shape = inputs[name].type.tensor_type.shape
    for dimension, symbol in zip(shape.dim, ("pictures", "kinds", "rows", "columns"), strict=True):
        dimension.dim_param = f"{name}_{symbol}"
    # The stored shapes of dependent values hold only for the default.
    del model.graph.value_info[:]
    model.graph.initializer.append(numpy_helper.from_array(default.numpy(), name))
    return model


class TilesExport(ImageExport):
    """Exports the form "tiles", three graphs: guesses.onnx computes features of each tile, levels.onnx the noise levels
    from the features of all tiles, and restore.onnx restores a tile with its levels. Tiles that overlap by `reach`
    cells give the same pixels."""

    form: Form = "tiles"

    def graphs(self, props: dict[str, str]) -> dict[str, bytes]:
        batch, rows, columns = (
            torch.export.Dim(name, min=1, max=LARGEST_CELLS) for name in ("batch", "rows", "columns")
        )
        image, guesses, level = (
            torch.rand(2, 3, 5 * SIDE, 6 * SIDE),
            torch.rand(2, self.model.estimator.channels, 5, 6),
            torch.rand(2, LEVEL_CHANNELS, 5, 6),
        )
        pictures, maps = {0: batch, 2: SIDE * rows, 3: SIDE * columns}, {0: batch, 2: rows, 3: columns}
        parts = (
            graph(Guesses(self.model), (image,), ("input",), ("guesses",), (pictures,), props),
            graph(Levels(self.model), (guesses,), ("guesses",), ("level",), (maps,), props),
            graph(
                Restore(self.model),
                (image, level),
                ("input", "noise_level"),
                ("steps", "change"),
                (pictures, maps),
                props,
            ),
        )
        return dict(zip(GRAPHS["tiles"], map(to_bytes, parts), strict=True))

    def varied(self, name: str, content: bytes, variant: Variant) -> bytes:
        # The energies of fine differences are too small for float16.
        return halved(content) if variant != FLOAT32 and name == "restore" else content

    def check(self, folder: Path, variant: Variant) -> dict[str, float]:
        """Differences of the graphs from the model in float64 on a photograph, as one tile; see `compared`."""
        clean, given = probe(self.info)
        image = self.model.pad(given)
        guesses, levels, restore = (session(folder / file_name(name, variant)) for name in GRAPHS["tiles"])
        (level,) = levels.run(None, dict(zip(("guesses",), guesses.run(None, {"input": image.numpy()}), strict=True)))
        pictures, _ = restore.run(None, {"input": image.numpy(), "noise_level": level})
        with torch.no_grad():
            expected = copy.deepcopy(self.model).double()(given.double()).float()
        height, width = given.shape[-2:]
        return compared(torch.from_numpy(pictures[:, -1, :, :height, :width].copy()), expected, clean)

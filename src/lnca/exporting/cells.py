"""Export of a latent automaton as three graphs with dynamic batch, height and width: encoder, steps, decoder."""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..catalogue import ModelInfo
from ..errors import LncaError
from ..kernels.graph import GraphNAFCA
from ..nn.automaton import Automaton
from ..nn.latent import LatentAutomaton
from ..nn.nafca import NAFCA
from ..onnx import FLOAT32, GRAPHS, OnnxRestorer, Variant
from .graphs import LARGEST_CELLS, compared, graph, halved, probe, to_bytes


class Encoder(nn.Module):
    """Image (B, 3, H, W) -> initial cells (B, H', W', C) and the skip connection, which bypasses the automaton."""

    def __init__(self, model: LatentAutomaton):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        latent, skip = self.model.autoencoder.encode(image)
        return self.model.automaton.seed(latent), skip


class Steps(nn.Module):
    """Cells (B, H', W', C) -> cells after `count` steps."""

    def __init__(self, model: LatentAutomaton, count: int):
        super().__init__()
        rule = model.automaton
        self.step = GraphNAFCA(rule) if type(rule) is NAFCA else _Step(rule)
        self.count = count

    def forward(self, cells: Tensor) -> Tensor:
        for _ in range(self.count):
            cells = self.step(cells)
        return cells


class _Step(nn.Module):
    """One step of any rule."""

    def __init__(self, rule: Automaton):
        super().__init__()
        self.rule = rule

    def forward(self, cells: Tensor) -> Tensor:
        return self.rule.step(cells)


class Decoder(nn.Module):
    """Cells and skip connection -> image (B, 3, H, W)."""

    def __init__(self, model: LatentAutomaton):
        super().__init__()
        self.model = model

    def forward(self, cells: Tensor, skip: Tensor) -> Tensor:
        return self.model.autoencoder.decode(self.model.automaton.read(cells), skip)


class CellsExport:
    """Exports a latent automaton; raises `LncaError` if `steps_in_graph` does not divide the model's steps."""

    form = "cells"

    def __init__(self, model: LatentAutomaton, info: ModelInfo, steps_in_graph: int):
        if steps_in_graph < 1 or model.steps % steps_in_graph:
            raise LncaError(f"{steps_in_graph} steps a graph do not divide the model's {model.steps}")
        self.model, self.info, self.steps_in_graph = model, info, steps_in_graph

    def facts(self) -> dict[str, Any]:
        """Fields of the description; `reach` is in cells of `multiple` pixels on a side."""
        coder = self.model.autoencoder
        return {
            "steps": self.model.steps,
            "steps_in_graph": self.steps_in_graph,
            "multiple": coder.multiple,
            "reach": coder.reach,
        }

    def graphs(self, props: dict[str, str]) -> dict[str, bytes]:
        """Encoder, steps and decoder as ONNX files."""
        model = self.model
        batch, rows, columns = (
            torch.export.Dim(name, min=low, max=LARGEST_CELLS)
            for name, low in (("batch", 1), ("rows", 2), ("columns", 2))
        )
        side = model.autoencoder.multiple
        image = torch.rand(2, 3, 5 * side, 6 * side)
        with torch.no_grad():
            cells, skip = Encoder(model)(image)
        # Side of a cell in positions of the skip connection.
        share = skip.shape[-1] // cells.shape[2]
        pictures = {0: batch, 2: side * rows, 3: side * columns}
        lattices = {0: batch, 1: rows, 2: columns}
        skips = {0: batch, 2: share * rows, 3: share * columns}
        parts = (
            graph(Encoder(model), (image,), ("image",), ("cells", "skip"), (pictures,), props),
            graph(Steps(model, self.steps_in_graph), (cells,), ("cells",), ("next_cells",), (lattices,), props),
            graph(Decoder(model), (cells, skip), ("cells", "skip"), ("restored",), (lattices, skips), props),
        )
        return dict(zip(GRAPHS["cells"], map(to_bytes, parts), strict=True))

    def varied(self, name: str, content: bytes, variant: Variant) -> bytes:
        """A graph in a variant."""
        return content if variant == FLOAT32 else halved(content)

    def check(self, folder: Path, variant: Variant) -> dict[str, float]:
        """Differences of the graphs from the model in float64, on a photograph; see `compared`."""
        clean, given = probe(self.info)
        with torch.no_grad():
            expected = copy.deepcopy(self.model).double()(given.double()).float()
        array = given[0].permute(1, 2, 0).numpy()
        found = torch.from_numpy(OnnxRestorer(folder, variant).restore(array)).permute(2, 0, 1)[None]
        return compared(found, expected, clean)

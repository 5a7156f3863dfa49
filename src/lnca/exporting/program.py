"""Export of a model as one program of `torch.export`."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..catalogue import ModelInfo
from ..errors import LncaError
from ..files import write_whole
from ..nn.latent import LatentAutomaton
from ..nn.model import SteppedModel
from ..nn.pyramid import LEVEL_CHANNELS, PyramidAutomaton
from ..onnx import AUTO, FLOAT32
from .cells import Decoder, Encoder, Steps
from .graphs import LARGEST_CELLS, TOLERANCE, quiet
from .image import WholeImage


class _Latent(nn.Module):
    def __init__(self, model: LatentAutomaton):
        super().__init__()
        self.encoder, self.steps, self.decoder = Encoder(model), Steps(model, model.steps), Decoder(model)

    def forward(self, image: Tensor) -> Tensor:
        cells, skip = self.encoder(image)
        return self.decoder(self.steps(cells), skip)


class _Pyramid(nn.Module):
    def __init__(self, model: PyramidAutomaton):
        super().__init__()
        self.whole = WholeImage(model)
        self.register_buffer("level", torch.full((1, LEVEL_CHANNELS, 1, 1), AUTO))

    def forward(self, image: Tensor) -> Tensor:
        return self.whole(image, self.get_buffer("level"))[0]


def export_program(model: SteppedModel, info: ModelInfo, path: Path) -> dict[str, Any]:
    """Writes one program from picture (B, 3, H, W) to picture; both sides must be multiples of the side of a cell.

    Returns:
        Fields of the description.

    Raises:
        LncaError: the program differs from the model.
    """
    whole: nn.Module
    if isinstance(model, PyramidAutomaton):
        whole, side = _Pyramid(model), model.multiple
    else:
        assert isinstance(model, LatentAutomaton)
        whole, side = _Latent(model), model.autoencoder.multiple
    rows, columns = (torch.export.Dim(name, min=2, max=LARGEST_CELLS) for name in ("rows", "columns"))
    batch = torch.export.Dim("batch", min=1, max=LARGEST_CELLS)
    shapes = ({0: batch, 2: side * rows, 3: side * columns},)
    with quiet(), torch.no_grad():
        program = torch.export.export(whole.eval(), (torch.rand(2, 3, 5 * side, 6 * side),), dynamic_shapes=shapes)
        image = torch.rand(1, 3, 9 * side, 4 * side)
        difference = (program.module()(image) - model(image)).abs().max().item()
    if not difference <= TOLERANCE:
        raise LncaError(f"the program differs from {info.name} by {difference:g}; please report it")
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    write_whole(path, buffer.getvalue())
    return {"steps": model.steps, "multiple": side, "checks": {FLOAT32: {"largest difference": difference}}}

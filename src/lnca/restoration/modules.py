"""Restores whole pictures with torch modules: on GPUs, and for architectures that only torch supports."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import LncaError
from ..kernels.devices import choose_device
from ..kernels.select import accelerate
from ..nn.deblurring import Deblurrer
from ..nn.model import RestorationModel, SteppedModel
from ..nn.pyramid import PyramidAutomaton
from ..runtime.native import Backend, Precision
from .deblurring import DeblurStreamer
from .pictures import Rows
from .streamer import IN_BANDS, Request, Streamer

# Floats a pixel that the cells of a deblurrer use at a time.
FLOATS = 160


class ModuleStreamer(Streamer):
    """Restores with a module.

    Args:
        module: the module in evaluation mode, on its device.
    """

    def __init__(self, module: RestorationModel):
        self.module = module
        self.takes_noise_level = module.takes_noise_level
        self.steps = module.steps if isinstance(module, SteppedModel) else None

    @torch.no_grad()
    def restored(self, picture: Rows, request: Request) -> Any:
        """See `Streamer.restored`."""
        if request.max_memory is not None:
            raise LncaError(f"a limit of memory is for {IN_BANDS}")
        x = self._tensor(picture.read(0, picture.height, picture.width).transpose(0, 3, 1, 2))
        told = {} if request.steps is None else {"steps": request.steps}
        return self._taken(picture, self.module(x, **told, **self._levels(request)))

    @torch.no_grad()
    def states(self, picture: Rows, request: Request) -> Iterator[Any]:
        """See `Streamer.states`."""
        assert isinstance(self.module, SteppedModel)
        x = self._tensor(picture.read(0, picture.height, picture.width).transpose(0, 3, 1, 2))
        for frame in self.module.frames(x, request.steps, **self._levels(request)):
            yield self._taken(picture, frame)

    def _levels(self, request: Request) -> dict[str, Any]:
        return {"noise_level": self._tensor(request.level())} if self.takes_noise_level else {}

    def _tensor(self, x: np.ndarray) -> Tensor:
        """The array as a tensor on the module's device."""
        return torch.from_numpy(np.ascontiguousarray(x)).to(next(self.module.parameters()).device)

    @staticmethod
    def _taken(picture: Rows, restored_BCHW: Tensor) -> Any:
        """The output of a module, as the type of the picture."""
        room = picture.empty()
        picture.write(room, 0, restored_BCHW.permute(0, 2, 3, 1).float().cpu().numpy())
        return picture.finish(room)


class ModuleCells(ModuleStreamer):
    """The cells of an automaton on three lattices.

    Args:
        module: the module in evaluation mode, on its device.
    """

    module: PyramidAutomaton

    @torch.no_grad()
    def levels(self, picture: Rows) -> np.ndarray:
        """See `Streamer.levels`."""
        x = self._tensor(picture.read(0, picture.height, picture.width).transpose(0, 3, 1, 2))
        return self.module.estimator(self.module.pad(x)).cpu().numpy()

    @torch.no_grad()
    def clean(self, image_BCHW: np.ndarray, level: float, steps: int) -> np.ndarray:
        """See `PyramidStreamer.clean`."""
        x = self._tensor(image_BCHW)
        return self.module(x, steps, noise_level=x.new_full((1, 2, 1, 1), level)).cpu().numpy()

    def bytes_of(self, height: int, width: int) -> int:
        """See `PyramidStreamer.bytes_of`."""
        return height * width * 4 * FLOATS


def accelerated(
    module: RestorationModel, device: str, backend: Backend = "auto", precision: Precision = "float32"
) -> tuple[RestorationModel, str]:
    """Moves a module to a device and accelerates it; returns it and its implementation. Raises like `accelerate`."""
    place = choose_device(device)
    module = module.to(place)
    return module, accelerate(module, place, backend, precision)


def by_module(module: RestorationModel) -> Streamer:
    """The streamer for a module."""
    if isinstance(module, Deblurrer):
        return DeblurStreamer(ModuleCells(module.cells), module.steps)
    return ModuleCells(module) if isinstance(module, PyramidAutomaton) else ModuleStreamer(module)

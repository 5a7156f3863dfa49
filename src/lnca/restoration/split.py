"""Restores one picture with several processes, each with a device and a band of the lattice of cells.

Each process encodes, runs and decodes its band. Every few steps, neighbours exchange one row of cells for each of the
following steps, and before decoding as many rows as the receptive field of the decoder needs. The first process holds
the picture and the result, sends pixels, and receives restored pixels. The arithmetic is that of a single process, so
on CPUs with the fused kernels the result is the same to the bit.
"""

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from ..errors import LncaError
from ..peers import Peers, share, widened
from ..runtime.arrays import empty
from ..runtime.models import Latent
from .bands import BLOCK_STEPS, Plan
from .latent import LatentStreamer
from .pictures import Rows
from .restorer import Restorer

# Largest size of a border relative to its band, on either side: the additional work.
BORDER_SHARE = 1 / 32


def split(restorer: Restorer, peers: Peers) -> None:
    """Lets a restorer share each picture with the other processes, which have to call `follow`.

    Raises:
        LncaError: the model has no lattice of cells that can be cut.
    """
    model = restorer.streamer.model if isinstance(restorer.streamer, LatentStreamer) else None
    if model is None and restorer.device != "cpu":
        model = by_its_module(restorer)
    if model is None:
        raise LncaError(f"{restorer.info.name} has no lattice of cells that several devices could share")
    if model.rule.has_position_code:
        raise LncaError(f"the cells of {restorer.info.name} are numbered, so that their lattice cannot be cut")
    restorer.streamer = SplitStreamer(model, peers)


def by_its_module(restorer: Restorer) -> Latent | None:
    """The latent automaton of a restorer that runs its torch module, as on GPUs; None for other models."""
    from ..kernels.cpu import rule_of
    from ..kernels.windows import ModuleRun, WindowedCoder
    from ..nn.latent import LatentAutomaton

    module = restorer.module
    if not isinstance(module, LatentAutomaton):
        return None
    return Latent(
        WindowedCoder(module.autoencoder), rule_of(module.automaton), ModuleRun(module.automaton), module.steps
    )


def follow(restorer: Restorer) -> None:
    """Works on shares of pictures until the first process has no more."""
    streamer = restorer.streamer
    assert isinstance(streamer, SplitStreamer)
    while streamer.work_along():
        pass


class SplitStreamer(LatentStreamer):
    """Restores a picture together with other processes, each with its own `SplitStreamer`.

    Args:
        model: the model for inference, on any device.
        peers: all processes.
    """

    def __init__(self, model: Latent, peers: Peers):
        super().__init__(model)
        self.peers = peers

    def plan(self, picture: Rows, max_memory: int | None = None, settle: bool = False) -> Plan:
        """The plan for the widest share, in `max_memory` bytes of its process.

        Raises:
            LncaError: the share does not fit, or `settle` is true.
        """
        if settle:
            _refuse("--steps auto")
        rows = self.lattice_of(picture)[0]
        bands = share(rows, self.peers.count)
        window = self._window(bands[0], picture)
        widest = Rows.part(picture.pixels(window.start, window.stop), 0, len(window))
        try:
            plan = self.planned(widest, max_memory)
        except LncaError:
            plan = None
        # Borders of a share in a file are slow to exchange, so shares must fit into memory.
        if plan is None or plan.block is not None:
            assert max_memory is not None
            raise LncaError(
                f"one of {self.peers.count} shares of a picture of {picture.width}x{picture.height} does not fit into "
                f"{max_memory / 1e6:.0f} MB; allow more with --max-memory, or use more devices"
            )
        return plan

    def restore(self, picture: Rows, steps: int | None = None, plan: Plan | None = None, seed: int = 0) -> Any:
        """Restores a picture in the first process; returns the type of the input."""
        steps, plan = self.model.steps if steps is None else steps, plan or self.plan(picture)
        bands = share(self.lattice_of(picture)[0], self.peers.count)
        pixels = picture.pixels(0, picture.height)
        task = {
            "shape": list(pixels.shape),
            "kind": str(pixels.dtype),
            "steps": steps,
            "seed": seed,
            "band": plan.band,
            "strength": picture.strength,
            "mask": picture.mask is not None,
        }
        self.peers.tell(task)
        for number, band in enumerate(bands[1:], 1):
            window = self._window(band, picture)
            self.peers.send(picture.pixels(window.start, window.stop), 1, number)
            if picture.mask is not None:
                self.peers.send(picture.mask[window.start : window.stop].astype(np.float32), 0, number)
        room = picture.empty()
        for number, band in enumerate(bands):
            pixel_rows = self._pixel_rows(band, picture.height)
            part = room[:, pixel_rows.start : pixel_rows.stop]
            if number:
                self.peers.receive(part, 1, number)
            else:
                part[...] = self._restore_band(picture, bands, steps, plan.band, seed)
        return picture.finish(room)

    def work_along(self) -> bool:
        """Restores this process's share of the next picture; returns False if there is none."""
        task = self.peers.hear()
        if task is None:
            return False
        batch, height, width, colours = task["shape"]
        bands = share(-(-height // self.coder.multiple), self.peers.count)
        window = self._window(bands[self.peers.number], height)
        pixels = np.empty((batch, len(window), width, colours), task["kind"])
        self.peers.receive(pixels, 1, 0)
        mask = np.empty((len(window), width), np.float32) if task["mask"] else None
        if mask is not None:
            self.peers.receive(mask, 0, 0)
        part = Rows.part(pixels, window.start, height, task["strength"], mask)
        self.peers.send(self._restore_band(part, bands, task["steps"], task["band"], task["seed"]), 1, 0)
        return True

    def settle(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("--steps auto")

    def frames(self, *_: Any, **__: Any) -> Iterator[NoReturn]:
        _refuse("frames")

    def _window(self, band: range, picture: Rows | int) -> range:
        """The rows of pixels of a band."""
        height = picture.height if isinstance(picture, Rows) else picture
        multiple = self.coder.multiple
        # One more row of cells, because the lower border of the picture is padded by mirroring.
        cells = widened(band, self.coder.reach + 1, -(-height // multiple))
        return self._pixel_rows(cells, height)

    def _pixel_rows(self, band: range, height: int) -> range:
        multiple = self.coder.multiple
        return range(min(band.start * multiple, height), min(band.stop * multiple, height))

    def _restore_band(self, picture: Rows, bands: list[range], steps: int, rows_at_once: int, seed: int) -> np.ndarray:
        """Restores the pixels of this process's band, in `steps` steps together with the other processes."""
        band, height = bands[self.peers.number], bands[-1].stop
        stride = max(1, min(BLOCK_STEPS, steps, int(len(bands[-1]) * BORDER_SHARE)))
        here = widened(band, stride, height)
        columns = self.lattice_of(picture)[1]
        rule = self.model.rule
        cells = empty(picture.batch, len(here), columns, rule.channels)
        top = band.start - here.start
        for begin, fresh in self._encode(picture, band.start, band.stop, rows_at_once):
            cells[:, begin - here.start : begin - here.start + fresh.shape[1]] = fresh
        for first in range(0, steps, stride):
            self.peers.exchange(cells, bands, stride)
            self.run.advance(cells, min(stride, steps - first), seed, first, (here.start, 0))
        around = widened(band, self.coder.reach, height)
        read = rule.read(cells)[:, top : top + len(band)]
        latent = empty(picture.batch, len(around), *read.shape[2:])
        latent[:, band.start - around.start : band.stop - around.start] = read
        del cells, read
        self.peers.exchange(latent, bands, self.coder.reach)

        def rows(begin: int, end: int) -> np.ndarray:
            return np.ascontiguousarray(latent[:, begin - around.start : end - around.start])

        return self._decode(picture, rows, band.start, band.stop, rows_at_once)


def _refuse(what: str) -> NoReturn:
    raise LncaError(f"{what} is for one device; leave --devices out")

"""One picture over several processes, each with a device: every one has a band of the lattice of cells.

A band is encoded, run and decoded where it is. Before every few steps neighbours exchange as many rows of cells as
steps follow, and before decoding as many as a decoder depends on. The first process holds the picture and its result,
hands out pixels, and takes what was made of them. All is computed by the arithmetic of `streaming`, so that on CPUs
with the fused kernels the result is that of one process, to the bit.
"""

from collections.abc import Iterator
from typing import Any, NoReturn

import torch
from torch import Tensor

from ..errors import LncaError
from ..kernels.cpu import FusedRun
from ..kernels.select import OnCpu
from ..nn.latent import LatentAutomaton
from ..nn.vitca import ViTCA
from ..peers import Peers, share, widened
from .bands import BLOCK_STEPS, Plan
from .pictures import Rows
from .restorer import Restorer
from .streaming import Streamer
from .windows import ModuleRun

# A border is at most this share of a band: what it adds to the work, on either side.
BORDER_SHARE = 1 / 32


def split(restorer: Restorer, peers: Peers) -> None:
    """Has a restorer share each picture with the other processes; the others are to `follow`.

    Raises:
        LncaError: a model without a lattice of cells that can be cut.
    """
    module = restorer.module
    if not isinstance(module, LatentAutomaton):
        raise LncaError(f"{restorer.info.name} has no lattice of cells that several devices could share")
    rule = module.automaton
    if isinstance(rule, ViTCA) and rule.position != "none":
        raise LncaError(f"the cells of {restorer.info.name} are numbered, so that their lattice cannot be cut")
    run = rule.runner.fused if isinstance(rule.runner, OnCpu) else ModuleRun(rule)
    restorer.streamer = SplitStreamer(module, run, peers, restorer.device)


def follow(restorer: Restorer) -> None:
    """Works on shares of pictures, until the first process says that there are no more."""
    streamer = restorer.streamer
    assert isinstance(streamer, SplitStreamer)
    while streamer.work_along():
        pass


class SplitStreamer(Streamer):
    """Restores a picture together with other processes, which all have one of their own.

    Args:
        model, run: see `Streamer`; on any device.
        peers: all processes.
        device: where cells lie.

    Raises:
        LncaError: see `Streamer`.
    """

    def __init__(self, model: LatentAutomaton, run: FusedRun | ModuleRun, peers: Peers, device: torch.device):
        super().__init__(model, run)
        self.peers, self.device = peers, device

    def plan(self, picture: Rows, max_memory: int | None = None, settle: bool = False) -> Plan:
        """How the widest share is restored, in `max_memory` bytes of its process.

        Raises:
            LncaError: it does not fit; cells that settle were asked for.
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
        # A share that does not lie in memory is no longer quick to exchange.
        if plan is None or plan.block is not None:
            assert max_memory is not None
            raise LncaError(
                f"one of {self.peers.count} shares of a picture of {picture.width}x{picture.height} does not fit into "
                f"{max_memory / 1e6:.0f} MB; allow more with --max-memory, or use more devices"
            )
        return plan

    def restore(self, picture: Rows, steps: int | None = None, plan: Plan | None = None, seed: int = 0) -> Any:
        """The picture restored, as the kind it came in; in the first process."""
        steps, plan = self.model.steps if steps is None else steps, plan or self.plan(picture)
        bands = share(self.lattice_of(picture)[0], self.peers.count)
        pixels = picture.pixels(0, picture.height)
        task = {
            "shape": list(pixels.shape), "kind": str(pixels.dtype).removeprefix("torch."), "steps": steps, "seed": seed,
            "band": plan.band, "strength": picture.strength, "mask": picture.mask is not None,
        }  # fmt: skip
        self.peers.tell(task)
        for number, band in enumerate(bands[1:], 1):
            window = self._window(band, picture)
            self.peers.send(picture.pixels(window.start, window.stop), 2, number)
            if picture.mask is not None:
                self.peers.send(torch.from_numpy(picture.mask[window.start : window.stop]), 0, number)
        room = picture.empty()
        for number, band in enumerate(bands):
            pixel_rows = self._pixel_rows(band, picture.height)
            part = room[:, pixel_rows.start : pixel_rows.stop]
            if number:
                self.peers.receive(part, 1, number)
            else:
                part.copy_(self._restore_band(picture, bands, steps, plan.band, seed))
        return picture.finish(room)

    def work_along(self) -> bool:
        """Restores this process's share of the next picture; False when there is none."""
        task = self.peers.hear()
        if task is None:
            return False
        batch, colours, height, width = task["shape"]
        bands = share(-(-height // self.autoencoder.multiple), self.peers.count)
        window = self._window(bands[self.peers.number], height)
        pixels = torch.empty(batch, colours, len(window), width, dtype=getattr(torch, task["kind"]))
        self.peers.receive(pixels, 2, 0)
        mask = torch.empty(len(window), width, dtype=torch.float32) if task["mask"] else None
        if mask is not None:
            self.peers.receive(mask, 0, 0)
        part = Rows.part(pixels, window.start, height, task["strength"], None if mask is None else mask.numpy())
        self.peers.send(self._restore_band(part, bands, task["steps"], task["band"], task["seed"]), 1, 0)
        return True

    def settle(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("--steps auto")

    def frames(self, *_: Any, **__: Any) -> Iterator[NoReturn]:
        _refuse("frames")

    def _window(self, band: range, picture: Rows | int) -> range:
        """Rows of pixels that a band is made of."""
        height = picture.height if isinstance(picture, Rows) else picture
        multiple = self.autoencoder.multiple
        # One row of cells more: what lies beyond the picture's lower border is mirrored.
        cells = widened(band, self.model.autoencoder.reach + 1, -(-height // multiple))
        return self._pixel_rows(cells, height)

    def _pixel_rows(self, band: range, height: int) -> range:
        multiple = self.autoencoder.multiple
        return range(min(band.start * multiple, height), min(band.stop * multiple, height))

    def _restore_band(self, picture: Rows, bands: list[range], steps: int, rows_at_once: int, seed: int) -> Tensor:
        """Restored pixels of this process's band, which take `steps` steps together with the others."""
        band, height = bands[self.peers.number], bands[-1].stop
        stride = max(1, min(BLOCK_STEPS, steps, int(len(bands[-1]) * BORDER_SHARE)))
        here = widened(band, stride, height)
        columns = self.lattice_of(picture)[1]
        automaton = self.model.automaton
        cells = torch.empty(picture.batch, len(here), columns, automaton.channels, device=self.device)
        top = band.start - here.start
        for begin, fresh in self._encode(picture, band.start, band.stop, rows_at_once):
            cells[:, begin - here.start : begin - here.start + fresh.shape[1]] = fresh
        for first in range(0, steps, stride):
            self.peers.exchange(cells, bands, stride)
            self.run.advance(cells, min(stride, steps - first), seed, first, (here.start, 0))
        around = widened(band, self.model.autoencoder.reach, height)
        read = automaton.read(cells)[:, top : top + len(band)]
        latent = torch.empty(picture.batch, len(around), *read.shape[2:], device=self.device)
        latent[:, band.start - around.start : band.stop - around.start] = read
        del cells, read
        self.peers.exchange(latent, bands, self.model.autoencoder.reach)

        def rows(begin: int, end: int) -> Tensor:
            return latent[:, begin - around.start : end - around.start].contiguous()

        return self._decode(picture, rows, band.start, band.stop, rows_at_once)


def _refuse(what: str) -> NoReturn:
    raise LncaError(f"{what} is for one device; leave --devices out")

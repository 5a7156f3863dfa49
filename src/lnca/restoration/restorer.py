"""A loaded model that restores whatever kind of picture it is given, and gives back the same kind."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from ..catalogue import locate
from ..errors import LncaError
from ..kernels.cpu import Precision
from ..kernels.select import Backend, OnCpu, accelerate
from ..nn.latent import LatentAutomaton
from ..nn.model import RestorationModel, SteppedModel
from ..nn.weights_file import load_weights
from .notation import parse_bytes
from .pictures import Picture, Rows, to_tensor
from .streaming import Plan, Streamer

# Rounded products keep cells moving.
SETTLED: dict[Precision, float] = {"float32": 0.01, "bfloat16": 0.03}
MOST_STEPS = 10_000
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def choose_device(name: str = "auto") -> torch.device:
    """The device of a name, "auto" being the fastest there is.

    Raises:
        LncaError: no such device, or none here.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    kind = name.partition(":")[0]
    if kind not in available:
        raise LncaError(f"no device {name!r}; choose auto, cpu, cuda or mps")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise LncaError(f"no device {name!r}; choose auto, cpu, cuda or mps") from error
    if not available[kind] or (kind == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise LncaError(f"there is no device {name} here; use --device cpu")
    return device


def _streamer(module: RestorationModel) -> Streamer | None:
    """What restores in bounded memory, where the model and its backend can."""
    if not isinstance(module, LatentAutomaton) or not isinstance(module.automaton.runner, OnCpu):
        return None
    try:
        return Streamer(module, module.automaton.runner.fused)
    except LncaError:
        return None


class Settled(NamedTuple):
    """A picture restored until its cells settled, and the steps that each cell took: int32, (B, rows, columns)."""

    picture: Any
    steps: np.ndarray


class Restorer:
    """A trained model, ready to restore.

    Args:
        name_or_path: a name from `lnca.models()`, or a weight file.
        device: "auto", "cpu", "cuda" or "mps".
        backend: "auto", "plain", "compiled" or "fused"; see `lnca.kernels.select.accelerate`.
        precision: "float32" or "bfloat16", of fused and compiled steps.

    Attributes:
        module: the `torch.nn.Module`, in evaluation mode.
        backend: how its steps are run, such as "fused avx512 float32".
        streamer: restores in bounded memory; None where the model or the backend cannot.
        info: its `ModelInfo`, with the card.

    Raises:
        LncaError: no such model, device or backend, or a weight file that cannot be used.
    """

    def __init__(
        self, name_or_path: Any, device: str = "auto", backend: Backend = "auto", precision: Precision = "float32"
    ):
        self.device = choose_device(device)
        module, self.info = load_weights(locate(name_or_path))
        self.module: RestorationModel = module.to(self.device)
        self.backend = accelerate(self.module, self.device, backend, precision)
        self.streamer = _streamer(self.module)

    @property
    def stepped(self) -> SteppedModel:
        """The module, if it is one that works step by step; raises `LncaError` otherwise."""
        if not isinstance(self.module, SteppedModel):
            raise LncaError(f"{self.info.name} restores in one go, it has no steps")
        return self.module

    def restore(
        self, picture: Picture, steps: int | Literal["auto"] | None = None, max_memory: str | int | None = None,
        strength: float = 1.0, mask: np.ndarray | None = None,
    ) -> Picture:  # fmt: skip
        """The picture restored.

        Args:
            picture: a PIL image (grey stays grey, alpha passes through, a palette and CMYK become RGB); or an
                array (H, W), (H, W, 2) with alpha, (H, W, 3) or (H, W, 4), uint8, uint16 or floating point in [0, 1];
                or a floating-point tensor (B, 3, H, W) in [0, 1]. Sides >= 8.
            steps: steps of the automaton; the model's own number (64) when None; "auto" stops where cells have
                settled, as `settle` does.
            max_memory: bytes, or "2GB", that restoring may use beside the picture itself; the result is the same, to
                the bit. For latent models with the fused kernels.
            strength: share of the restored picture in what comes out, 0 to 1.
            mask: where to restore: that share for each pixel, (H, W) in [0, 1], times `strength`; None is everywhere.

        Returns:
            The same kind, shape and data type.

        Raises:
            LncaError: another shape or type, NaN, values or a strength outside [0, 1], a mask of another size, or a
                picture too large for the memory.
        """
        if steps == "auto":
            return self.settle(picture, None, None, max_memory, strength, mask).picture
        return self._restored(Rows(picture, strength, mask), steps, max_memory)

    def restore_together(
        self, pictures: Sequence[Picture], steps: int | None = None, max_memory: str | int | None = None,
        strength: float = 1.0, mask: np.ndarray | None = None,
    ) -> list[Picture]:  # fmt: skip
        """Several pictures of one size and depth, restored in one batch, which is quicker where they are small;
        otherwise as `restore`, with the fused kernels to the bit."""
        return self._restored(Rows(list(pictures), strength, mask), steps, max_memory)

    def _restored(self, rows: Rows, steps: int | None, max_memory: str | int | None) -> Any:
        steps = self._checked(steps)
        if self.streamer is not None:
            try:
                return self.streamer.restore(rows, steps, self.plan(rows, max_memory))
            except (RuntimeError, MemoryError) as error:
                raise self._explained(error, rows.width, rows.height) from error
        if max_memory is not None:
            raise LncaError("a limit of memory needs a latent model and the fused kernels, on the CPU")
        x = rows.read(0, rows.height, rows.width).permute(0, 3, 1, 2).contiguous().to(self.device)
        try:
            with torch.no_grad():
                restored = self.module(x) if steps is None else self.stepped(x, steps)
        except (RuntimeError, MemoryError) as error:
            raise self._explained(error, rows.width, rows.height) from error
        room = rows.empty()
        rows.write(room, 0, restored.permute(0, 2, 3, 1).cpu())
        return rows.finish(room)

    def settle(
        self, picture: Picture, steps: int | None = None, tolerance: float | None = None,
        max_memory: str | int | None = None, strength: float = 1.0, mask: np.ndarray | None = None,
    ) -> Settled:  # fmt: skip
        """The picture restored, leaving out cells that have settled: those that, like all their neighbours, changed by
        no more than `tolerance` in their last step. For latent models with the fused kernels.

        Args:
            picture, max_memory, strength, mask: see `restore`.
            steps: at most so many; the model's own number (64) when None.
            tolerance: of the cells' channels, whose values lie between about -10 and 10; 0 gives the same picture as
                `restore`, to the bit; 0.01 when None, 0.03 in bfloat16, where rounding keeps cells moving.

        Raises:
            LncaError: as `restore`; a negative tolerance; another model or backend.
        """
        steps = self._checked(steps)
        if self.streamer is None:
            raise LncaError("steps that end where cells settle need a latent model and the fused kernels, on the CPU")
        tolerance = SETTLED[self.streamer.run.precision] if tolerance is None else tolerance
        if not tolerance >= 0:
            raise LncaError(f"the tolerance must be 0 or more, got {tolerance:g}")
        rows = Rows(picture, strength, mask)
        try:
            plan = self.plan(rows, max_memory, settle=True)
            return Settled(*self.streamer.settle(rows, tolerance, steps, plan))
        except (RuntimeError, MemoryError) as error:
            raise self._explained(error, rows.width, rows.height) from error

    @torch.no_grad()
    def iterate(
        self, picture: Picture, steps: int | None = None, strength: float = 1.0, mask: np.ndarray | None = None
    ) -> Iterator[Picture]:
        """Yields the picture as it is decoded after 0, 1, ..., `steps` steps; otherwise as `restore`."""
        steps, rows = self._checked(steps), Rows(picture, strength, mask)
        if self.streamer is not None:
            yield from self.streamer.frames(rows, self.stepped.steps if steps is None else steps)
            return
        for frame in self.stepped.frames(to_tensor(picture).to(self.device), steps):
            room = rows.empty()
            rows.write(room, 0, frame.permute(0, 2, 3, 1).cpu())
            yield rows.finish(room)

    def plan(self, picture: Rows, max_memory: str | int | None = None, settle: bool = False) -> Plan:
        """How `restore` or `settle` goes about a picture; raises `LncaError` when it does not fit into `max_memory`."""
        if self.streamer is None:
            raise LncaError("a plan needs a latent model and the fused kernels, on the CPU")
        limit = parse_bytes(max_memory) if isinstance(max_memory, str) else max_memory
        return self.streamer.plan(picture, limit, settle)

    def _checked(self, steps: int | None) -> int | None:
        if steps is not None and not 0 <= steps <= MOST_STEPS:
            raise LncaError(f"steps must be 0 or more and {MOST_STEPS} at most, got {str(steps)[:20]}")
        return steps

    def _explained(self, error: RuntimeError | MemoryError, width: int, height: int) -> Exception:
        """The error itself, or a sentence when memory ran out."""
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY):
            return LncaError(
                f"a picture of {width}x{height} pixels does not fit into the memory of {self.device}; "
                "say how much may be used with --max-memory, or restore it on a device with more"
            )
        return error

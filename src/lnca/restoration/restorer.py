"""A loaded model that restores whatever kind of picture it is given, and gives back the same kind."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, singledispatch
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from ..catalogue import locate
from ..errors import LncaError
from ..kernels.cpu import Precision
from ..kernels.select import Backend, OnCpu, accelerate
from ..nn.deblurring import Blur, Deblurrer
from ..nn.latent import LatentAutomaton
from ..nn.model import RestorationModel, SteppedModel
from ..nn.pyramid import PyramidAutomaton
from ..nn.weights_file import load_weights
from .axes import picture_by_picture
from .bands import Plan
from .deblurring import DeblurPlan, DeblurStreamer
from .kernel import Kernel, kernel_of
from .noise import NoiseLevel, level_map
from .notation import parse_bytes
from .pictures import Picture, Range, Rows
from .rolling import RollingPlan, RollingStreamer
from .streaming import Streamer

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


# What restores in bounded memory.
Streamers = Streamer | RollingStreamer | DeblurStreamer
# Those that are told how much noise there is.
LEVELLED = (RollingStreamer, DeblurStreamer)


@singledispatch
def _streamer(module: RestorationModel, backend: str, precision: Precision, device: torch.device) -> Streamers | None:
    """What restores in bounded memory, where the model and its backend can; a further kind of model registers its
    own."""
    return None


@_streamer.register
def _(module: Deblurrer, backend: str, precision: Precision, device: torch.device) -> DeblurStreamer:
    return DeblurStreamer(module, device, backend.startswith("fused"), precision)


@_streamer.register
def _(module: PyramidAutomaton, backend: str, precision: Precision, device: torch.device) -> RollingStreamer | None:
    return RollingStreamer(module, precision) if backend.startswith("fused") else None


@_streamer.register
def _(module: LatentAutomaton, backend: str, precision: Precision, device: torch.device) -> Streamer | None:
    if not isinstance(module.automaton.runner, OnCpu):
        return None
    try:
        return Streamer(module, module.automaton.runner.fused)
    except LncaError:
        return None


@lru_cache(1)
def loaded(model: Any) -> "Restorer":
    """The restorer of a model's name or weight file; the last one stays loaded."""
    return Restorer(model)


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
        takes_noise_level: whether the model is told how much noise there is.
        takes_kernel: whether it can be told the blur kernel.

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
        self.streamer = _streamer(self.module, self.backend, precision, self.device)
        self.takes_noise_level = self.module.takes_noise_level
        self.takes_kernel = self.module.takes_kernel

    @property
    def stepped(self) -> SteppedModel:
        """The module, if it is one that works step by step; raises `LncaError` otherwise."""
        if not isinstance(self.module, SteppedModel):
            raise LncaError(f"{self.info.name} restores in one go, it has no steps")
        return self.module

    def noise_levels(
        self, picture: Picture, noise_level: NoiseLevel = "auto", noise_scale: float = 1.0, **values: Any
    ) -> np.ndarray:
        """The standard deviations of brightness and colour noise that `restore` takes, in 255ths: float32
        (ceil(H / 8), ceil(W / 8), 2), a pair for each cell of 8x8 pixels, the mean of several pictures.

        Args:
            picture, noise_level, noise_scale, values: see `restore`.

        Raises:
            LncaError: as `restore`; a model that takes no noise level.
        """
        if not self.takes_noise_level:
            raise LncaError(
                f"{self.info.name} is not told how much noise there is; noise levels are for models of photographs"
            )
        rows = self._rows(picture, noise_level=noise_level, **values)
        level = self._level(rows, noise_level, noise_scale)
        assert level is not None
        return level.mean(0).permute(1, 2, 0).cpu().numpy()

    def blur(self, picture: Picture, noise_level: NoiseLevel = "auto", noise_scale: float = 1.0, **values: Any) -> Blur:
        """The blur that `restore` finds in a picture, and takes as its `kernel`, so that it is looked for once;
        `as_array` gives the kernel: float32 (K, K), not negative, of sum 1, its centre of gravity in the middle.

        Args:
            picture, noise_level, noise_scale, values: see `restore`.

        Raises:
            LncaError: as `restore`; a model that takes no kernel, several pictures.
        """
        if not isinstance(self.streamer, DeblurStreamer):
            raise LncaError(f"{self.info.name} takes no blur kernel; kernels are for photo-deblur")
        rows = self._rows(picture, noise_level=noise_level, **values)
        if rows.batch != 1:
            raise LncaError(f"a blur is found in one picture, got {rows.batch}")
        return self._blurs(self.streamer, rows, noise_level, noise_scale, None)[0]

    def restore(
        self, picture: Picture, steps: int | Literal["auto"] | None = None, max_memory: str | int | None = None,
        strength: float = 1.0, mask: np.ndarray | None = None, *, noise_level: NoiseLevel = "auto",
        noise_scale: float = 1.0, luma: float = 1.0, chroma: float = 1.0, data_range: float | None = None,
        clip: bool = False, kernel: Kernel | Blur = "auto", channel_axis: int | Literal["auto"] | None = "auto",
        progress: Callable[[float], None] | None = None,
    ) -> Picture:  # fmt: skip
        """The picture restored.

        Args:
            picture: a PIL image (grey stays grey, alpha passes through, a palette and CMYK become RGB); or an
                array (H, W), (H, W, 2) with alpha, (H, W, 3) or (H, W, 4), uint8, uint16 or floating point in [0, 1];
                or a floating-point tensor (B, 3, H, W), (3, H, W), or grey (B, 1, H, W) or (1, H, W), in [0, 1].
                Sides >= 8. Floating-point values may reach beyond [0, 1] where a noise level is told.
            steps: steps of the automaton; the model's own number when None; "auto" stops where cells have settled, as
                `settle` does.
            max_memory: bytes, or "2GB", that restoring may use beside the picture itself; the result is the same, to
                the bit. For models with fused kernels.
            strength: share of the restored picture in what comes out, 0 to 1.
            mask: where to restore: that share for each pixel, (H, W) in [0, 1], times `strength`; None is everywhere.
            noise_level: standard deviation of the noise in 255ths, as papers give sigma, 0 to 255: a number; or a map
                (H, W); or what `noise_levels` gives; "auto" lets the model estimate it. For models that take one.
            noise_scale: factor of the noise level, above 0: more than 1 restores more.
            luma, chroma: shares of the correction in brightness and in colour, 0 to 1, times `strength`.
            data_range: what white is among floating-point values whose black is 0; 1 when None.
            clip: clip floating-point values that lie outside [0, data_range].
            kernel: the blur kernel or point spread function, (K, L), not negative, of any sum and size, its middle
                being where nothing is moved; or what `blur` gives, with the noise level that it was found with; "auto"
                lets the model estimate it. For models that take one.
            channel_axis: of an array: which axis is that of the channels, or None for grey. The last two others are
                rows and columns, any before them count pictures, as in a stack (Z, H, W), which are restored one by
                one. Three channels are restored together, any other number as so many grey pictures; none is alpha.
                "auto" takes an array as `picture` says.
            progress: is called with the share of the picture that is restored, 0 to 1, after each band of rows; not
                with "auto" steps.

        Returns:
            The same kind, shape and data type.

        Raises:
            LncaError: another shape or type, NaN, values or a share outside [0, 1], a mask or map of another size, a
                noise level or kernel for a model that takes none, or a picture too large for the memory.
        """
        if channel_axis != "auto":
            return self._each(
                picture, channel_axis, progress, steps=steps, max_memory=max_memory, strength=strength, mask=mask,
                noise_level=noise_level, noise_scale=noise_scale, luma=luma, chroma=chroma, data_range=data_range,
                clip=clip, kernel=kernel,
            )  # fmt: skip
        rows = self._rows(
            picture, strength, mask, noise_level=noise_level, luma=luma, chroma=chroma, data_range=data_range, clip=clip
        )
        rows.progress = progress
        if steps == "auto":
            self._told_kernel(kernel, rows)
            return self._settled(rows, None, None, max_memory).picture
        return self._restored(rows, steps, max_memory, noise_level, noise_scale, kernel)

    def _each(
        self, picture: Any, channel_axis: int | None, progress: Callable[[float], None] | None, **options: Any
    ) -> Any:
        """`restore` of each picture in an array."""
        if not isinstance(picture, np.ndarray):
            raise LncaError(f"channel_axis is for numpy arrays, not for {type(picture).__name__}; leave it out")
        return picture_by_picture(
            picture, channel_axis, lambda part, say: self.restore(part, **options, progress=say), progress
        )

    def restore_together(
        self, pictures: Sequence[Picture], steps: int | None = None, max_memory: str | int | None = None,
        strength: float = 1.0, mask: np.ndarray | None = None, *, noise_level: NoiseLevel = "auto",
        noise_scale: float = 1.0, luma: float = 1.0, chroma: float = 1.0, kernel: Kernel | Blur = "auto",
    ) -> list[Picture]:  # fmt: skip
        """Several pictures of one size and depth, restored in one batch, which is quicker where they are small;
        otherwise as `restore`, with the fused kernels to the bit."""
        rows = self._rows(list(pictures), strength, mask, noise_level=noise_level, luma=luma, chroma=chroma)
        return self._restored(rows, steps, max_memory, noise_level, noise_scale, kernel)

    def _rows(
        self, picture: Any, strength: float = 1.0, mask: np.ndarray | None = None, *, noise_level: NoiseLevel = "auto",
        luma: float = 1.0, chroma: float = 1.0, data_range: float | None = None, clip: bool = False,
    ) -> Rows:  # fmt: skip
        told = self.takes_noise_level and not isinstance(noise_level, str)
        values = Range(data_range=data_range, clip=clip, open=told and not clip)
        return Rows(picture, strength, mask, luma=luma, chroma=chroma, values=values)

    def _level(self, rows: Rows, noise_level: NoiseLevel, noise_scale: float) -> torch.Tensor | None:
        """The map that the model is given, (B or 1, 2, rows of cells, columns of cells); None of models without."""
        if not self.takes_noise_level:
            if not (isinstance(noise_level, str) and noise_level == "auto") or noise_scale != 1:
                raise LncaError(f"{self.info.name} is not told how much noise there is; leave the noise level out")
            return None
        if not 0 < noise_scale <= 100:
            raise LncaError(f"the noise scale should lie above 0 and up to 100, got {noise_scale:g}")
        if isinstance(noise_level, str):
            if noise_level != "auto":
                raise LncaError(f"the noise level should be auto or a number from 0 to 255, got {noise_level!r}")
            if isinstance(self.streamer, LEVELLED):
                level = self.streamer.levels(rows)
            else:
                assert isinstance(self.module, PyramidAutomaton)
                with torch.no_grad():
                    level = self.module.estimator(self.module.pad(self._whole(rows)))
        else:
            level = level_map(noise_level, rows)
        return level * noise_scale

    def _whole(self, rows: Rows) -> torch.Tensor:
        return rows.read(0, rows.height, rows.width).permute(0, 3, 1, 2).contiguous().to(self.device)

    def _restored(
        self, rows: Rows, steps: int | None, max_memory: str | int | None, noise_level: NoiseLevel = "auto",
        noise_scale: float = 1.0, kernel: Kernel | Blur = "auto",
    ) -> Any:  # fmt: skip
        steps, told = self._checked(steps), self._told_kernel(kernel, rows)
        try:
            if isinstance(self.streamer, DeblurStreamer):
                shape = told.kernel.shape if isinstance(told, Blur) else (0,) if told is None else told.shape
                self.streamer.plan(rows, _bytes(max_memory), kernel=max(shape))
                return self.streamer.restore(
                    rows, steps, self._blurs(self.streamer, rows, noise_level, noise_scale, told)
                )
            if isinstance(self.streamer, RollingStreamer):
                plan = self.streamer.plan(rows, _bytes(max_memory))
                level = self._level(rows, noise_level, noise_scale)
                assert level is not None
                return self.streamer.restore(rows, steps, plan, level)
            level = self._level(rows, noise_level, noise_scale)
            if self.streamer is not None:
                return self.streamer.restore(rows, steps, self.streamer.plan(rows, _bytes(max_memory)))
            if max_memory is not None:
                raise LncaError("a limit of memory needs a latent model and the fused kernels, on the CPU")
            x = self._whole(rows)
            with torch.no_grad():
                if level is not None:
                    assert isinstance(self.module, PyramidAutomaton)
                    restored = self.module(x, steps, noise_level=level.to(self.device))
                else:
                    restored = self.module(x) if steps is None else self.stepped(x, steps)
        except (RuntimeError, MemoryError) as error:
            raise self._explained(error, rows.width, rows.height) from error
        room = rows.empty()
        rows.write(room, 0, restored.permute(0, 2, 3, 1).cpu())
        return rows.finish(room)

    def _told_kernel(self, kernel: Kernel | Blur, rows: Rows) -> torch.Tensor | Blur | None:
        """What is told of the blur: a kernel of sum 1, or all of it; None where the model finds it, or takes none."""
        told = kernel if isinstance(kernel, Blur) else kernel_of(kernel, rows.height, rows.width)
        if told is not None and not self.takes_kernel:
            raise LncaError(f"{self.info.name} takes no blur kernel; kernels are for photo-deblur")
        if isinstance(told, Blur) and rows.batch != 1:
            raise LncaError(f"a blur that was found is of one picture, got {rows.batch}")
        return told

    def _blurs(
        self, streamer: DeblurStreamer, rows: Rows, noise_level: NoiseLevel, noise_scale: float,
        told: torch.Tensor | Blur | None,
    ) -> list[Blur]:  # fmt: skip
        """What is known of each picture's blur."""
        if isinstance(told, Blur):
            return [told]
        level = self._level(rows, noise_level, noise_scale)
        assert level is not None
        return streamer.blurs(rows, level, told)

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
        return self._settled(self._rows(picture, strength, mask), steps, tolerance, max_memory)

    def _settled(
        self, rows: Rows, steps: int | None, tolerance: float | None, max_memory: str | int | None
    ) -> Settled:  # fmt: skip
        steps = self._checked(steps)
        if isinstance(self.streamer, LEVELLED):
            raise LncaError(
                f"all cells of {self.info.name} take every step; steps that end where cells settle are for others"
            )
        if self.streamer is None:
            raise LncaError("steps that end where cells settle need a latent model and the fused kernels, on the CPU")
        tolerance = SETTLED[self.streamer.run.precision] if tolerance is None else tolerance
        if not tolerance >= 0:
            raise LncaError(f"the tolerance must be 0 or more, got {tolerance:g}")
        try:
            plan = self.streamer.plan(rows, _bytes(max_memory), settle=True)
            return Settled(*self.streamer.settle(rows, tolerance, steps, plan))
        except (RuntimeError, MemoryError) as error:
            raise self._explained(error, rows.width, rows.height) from error

    @torch.no_grad()
    def iterate(
        self, picture: Picture, steps: int | None = None, strength: float = 1.0, mask: np.ndarray | None = None, *,
        noise_level: NoiseLevel = "auto", noise_scale: float = 1.0, luma: float = 1.0, chroma: float = 1.0,
        kernel: Kernel | Blur = "auto",
    ) -> Iterator[Picture]:  # fmt: skip
        """Yields the picture as it is decoded after 0, 1, ..., `steps` steps; otherwise as `restore`."""
        steps = self._checked(steps)
        rows = self._rows(picture, strength, mask, noise_level=noise_level, luma=luma, chroma=chroma)
        count, told = self.stepped.steps if steps is None else steps, self._told_kernel(kernel, rows)
        if isinstance(self.streamer, DeblurStreamer):
            blurs = self._blurs(self.streamer, rows, noise_level, noise_scale, told)
            yield from self.streamer.frames(rows, count, blurs)
            return
        level = self._level(rows, noise_level, noise_scale)
        if isinstance(self.streamer, RollingStreamer):
            assert level is not None
            yield from self.streamer.frames(rows, count, level)
            return
        if self.streamer is not None:
            yield from self.streamer.frames(rows, count)
            return
        x = self._whole(rows)
        if level is not None:
            assert isinstance(self.module, PyramidAutomaton)
            frames = self.module.frames(x, count, noise_level=level.to(self.device))
        else:
            frames = self.stepped.frames(x, count)
        for frame in frames:
            room = rows.empty()
            rows.write(room, 0, frame.permute(0, 2, 3, 1).cpu())
            yield rows.finish(room)

    def plan(
        self, picture: Rows, max_memory: str | int | None = None, settle: bool = False
    ) -> Plan | RollingPlan | DeblurPlan:
        """How `restore` or `settle` goes about a picture; raises `LncaError` when it does not fit into `max_memory`."""
        if self.streamer is None:
            raise LncaError("a plan needs a latent model and the fused kernels, on the CPU")
        return self.streamer.plan(picture, _bytes(max_memory), settle)

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


def _bytes(max_memory: str | int | None) -> int | None:
    return parse_bytes(max_memory) if isinstance(max_memory, str) else max_memory

"""A loaded model that restores pictures of several types, and returns the type of the input."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache, singledispatch
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from ..catalogue import ModelInfo, locate
from ..errors import HOW_TO_GET_TORCH, LncaError
from ..runtime.blur import Blur
from ..runtime.engine import Numpy, engine_of
from ..runtime.models import Deblurring, Latent, Model, Pyramid, load
from ..runtime.native import Backend, NoKernelError, Precision
from .axes import picture_by_picture
from .devices import device_named
from .kernel import Kernel, kernel_of
from .noise import NoiseLevel, level_map
from .notation import parse_bytes
from .pictures import Picture, Range, Rows
from .streamer import AnyPlan, Request, Streamer

if TYPE_CHECKING:
    from ..nn.model import RestorationModel, SteppedModel

MOST_STEPS = 10_000
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@singledispatch
def streamer_of(model: Model) -> Streamer:
    """The streamer for a model; other kinds of models register their own."""
    raise NotImplementedError


@streamer_of.register
def _(model: Latent) -> Streamer:
    from .latent import LatentStreamer

    return LatentStreamer(model)


@streamer_of.register
def _(model: Pyramid) -> Streamer:
    from .pyramid import PyramidStreamer

    return PyramidStreamer(model)


@streamer_of.register
def _(model: Deblurring) -> Streamer:
    from .deblurring import DeblurStreamer
    from .pyramid import PyramidStreamer

    return DeblurStreamer(PyramidStreamer(model.cells), model.steps)


@lru_cache(1)
def loaded(model: Any) -> "Restorer":
    """The restorer for a model's name or weight file; the last one stays loaded."""
    return Restorer(model)


class Settled(NamedTuple):
    """A picture that was restored until its cells settled, the steps of each cell, int32 (B, rows, columns), and the
    side of a cell in pixels."""

    picture: Any
    steps: np.ndarray
    side: int


class Restorer:
    """A trained model, ready to restore.

    Args:
        name_or_path: a name from `lnca.models()`, or a weight file.
        device: "auto", "cpu", "cuda" or "mps".
        backend: "auto", "plain", "compiled" or "fused"; see `lnca.load`.
        precision: precision of fused and compiled steps, "float32" or "bfloat16".

    Attributes:
        backend: implementation of its steps, such as "fused avx512 float32".
        device: its device, such as "cpu" or "cuda:0".
        streamer: restores pictures, on the CPU in bounded memory.
        info: its `ModelInfo`, with the card.
        steps: the model's own number of steps; None for models without steps.
        takes_noise_level: whether the model takes a noise level.
        takes_kernel: whether the model takes a blur kernel.

    Raises:
        LncaError: the model, device or backend does not exist, or the weight file cannot be used.
    """

    def __init__(
        self, name_or_path: Any, device: str = "auto", backend: Backend = "auto", precision: Precision = "float32"
    ):
        for kind, value, known in (("backend", backend, Backend), ("precision", precision, Precision)):
            if value not in get_args(known):
                raise LncaError(f"no {kind} {value!r}; choose {', '.join(get_args(known))}")
        self.device, self._path = device_named(device), locate(name_or_path)
        self._way: tuple[Backend, Precision] = (backend, precision)
        self.streamer, self.backend, self.info = self._found()
        self.steps = self.streamer.steps
        self.takes_noise_level = self.streamer.takes_noise_level
        self.takes_kernel = self.streamer.takes_kernel

    def _found(self) -> tuple[Streamer, str, ModelInfo]:
        """The streamer, the name of its backend, and the model's information from the weight file."""
        backend, precision = self._way
        if self.device == "cpu" and backend != "compiled":
            model, name, info = _without_torch(self._path, backend, precision)
            if model is not None:
                return streamer_of(model), name, info
        if find_spec("torch") is None:
            what = f"backend {backend}" if backend == "compiled" else self._path.stem
            raise LncaError(f"{what} needs PyTorch: {HOW_TO_GET_TORCH}")
        from ..nn.weights_file import load_weights
        from .modules import accelerated, by_module

        module, info = load_weights(self._path)
        module, name = accelerated(module, self.device, backend, precision)
        self.__dict__["module"] = module
        return by_module(module), name, info

    @cached_property
    def module(self) -> "RestorationModel":
        """The model as a `torch.nn.Module` in evaluation mode, on the device. Changes of the module do not affect this
        restorer.

        Raises:
            LncaError: PyTorch is not installed.
        """
        if find_spec("torch") is None:
            raise LncaError(f"modules need PyTorch: {HOW_TO_GET_TORCH}")
        from ..nn.weights_file import load_weights
        from .modules import accelerated

        backend, precision = self._way
        # Modules with dense convolutions have no fused steps.
        way: tuple[Backend, Precision] = ("plain", "float32") if self.takes_noise_level else (backend, precision)
        return accelerated(load_weights(self._path)[0], self.device, *way)[0]

    @property
    def stepped(self) -> "SteppedModel":
        """The module, if it works step by step; raises `LncaError` otherwise."""
        from ..nn.model import SteppedModel

        self._own_steps()
        assert isinstance(self.module, SteppedModel)
        return self.module

    def _own_steps(self) -> int:
        if self.steps is None:
            raise LncaError(f"{self.info.name} restores in one go, it has no steps")
        return self.steps

    def noise_levels(
        self, picture: Picture, noise_level: NoiseLevel = "auto", noise_scale: float = 1.0, **values: Any
    ) -> np.ndarray:
        """The standard deviations of brightness and colour noise that `restore` would use, in 255ths: float32
        (ceil(H / 8), ceil(W / 8), 2), a pair for each cell of 8x8 pixels; for several pictures their mean.

        Args:
            picture, noise_level, noise_scale, values: see `restore`.

        Raises:
            LncaError: see `restore`; or the model takes no noise level.
        """
        if not self.takes_noise_level:
            raise LncaError(
                f"{self.info.name} is not told how much noise there is; noise levels are for models of photographs"
            )
        rows = self._rows(picture, noise_level=noise_level, **values)
        self._check_level(noise_level, noise_scale)
        return np.ascontiguousarray(self._level(rows, noise_level, noise_scale).mean(0).transpose(1, 2, 0))

    def blur(self, picture: Picture, noise_level: NoiseLevel = "auto", noise_scale: float = 1.0, **values: Any) -> Blur:
        """Estimates the blur of a picture. `restore` accepts it as `kernel`, so it need not be estimated again.
        `as_array` gives the kernel: float32 (K, K), not negative, with a sum of 1 and its centre of gravity in the
        middle.

        Args:
            picture, noise_level, noise_scale, values: see `restore`.

        Raises:
            LncaError: see `restore`; or the model takes no kernel, or there are several pictures.
        """
        if not self.takes_kernel:
            raise LncaError(f"{self.info.name} takes no blur kernel; kernels are for photo-deblur")
        rows = self._rows(picture, noise_level=noise_level, **values)
        if rows.batch != 1:
            raise LncaError(f"a blur is found in one picture, got {rows.batch}")
        self._check_level(noise_level, noise_scale)
        return self.streamer.blurs(rows, self._level(rows, noise_level, noise_scale))[0]

    def restore(
        self,
        picture: Picture,
        steps: int | Literal["auto"] | None = None,
        max_memory: str | int | None = None,
        strength: float = 1.0,
        mask: np.ndarray | None = None,
        *,
        noise_level: NoiseLevel = "auto",
        noise_scale: float = 1.0,
        luma: float = 1.0,
        chroma: float = 1.0,
        data_range: float | None = None,
        clip: bool = False,
        kernel: Kernel | Blur = "auto",
        channel_axis: int | Literal["auto"] | None = "auto",
        progress: Callable[[float], None] | None = None,
    ) -> Picture:
        """Restores a picture.

        Args:
            picture: a PIL image (grey stays grey, alpha is copied, a palette and CMYK become RGB); or an
                array (H, W), (H, W, 2) with alpha, (H, W, 3) or (H, W, 4), uint8, uint16 or floating point in [0, 1];
                or a floating-point tensor (B, 3, H, W), (3, H, W), or grey (B, 1, H, W) or (1, H, W), in [0, 1].
                Sides >= 8. With a given noise level, floating-point values may lie beyond [0, 1].
            steps: steps of the automaton; the model's own number if None; "auto" skips cells that have settled, like
                `settle`.
            max_memory: memory limit beside the picture itself, in bytes or as "2GB"; the result is the same to the bit.
                Only on the CPU, and not for models that only torch supports.
            strength: share of the restored picture in the output, 0 to 1.
            mask: that share for each pixel, (H, W) in [0, 1], times `strength`; None restores everywhere.
            noise_level: standard deviation of the noise in 255ths, as papers give sigma, 0 to 255: a number, a map
                (H, W), or the result of `noise_levels`; "auto" lets the model estimate it. Only for models with a
                noise level.
            noise_scale: factor of the noise level, above 0; a factor above 1 restores more.
            luma, chroma: shares of the correction in brightness and in colour, 0 to 1, times `strength`.
            data_range: value of white in floating-point pictures, whose black is 0; 1 if None.
            clip: clip floating-point values that lie outside [0, data_range].
            kernel: the blur kernel or point spread function, (K, L), not negative, of any sum and size; its middle
                means no shift. Or the result of `blur`, with the same noise level. "auto" lets the model estimate it.
                Only for models with a kernel.
            channel_axis: for arrays, the axis of the channels, or None for grey. The last two other axes are rows and
                columns. Axes before them count pictures, as in a stack (Z, H, W); these are restored one by one.
                Three channels are restored together, any other number as grey pictures; none is alpha. "auto" reads
                an array as described under `picture`.
            progress: called with the finished share, 0 to 1, after each band of rows; not with "auto" steps.

        Returns:
            The restored picture with the type, shape and data type of the input.

        Raises:
            LncaError: the shape or type is wrong; values are NaN; values or a share lie outside [0, 1]; a mask or map
                has another size; the model takes no noise level or kernel; or the picture is too large for the memory.
        """
        if channel_axis != "auto":
            return self._each(
                picture,
                channel_axis,
                progress,
                steps=steps,
                max_memory=max_memory,
                strength=strength,
                mask=mask,
                noise_level=noise_level,
                noise_scale=noise_scale,
                luma=luma,
                chroma=chroma,
                data_range=data_range,
                clip=clip,
                kernel=kernel,
            )
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
        """Restores each picture in an array."""
        if not isinstance(picture, np.ndarray):
            raise LncaError(f"channel_axis is for numpy arrays, not for {type(picture).__name__}; leave it out")
        return picture_by_picture(
            picture, channel_axis, lambda part, say: self.restore(part, **options, progress=say), progress
        )

    def restore_together(
        self,
        pictures: Sequence[Picture],
        steps: int | None = None,
        max_memory: str | int | None = None,
        strength: float = 1.0,
        mask: np.ndarray | None = None,
        *,
        noise_level: NoiseLevel = "auto",
        noise_scale: float = 1.0,
        luma: float = 1.0,
        chroma: float = 1.0,
        kernel: Kernel | Blur = "auto",
    ) -> list[Picture]:
        """Restores several pictures with one size and depth in one batch, which is faster if they are small. The
        results are those of `restore`, with the fused kernels to the bit."""
        rows = self._rows(list(pictures), strength, mask, noise_level=noise_level, luma=luma, chroma=chroma)
        return self._restored(rows, steps, max_memory, noise_level, noise_scale, kernel)

    def _rows(
        self,
        picture: Any,
        strength: float = 1.0,
        mask: np.ndarray | None = None,
        *,
        noise_level: NoiseLevel = "auto",
        luma: float = 1.0,
        chroma: float = 1.0,
        data_range: float | None = None,
        clip: bool = False,
    ) -> Rows:
        told = self.takes_noise_level and not isinstance(noise_level, str)
        values = Range(data_range=data_range, clip=clip, open=told and not clip)
        return Rows(picture, strength, mask, luma=luma, chroma=chroma, values=values)

    def _level(self, rows: Rows, noise_level: NoiseLevel, noise_scale: float) -> np.ndarray:
        """The map of noise levels for the model, (B or 1, 2, rows of cells, columns of cells)."""
        level = self.streamer.levels(rows) if isinstance(noise_level, str) else level_map(noise_level, rows)
        return level * np.float32(noise_scale)

    def _check_level(self, noise_level: NoiseLevel, noise_scale: float) -> None:
        """Raises `LncaError` for an invalid level or scale, or if the model takes none."""
        automatic = isinstance(noise_level, str) and noise_level == "auto"
        if not self.takes_noise_level and not (automatic and noise_scale == 1):
            raise LncaError(f"{self.info.name} is not told how much noise there is; leave the noise level out")
        if not 0 < noise_scale <= 100:
            raise LncaError(f"the noise scale should lie above 0 and up to 100, got {noise_scale:g}")
        if isinstance(noise_level, str) and not automatic:
            raise LncaError(f"the noise level should be auto or a number from 0 to 255, got {noise_level!r}")

    def _request(
        self,
        rows: Rows,
        steps: int | None,
        max_memory: str | int | None,
        noise_level: NoiseLevel,
        noise_scale: float,
        kernel: Kernel | Blur,
    ) -> Request:
        """The checked request."""
        if steps is not None:
            self._own_steps()
        self._check_level(noise_level, noise_scale)
        return Request(
            steps=self._checked(steps),
            max_memory=_bytes(max_memory),
            kernel=self._told_kernel(kernel, rows),
            levels=lambda: self._level(rows, noise_level, noise_scale),
        )

    def _restored(
        self,
        rows: Rows,
        steps: int | None,
        max_memory: str | int | None,
        noise_level: NoiseLevel = "auto",
        noise_scale: float = 1.0,
        kernel: Kernel | Blur = "auto",
    ) -> Any:
        request = self._request(rows, steps, max_memory, noise_level, noise_scale, kernel)
        try:
            return self.streamer.restored(rows, request)
        except (RuntimeError, MemoryError) as error:
            raise self._explained(error, rows.width, rows.height) from error

    def _told_kernel(self, kernel: Kernel | Blur, rows: Rows) -> np.ndarray | Blur | None:
        """The given kernel with a sum of 1, or a complete blur; None if the model estimates it or takes none."""
        told = kernel if isinstance(kernel, Blur) else kernel_of(kernel, rows.height, rows.width)
        if told is not None and not self.takes_kernel:
            raise LncaError(f"{self.info.name} takes no blur kernel; kernels are for photo-deblur")
        if isinstance(told, Blur) and rows.batch != 1:
            raise LncaError(f"a blur that was found is of one picture, got {rows.batch}")
        return told

    def settle(
        self,
        picture: Picture,
        steps: int | None = None,
        tolerance: float | None = None,
        max_memory: str | int | None = None,
        strength: float = 1.0,
        mask: np.ndarray | None = None,
    ) -> Settled:
        """Restores a picture and skips cells that have settled: cells that, like all their neighbours, changed by at
        most `tolerance` in their last step. Only for latent models with the fused kernels.

        Args:
            picture, max_memory, strength, mask: see `restore`.
            steps: largest number of steps; the model's own number (64) if None.
            tolerance: largest change in the cells' channels, whose values lie between about -10 and 10; 0 gives the
                picture of `restore`, to the bit; None means 0.01, or 0.03 in bfloat16, where rounding keeps cells
                changing.

        Raises:
            LncaError: see `restore`; or the tolerance is negative, or the model or backend does not support settling.
        """
        return self._settled(self._rows(picture, strength, mask), steps, tolerance, max_memory)

    def _settled(self, rows: Rows, steps: int | None, tolerance: float | None, max_memory: str | int | None) -> Settled:
        steps = self._checked(steps)
        if self.takes_noise_level:
            raise LncaError(
                f"all cells of {self.info.name} take every step; steps that end where cells settle are for others"
            )
        try:
            picture, taken = self.streamer.settle(rows, tolerance, steps, _bytes(max_memory))
            return Settled(picture, taken, self.streamer.side)
        except (RuntimeError, MemoryError) as error:
            raise self._explained(error, rows.width, rows.height) from error

    def iterate(
        self,
        picture: Picture,
        steps: int | None = None,
        strength: float = 1.0,
        mask: np.ndarray | None = None,
        *,
        noise_level: NoiseLevel = "auto",
        noise_scale: float = 1.0,
        luma: float = 1.0,
        chroma: float = 1.0,
        kernel: Kernel | Blur = "auto",
    ) -> Iterator[Picture]:
        """Yields the decoded picture after 0, 1, ..., `steps` steps; for the arguments see `restore`."""
        steps = self._own_steps() if steps is None else self._checked(steps)
        rows = self._rows(picture, strength, mask, noise_level=noise_level, luma=luma, chroma=chroma)
        yield from self.streamer.states(rows, self._request(rows, steps, None, noise_level, noise_scale, kernel))

    def plan(self, picture: Rows, max_memory: str | int | None = None, settle: bool = False) -> AnyPlan:
        """The plan of `restore` or `settle` for a picture; raises `LncaError` if it does not fit into `max_memory`."""
        return self.streamer.plan(picture, _bytes(max_memory), settle)

    def _checked(self, steps: int | None) -> int | None:
        if steps is not None and not 0 <= steps <= MOST_STEPS:
            raise LncaError(f"steps must be 0 or more and {MOST_STEPS} at most, got {str(steps)[:20]}")
        return steps

    def _explained(self, error: RuntimeError | MemoryError, width: int, height: int) -> Exception:
        """The error itself, or a clear message if there was not enough memory."""
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY):
            return LncaError(
                f"a picture of {width}x{height} pixels does not fit into the memory of {self.device}; "
                "say how much may be used with --max-memory, or restore it on a device with more"
            )
        return error


def _without_torch(path: Path, backend: Backend, precision: Precision) -> tuple[Model | None, str, ModelInfo]:
    """The model for inference, its backend, and its information; None for an architecture that only torch supports."""
    engine = engine_of(backend, precision)
    try:
        model, info = load(path, engine)
    except NoKernelError:
        if backend == "fused" or precision == "bfloat16":
            raise
        engine = Numpy()
        model, info = load(path, engine)
    return model, engine.name, info


def _bytes(max_memory: str | int | None) -> int | None:
    return parse_bytes(max_memory) if isinstance(max_memory, str) else max_memory

"""A loaded model that restores whatever kind of picture it is given, and gives back the same kind."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache, singledispatch
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from ..catalogue import ModelInfo, locate
from ..errors import HOW_TO_GET_TORCH, LncaError
from ..runtime.deblurring import Blur
from ..runtime.engine import Numpy, engine_of
from ..runtime.models import Deblurring, Latent, Model, Pyramid, load
from ..runtime.native import Backend, NoKernelError, Precision
from .axes import picture_by_picture
from .deblurring import DeblurStreamer
from .devices import device_named
from .kernel import Kernel, kernel_of
from .latent import LatentStreamer
from .noise import NoiseLevel, level_map
from .notation import parse_bytes
from .pictures import Picture, Range, Rows
from .pyramid import PyramidStreamer
from .streamer import AnyPlan, Request, Streamer

if TYPE_CHECKING:
    from ..nn.model import RestorationModel, SteppedModel

MOST_STEPS = 10_000
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@singledispatch
def streamer_of(model: Model) -> Streamer:
    """What restores pictures with a model; a further kind registers its own."""
    raise NotImplementedError


@streamer_of.register
def _(model: Latent) -> LatentStreamer:
    return LatentStreamer(model)


@streamer_of.register
def _(model: Pyramid) -> PyramidStreamer:
    return PyramidStreamer(model)


@streamer_of.register
def _(model: Deblurring) -> DeblurStreamer:
    return DeblurStreamer(PyramidStreamer(model.cells), model.steps)


@lru_cache(1)
def loaded(model: Any) -> "Restorer":
    """The restorer of a model's name or weight file; the last one stays loaded."""
    return Restorer(model)


class Settled(NamedTuple):
    """A picture restored until its cells settled, the steps that each cell took, int32 (B, rows, columns), and how many
    pixels a cell's side has."""

    picture: Any
    steps: np.ndarray
    side: int


class Restorer:
    """A trained model, ready to restore.

    Args:
        name_or_path: a name from `lnca.models()`, or a weight file.
        device: "auto", "cpu", "cuda" or "mps".
        backend: "auto", "plain", "compiled" or "fused"; see `lnca.load`.
        precision: "float32" or "bfloat16", of fused and compiled steps.

    Attributes:
        backend: how its steps are run, such as "fused avx512 float32".
        device: where, such as "cpu" or "cuda:0".
        streamer: restores pictures, on the CPU in bounded memory.
        info: its `ModelInfo`, with the card.
        steps: the model's own number; None of a model without steps.
        takes_noise_level: whether the model is told how much noise there is.
        takes_kernel: whether it can be told the blur kernel.

    Raises:
        LncaError: no such model, device or backend, or a weight file that cannot be used.
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
        """What restores, its name, and what the weight file says."""
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
        """The model as a `torch.nn.Module`, in evaluation mode, on the device; what is changed in it changes nothing
        here.

        Raises:
            LncaError: PyTorch is not installed.
        """
        if find_spec("torch") is None:
            raise LncaError(f"modules need PyTorch: {HOW_TO_GET_TORCH}")
        from ..nn.weights_file import load_weights
        from .modules import accelerated

        backend, precision = self._way
        # Models of dense convolutions have no fused steps as modules.
        way: tuple[Backend, Precision] = ("plain", "float32") if self.takes_noise_level else (backend, precision)
        return accelerated(load_weights(self._path)[0], self.device, *way)[0]

    @property
    def stepped(self) -> "SteppedModel":
        """The module, if it is one that works step by step; raises `LncaError` otherwise."""
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
        self._check_level(noise_level, noise_scale)
        return np.ascontiguousarray(self._level(rows, noise_level, noise_scale).mean(0).transpose(1, 2, 0))

    def blur(self, picture: Picture, noise_level: NoiseLevel = "auto", noise_scale: float = 1.0, **values: Any) -> Blur:
        """The blur that `restore` finds in a picture, and takes as its `kernel`, so that it is looked for once;
        `as_array` gives the kernel: float32 (K, K), not negative, of sum 1, its centre of gravity in the middle.

        Args:
            picture, noise_level, noise_scale, values: see `restore`.

        Raises:
            LncaError: as `restore`; a model that takes no kernel, several pictures.
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
        """The picture restored.

        Args:
            picture: a PIL image (grey stays grey, alpha passes through, a palette and CMYK become RGB); or an
                array (H, W), (H, W, 2) with alpha, (H, W, 3) or (H, W, 4), uint8, uint16 or floating point in [0, 1];
                or a floating-point tensor (B, 3, H, W), (3, H, W), or grey (B, 1, H, W) or (1, H, W), in [0, 1].
                Sides >= 8. Floating-point values may reach beyond [0, 1] where a noise level is told.
            steps: steps of the automaton; the model's own number when None; "auto" stops where cells have settled, as
                `settle` does.
            max_memory: bytes, or "2GB", that restoring may use beside the picture itself; the result is the same, to
                the bit. On the processor, for models that are not run by torch alone.
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
        """`restore` of each picture in an array."""
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
        """Several pictures of one size and depth, restored in one batch, which is quicker where they are small;
        otherwise as `restore`, with the fused kernels to the bit."""
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
        """The map that the model is given, (B or 1, 2, rows of cells, columns of cells)."""
        level = self.streamer.levels(rows) if isinstance(noise_level, str) else level_map(noise_level, rows)
        return level * np.float32(noise_scale)

    def _check_level(self, noise_level: NoiseLevel, noise_scale: float) -> None:
        """Raises `LncaError` for what cannot be a level or scale, and for either where the model takes none."""
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
        """What is asked for, checked."""
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
        """What is told of the blur: a kernel of sum 1, or all of it; None where the model finds it, or takes none."""
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
        """Yields the picture as it is decoded after 0, 1, ..., `steps` steps; otherwise as `restore`."""
        steps = self._own_steps() if steps is None else self._checked(steps)
        rows = self._rows(picture, strength, mask, noise_level=noise_level, luma=luma, chroma=chroma)
        yield from self.streamer.states(rows, self._request(rows, steps, None, noise_level, noise_scale, kernel))

    def plan(self, picture: Rows, max_memory: str | int | None = None, settle: bool = False) -> AnyPlan:
        """How `restore` or `settle` goes about a picture; raises `LncaError` when it does not fit into `max_memory`."""
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


def _without_torch(path: Path, backend: Backend, precision: Precision) -> tuple[Model | None, str, ModelInfo]:
    """A model as it is run here, how, and what its weight file says; None for an architecture of torch alone."""
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

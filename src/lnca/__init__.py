"""Restores images with latent neural cellular automata.

    >>> import lnca
    >>> clean = lnca.restore(noisy)  # a PIL image, an array (H, W, 3), a tensor (B, 3, H, W) or a file
    >>> model = lnca.load("lnca-denoise")  # another model, to restore many pictures
    >>> for picture in model.iterate(noisy): ...  # step by step

Restoring only needs numpy; torch is imported for GPUs, training and modules.
"""

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .catalogue import DEFAULT_MODEL, ModelInfo, models
from .errors import LncaError
from .version import __version__ as __version__

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from PIL import Image
    from torch import Tensor

    from .nn.model import RestorationModel
    from .restoration.kernel import Kernel
    from .restoration.noise import NoiseLevel
    from .restoration.restorer import Restorer
    from .runtime.deblurring import Blur
    from .runtime.native import Backend, Precision

# The result has the type of the input.
PictureT = TypeVar("PictureT", "Image.Image", "np.ndarray", "Tensor")

__all__ = ["LncaError", "ModelInfo", "build", "deblur", "denoise", "from_pretrained", "load", "models", "restore"]


def load(
    name_or_path: Any, device: str = "auto", backend: "Backend" = "auto", precision: "Precision" = "float32"
) -> "Restorer":
    """Loads a trained model; its `restore` takes PIL images, arrays and tensors, see
    `lnca.restoration.restorer.Restorer`.

    Args:
        name_or_path: a name from `models()`, or a weight file.
        device: "auto", "cpu", "cuda" or "mps".
        backend: "plain" is numpy on a CPU and plain torch elsewhere, "compiled" is torch.compile, "fused" means the
            fast kernels, "auto" is the fastest one without compiling.
        precision: "float32", or "bfloat16" for the fused kernels of a CPU that supports it.

    Raises:
        LncaError: the model, device or backend does not exist, or the weight file is damaged.
    """
    from .restoration.restorer import Restorer

    return Restorer(name_or_path, device, backend, precision)


@overload
def restore(
    picture: "str | PathLike[str]",
    *,
    output: "str | PathLike[str] | None" = None,
    overwrite: bool = False,
    model: Any = DEFAULT_MODEL,
    steps: "int | Literal['auto'] | None" = None,
    strength: float = 1.0,
    mask: "str | PathLike[str] | np.ndarray | None" = None,
    noise_level: "NoiseLevel" = "auto",
    noise_scale: float = 1.0,
    luma: float = 1.0,
    chroma: float = 1.0,
    kernel: "str | PathLike[str] | Kernel" = "auto",
    max_memory: str | int | None = None,
    progress: Callable[[float], None] | None = None,
) -> "Path": ...


@overload
def restore(
    picture: PictureT,
    *,
    model: Any = DEFAULT_MODEL,
    steps: "int | Literal['auto'] | None" = None,
    strength: float = 1.0,
    mask: "np.ndarray | None" = None,
    noise_level: "NoiseLevel" = "auto",
    noise_scale: float = 1.0,
    luma: float = 1.0,
    chroma: float = 1.0,
    kernel: "Kernel | Blur" = "auto",
    data_range: float | None = None,
    clip: bool = False,
    channel_axis: "int | Literal['auto'] | None" = "auto",
    max_memory: str | int | None = None,
    progress: Callable[[float], None] | None = None,
) -> PictureT: ...


def restore(
    picture: Any,
    *,
    model: Any = DEFAULT_MODEL,
    steps: "int | Literal['auto'] | None" = None,
    strength: float = 1.0,
    mask: Any = None,
    noise_level: "NoiseLevel" = "auto",
    noise_scale: float = 1.0,
    luma: float = 1.0,
    chroma: float = 1.0,
    kernel: Any = "auto",
    data_range: float | None = None,
    clip: bool = False,
    channel_axis: "int | Literal['auto'] | None" = "auto",
    max_memory: str | int | None = None,
    progress: Callable[[float], None] | None = None,
    output: Any = None,
    overwrite: bool = False,
) -> Any:
    """Restores a PIL image, an array, a tensor or a file; returns the type of the input.

    Args:
        picture: a PIL image; an array (H, W), (H, W, 2) with alpha, (H, W, 3) or (H, W, 4), uint8, uint16 or floating
            point in [0, 1]; a floating-point tensor (B, 3, H, W), (3, H, W), (B, 1, H, W) or (1, H, W) in [0, 1]; or
            the path of a picture file or film; the output file keeps its metadata. Sides >= 8.
        model: a name from `models()`, or a weight file; the last one stays loaded.
        steps: steps of the automaton; the model's own number if None; "auto" skips cells that have settled.
        strength: share of the restored picture in the output, 0 to 1.
        mask: that share for each pixel, (H, W) in [0, 1]; for files also a picture, white where to restore.
        noise_level: standard deviation of the noise in 255ths, 0 to 255, as papers give sigma: a number or a map
            (H, W); "auto" lets the model estimate it.
        noise_scale: factor of the noise level; a factor above 1 restores more.
        luma, chroma: shares of the correction in brightness and in colour, 0 to 1.
        kernel: for models that take one, the blur kernel (K, L), or the result of `Restorer.blur`; for files also a
            picture or .npy file of it; "auto" lets the model estimate it.
        data_range: value of white in floating-point pictures, whose black is 0; 1 if None.
        clip: clip floating-point values that lie outside [0, data_range].
        channel_axis: for arrays, the axis of the channels, or None for grey. The last two other axes are rows and
            columns; axes before them count pictures, as in a stack (Z, H, W).
        max_memory: memory limit beside the picture itself, in bytes or as "2GB"; the result is the same.
        progress: called with the finished share, 0 to 1.
        output: for files, the output file; None adds "-restored" to the name.
        overwrite: replace an existing output.

    Returns:
        The restored picture with the type, shape and data type of the input; for a file, the path of the output. A
        warning says what the output file could not keep.

    Raises:
        LncaError: the model does not exist, or a picture, a value or a file cannot be used.

    See Also:
        `lnca.restoration.restorer.Restorer.restore`, which explains each argument in more detail.
    """
    shared: dict[str, Any] = {"steps": steps, "strength": strength, "max_memory": max_memory}
    noise: dict[str, Any] = {"noise_scale": noise_scale, "luma": luma, "chroma": chroma}
    of_arrays: dict[str, Any] = {"data_range": data_range, "clip": clip, "channel_axis": channel_axis}
    if isinstance(picture, str | PathLike):
        told = {"data_range": data_range is not None, "clip": clip, "channel_axis": channel_axis != "auto"}
        for name, is_told in told.items():
            if is_told:
                raise LncaError(f"{name} is for arrays and tensors, not for files; leave it out")
        return _restored_file(picture, output, overwrite, model, noise_level, mask, kernel, progress, shared, noise)
    if output is not None or overwrite:
        raise LncaError("output and overwrite are for files; what is restored of a picture is given back")
    return _loaded(model).restore(
        picture, noise_level=noise_level, mask=mask, kernel=kernel, progress=progress, **shared, **noise, **of_arrays
    )


def _restored_file(
    picture: Any,
    output: Any,
    overwrite: bool,
    model: Any,
    noise_level: Any,
    mask: Any,
    kernel: Any,
    progress: Any,
    shared: dict[str, Any],
    noise: dict[str, Any],
) -> "Path":
    """`restore` for files."""
    import warnings
    from pathlib import Path

    from .restoration.batch import RestoreOptions, restore_path
    from .restoration.jobs import is_film
    from .restoration.notation import Noise

    def file_or_value(value: Any) -> Any:
        return Path(value) if isinstance(value, str | PathLike) else value

    options = RestoreOptions(
        str(model),
        mask=file_or_value(mask),
        kernel=None if isinstance(kernel, str) and kernel == "auto" else file_or_value(kernel),
        noise=Noise(level=noise_level, scale=noise["noise_scale"], luma=noise["luma"], chroma=noise["chroma"]),
        **shared,
    )
    source, there = Path(picture), file_or_value(output)
    if is_film(source) and source.is_file():
        from .restoration.film import film_output, restore_film

        record = restore_film(source, film_output(source, there, overwrite), options, progress)
        if record.error is not None:
            raise LncaError(record.error)
    else:
        record = restore_path(source, there, options, overwrite=overwrite, progress=progress)
    for note in record.notes:
        warnings.warn(f"{record.output}: {note}", stacklevel=3)
    return Path(record.output)


def denoise(image: Any, model: Any = DEFAULT_MODEL, **options: Any) -> Any:
    """Denoises an array like the functions of `skimage.restoration`: the result is floating point, and the array is
    grey unless `channel_axis` names an axis; see `lnca.adapters.scikit_image.denoise`.

    Raises:
        LncaError: the model does not exist, or the array is not an image.
    """
    from .adapters.scikit_image import denoise

    return denoise(image, model, **options)


def deblur(
    picture: Any, kernel: Any = "auto", *, return_kernel: bool = False, model: Any = "photo-deblur", **options: Any
) -> Any:
    """Removes the blur of a picture; returns the type of the input.

    Args:
        picture, kernel, options: see `lnca.restoration.restorer.Restorer.restore`; "auto" estimates the kernel.
        return_kernel: return (picture, kernel), with the estimated kernel, float32 (K, K), or the given one.
        model: a name from `models()`, or a weight file of a deblurrer; the last one stays loaded.

    Raises:
        LncaError: the model does not exist, or the picture or kernel cannot be used.
    """
    restorer = _loaded(model)
    if not return_kernel or not (isinstance(kernel, str) and kernel == "auto"):
        restored = restorer.restore(picture, kernel=kernel, **options)
        return (restored, kernel) if return_kernel else restored
    found = restorer.blur(picture, **{name: options[name] for name in _OF_BLUR if name in options})
    return restorer.restore(picture, kernel=found, **options), found.as_array()


# Options of `Restorer.restore` that affect the estimate of a blur.
_OF_BLUR = ("noise_level", "noise_scale", "data_range", "clip")


def from_pretrained(where: Any, revision: str | None = None, **options: Any) -> "Restorer":
    """Loads a trained model from the Hugging Face hub ("owner/name"), a folder, a weight file, or the package; see
    `lnca.hub.from_pretrained`.

    Raises:
        LncaError: the model does not exist, or the hub cannot be reached.
    """
    from .hub import from_pretrained

    return from_pretrained(where, revision, **options)


def _loaded(model: Any) -> "Restorer":
    from .restoration.restorer import loaded

    return loaded(model)


def build(name: str, /, **settings: Any) -> "RestorationModel":
    """Builds a torch module: untrained, such as `build("latent-nafca", hidden_channels=48)`, or with public weights of
    NAFNet or Restormer, `build("nafnet", state_dict=...)`; see `lnca.nn.registry.build`.

    Raises:
        LncaError: the architecture or setting does not exist.
    """
    from .nn.registry import build

    return build(name, **settings)

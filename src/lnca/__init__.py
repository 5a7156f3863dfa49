"""Restores images with latent neural cellular automata.

    >>> import lnca
    >>> clean = lnca.restore(noisy)  # a PIL image, an array (H, W, 3) or a tensor (B, 3, H, W)
    >>> model = lnca.load("lnca-denoise")  # another model, to restore many pictures
    >>> for picture in model.iterate(noisy): ...  # step by step

torch is imported when a model is asked for, not before.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .catalogue import DEFAULT_MODEL, ModelInfo, models
from .errors import LncaError

if TYPE_CHECKING:
    from .kernels.cpu import Precision
    from .kernels.select import Backend
    from .nn.model import RestorationModel
    from .restoration.restorer import Restorer

__version__ = "0.1.0"
__all__ = ["LncaError", "ModelInfo", "build", "deblur", "denoise", "from_pretrained", "load", "models", "restore"]


def load(
    name_or_path: Any, device: str = "auto", backend: "Backend" = "auto", precision: "Precision" = "float32"
) -> "Restorer":
    """A trained model, whose `restore` takes PIL images, arrays and tensors; see `lnca.restoration.restorer.Restorer`.

    Args:
        name_or_path: a name from `models()`, or a weight file.
        device: "auto", "cpu", "cuda" or "mps".
        backend: "plain" is the readable rule, "compiled" the same under torch.compile, "fused" the fast kernels, "auto"
            the fastest that needs no compiling.
        precision: "float32", or "bfloat16" for the fused kernels of a processor that has it.

    Raises:
        LncaError: no such model, device or backend, or a weight file that is damaged.
    """
    from .restoration.restorer import Restorer

    return Restorer(name_or_path, device, backend, precision)


def restore(picture: Any, model: Any = DEFAULT_MODEL, **options: Any) -> Any:
    """The picture restored, as the kind it came in: a PIL image, an array or a tensor.

    Args:
        picture, options: see `lnca.restoration.restorer.Restorer.restore`: steps, strength, noise_level, noise_scale,
            luma, chroma, mask, max_memory, data_range, clip.
        model: a name from `models()`, or a weight file; the last one stays loaded.

    Raises:
        LncaError: no such model, or a picture that cannot be restored.
    """
    return _loaded(model).restore(picture, **options)


def denoise(image: Any, model: Any = DEFAULT_MODEL, **options: Any) -> Any:
    """An array restored as the functions of `skimage.restoration` do it: floating point out, grey unless `channel_axis`
    names an axis; see `lnca.adapters.scikit_image.denoise`.

    Raises:
        LncaError: no such model, or an array that is no image.
    """
    from .adapters.scikit_image import denoise

    return denoise(image, model, **options)


def deblur(
    picture: Any, kernel: Any = "auto", *, return_kernel: bool = False, model: Any = "photo-deblur", **options: Any
) -> Any:
    """The picture without its blur, as the kind it came in.

    Args:
        picture, kernel, options: see `lnca.restoration.restorer.Restorer.restore`; the kernel is estimated when "auto".
        return_kernel: give (picture, kernel) back: the kernel that was found, float32 (K, K), or as it was told.
        model: a name from `models()`, or a weight file of a deblurrer; the last one stays loaded.

    Raises:
        LncaError: no such model, or a picture or kernel that cannot be used.
    """
    restorer = _loaded(model)
    if not return_kernel or not (isinstance(kernel, str) and kernel == "auto"):
        restored = restorer.restore(picture, kernel=kernel, **options)
        return (restored, kernel) if return_kernel else restored
    found = restorer.blur(picture, **{name: options[name] for name in _OF_BLUR if name in options})
    return restorer.restore(picture, kernel=found, **options), found.as_array()


# Options of `Restorer.restore` that what is found of a blur depends on.
_OF_BLUR = ("noise_level", "noise_scale", "data_range", "clip")


def from_pretrained(where: Any, revision: str | None = None, **options: Any) -> "Restorer":
    """A trained model from the Hugging Face hub ("owner/name"), a folder, a weight file, or the shipped ones; see
    `lnca.hub.from_pretrained`.

    Raises:
        LncaError: no such model, or the hub cannot be reached.
    """
    from .hub import from_pretrained

    return from_pretrained(where, revision, **options)


@lru_cache(1)
def _loaded(model: Any) -> "Restorer":
    return load(model)


def build(name: str, /, **settings: Any) -> "RestorationModel":
    """A torch module: untrained, such as `build("latent-nafca", hidden_channels=48)`, or with public weights of NAFNet
    or Restormer, `build("nafnet", state_dict=...)`; see `lnca.nn.registry.build`.

    Raises:
        LncaError: no such architecture or setting.
    """
    from .nn.registry import build

    return build(name, **settings)

"""Restores images with latent neural cellular automata.

    >>> import lnca
    >>> model = lnca.load("lnca-denoise")
    >>> clean = model.restore(noisy)  # a PIL image, an array (H, W, 3) or a tensor (B, 3, H, W)

torch is imported when a model is asked for, not before.
"""

from typing import TYPE_CHECKING, Any

from .catalogue import ModelInfo, models
from .errors import LncaError

if TYPE_CHECKING:
    from .kernels.cpu import Precision
    from .kernels.select import Backend
    from .nn.model import RestorationModel
    from .restoration.restorer import Restorer

__version__ = "0.1.0"
__all__ = ["LncaError", "ModelInfo", "build", "load", "models"]


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


def build(name: str, **settings: Any) -> "RestorationModel":
    """A torch module: untrained, such as `build("latent-nafca", hidden_channels=48)`, or with public weights of NAFNet
    or Restormer, `build("nafnet", state_dict=...)`; see `lnca.nn.registry.build`.

    Raises:
        LncaError: no such architecture or setting.
    """
    from .nn.registry import build

    return build(name, **settings)

"""Restores images with latent neural cellular automata.

    >>> import lnca
    >>> model = lnca.load("latent-nafca-denoise")
    >>> clean = model.restore(noisy)  # a PIL image, an array (H, W, 3) or a tensor (B, 3, H, W)

torch is imported when a model is asked for, not before.
"""

from typing import TYPE_CHECKING, Any

from .catalogue import ModelInfo, models
from .errors import LncaError

if TYPE_CHECKING:
    from .nn.model import RestorationModel
    from .restoration.restorer import Restorer

__version__ = "0.1.0"
__all__ = ["LncaError", "ModelInfo", "build", "load", "models"]


def load(name_or_path: Any, device: str = "auto") -> "Restorer":
    """A trained model, whose `restore` takes PIL images, arrays and tensors; see `lnca.restoration.restorer.Restorer`.

    Args:
        name_or_path: a name from `models()`, or a weight file.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        LncaError: no such model or device, or a weight file that is damaged.
    """
    from .restoration.restorer import Restorer

    return Restorer(name_or_path, device)


def build(name: str, **settings: Any) -> "RestorationModel":
    """A torch module: untrained, such as `build("latent-nafca", hidden_channels=48)`, or with public weights of NAFNet
    or Restormer, `build("nafnet", state_dict=...)`; see `lnca.nn.registry.build`.

    Raises:
        LncaError: no such architecture or setting.
    """
    from .nn.registry import build

    return build(name, **settings)

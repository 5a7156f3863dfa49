"""Models of lnca as denoisers of DeepInverse (deepinv), for plug-and-play reconstruction and its benchmarks.

Examples:
    >>> import deepinv
    >>> from lnca.adapters.deepinv import LatentDenoiser
    >>> prior = deepinv.optim.PnP(denoiser=LatentDenoiser("photo-denoise"))
"""

from typing import Any

import torch
from torch import Tensor

from ..catalogue import DEFAULT_MODEL, locate
from ..errors import LncaError
from ..kernels.select import accelerate
from ..nn.model import SteppedModel
from ..nn.weights_file import load_weights
from ..restoration.noise import SHARE_OF_LUMA
from ..restoration.pictures import LUMA

try:
    from deepinv.models import Denoiser
# Of torchvision, which deepinv imports, a build that does not fit torch's raises more than ImportError.
except (ImportError, RuntimeError) as error:
    raise LncaError(f"deepinv cannot be imported ({error}): pip install deepinv") from error


class LatentDenoiser(Denoiser):
    """A model of lnca, as plain a `torch.nn.Module` as deepinv's own, with gradients where they are wanted.

    Args:
        name_or_path: a name from `lnca.models()`, or a weight file.
        device: of the weights.
        steps: of the automaton; the model's own number when None.

    Attributes:
        model: the module inside.

    Raises:
        LncaError: no such model, one without steps where `steps` is given, or a weight file that is damaged.
    """

    def __init__(self, name_or_path: Any = DEFAULT_MODEL, device: Any = "cpu", steps: int | None = None):
        super().__init__()
        self.model, info = load_weights(locate(name_or_path))
        if steps is not None:
            if not isinstance(self.model, SteppedModel):
                raise LncaError(f"{info.name} restores in one go, it has no steps")
            self.model.steps = steps
        accelerate(self.model, torch.device(device))
        self.to(device)

    def forward(self, x: Tensor, sigma: Any = None, **options: Any) -> Tensor:
        """Noisy pictures, (B, 3, H, W), or (B, 1, H, W) for grey, sides >= 8 -> denoised ones, in [0, 1].

        Args:
            x: in [0, 1], up to noise; what lies beyond is clipped where no sigma is told.
            sigma: standard deviation of the noise where white is 1, a number or one for each picture, for models that
                take a noise level; without it they estimate it. The others see for themselves how much noise there is.
            options: not used.

        Raises:
            LncaError: another number of channels.
        """
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise LncaError(f"pictures should have the shape (B, 3, H, W) or (B, 1, H, W), got {tuple(x.shape)}")
        colours = x.expand(-1, 3, -1, -1)
        if sigma is not None and self.model.takes_noise_level:
            restored = self.model(colours, noise_level=_levels(sigma, x))
        else:
            restored = self.model(colours.clamp(0, 1))
        return restored if x.shape[1] == 3 else (restored * restored.new_tensor(LUMA)[:, None, None]).sum(1, True)


def _levels(sigma: Any, x: Tensor) -> Tensor:
    """Noise levels (B or 1, 2, 1, 1) as models take them; noise of grey pictures is all in their brightness."""
    level = 255 * torch.as_tensor(sigma, dtype=x.dtype, device=x.device).reshape(-1, 1, 1, 1)
    if x.shape[1] == 3:
        return torch.cat([level, level], 1)
    return torch.cat([level / SHARE_OF_LUMA, torch.zeros_like(level)], 1)

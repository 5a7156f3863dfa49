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
# deepinv imports torchvision; a build that does not match torch raises other errors than ImportError.
except (ImportError, RuntimeError) as error:
    raise LncaError(f"deepinv cannot be imported ({error}): pip install deepinv") from error


class LatentDenoiser(Denoiser):
    """A model of lnca as a plain `torch.nn.Module`, like deepinv's own, with gradients if they are needed.

    Args:
        name_or_path: a name from `lnca.models()`, or a weight file.
        device: device of the weights.
        steps: steps of the automaton; the model's own number if None.

    Attributes:
        model: the module inside.

    Raises:
        LncaError: the model does not exist, has no steps although `steps` is given, or its weight file is damaged.
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
        """Denoises pictures (B, 3, H, W), or (B, 1, H, W) for grey, with sides >= 8; the result is in [0, 1].

        Args:
            x: values in [0, 1], or beyond because of noise; without sigma, values beyond are clipped.
            sigma: standard deviation of the noise (white is 1), a number or one for each picture, for models that take
                a noise level; without it they estimate the level. Other models ignore sigma.
            options: not used.

        Raises:
            LncaError: the number of channels is wrong.
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
    """Noise levels (B or 1, 2, 1, 1) in the form that models take; all noise of grey pictures is brightness noise."""
    level = 255 * torch.as_tensor(sigma, dtype=x.dtype, device=x.device).reshape(-1, 1, 1, 1)
    if x.shape[1] == 3:
        return torch.cat([level, level], 1)
    return torch.cat([level / SHARE_OF_LUMA, torch.zeros_like(level)], 1)

"""Nodes that denoise and deblur. An IMAGE of ComfyUI is a float32 tensor (B, H, W, C) in [0, 1], a MASK (B, H, W).

Every picture of a batch is restored by itself, so that a batch of any length takes the memory of one picture.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import lnca
from lnca import LncaError

if TYPE_CHECKING:
    from lnca.restoration.restorer import Restorer

DEBLURRER = "photo-deblur"
# Ticks of the progress bar for a picture.
TICKS = 100

Widget = tuple[Any, dict[str, Any]]

IMAGE: Widget = ("IMAGE", {"tooltip": "RGB, RGBA, whose alpha passes through, or grey; sides from 8 pixels."})
MASK: Widget = ("MASK", {"tooltip": "Restores only where it is white; one for all, or one for each picture."})
NOISE_LEVEL: Widget = (
    "FLOAT",
    {
        "default": -1.0,
        "min": -1.0,
        "max": 255.0,
        "step": 0.5,
        "tooltip": "Standard deviation of the noise in 255ths, for the photo models; below 0 it is estimated.",
    },
)
NOISE_SCALE: Widget = (
    "FLOAT",
    {"default": 1.0, "min": 0.1, "max": 10.0, "step": 0.1, "tooltip": "Factor of the noise level: more restores more."},
)


def share(of: str) -> Widget:
    """A widget for a share from 0 to 1."""
    return "FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.05, "tooltip": f"Share of {of} that is taken."}


SHARES: dict[str, Widget] = {
    "strength": share("the correction"),
    "luma": share("the correction in brightness"),
    "chroma": share("the correction in colour"),
}


def denoisers() -> list[str]:
    """Names of the trained models that denoise, that of photographs first."""
    names = [model.name for model in lnca.models() if model.card["task"].endswith("denoise")]
    return sorted(names, key=lambda name: (not name.startswith("photo"), name))


def model_widget() -> Widget:
    """A choice among the trained models that denoise."""
    tooltip = "photo-denoise is for photographs; the others are for the noise of the paper."
    return denoisers(), {"default": denoisers()[0], "tooltip": tooltip}


@lru_cache(2)
def restorer_of(model: str) -> "Restorer":
    """A model, loaded once, on a GPU where there is one."""
    return lnca.load(model)


def noise_options(restorer: "Restorer", noise_level: float, noise_scale: float) -> dict[str, Any]:
    """What a model is told of the noise; values that noise has carried beyond [0, 1] are cut off where it is estimated.

    Raises:
        LncaError: a level or a scale for a model that takes none.
    """
    if not restorer.takes_noise_level and (noise_level >= 0 or noise_scale != 1):
        raise LncaError(
            f"{restorer.info.name} takes no noise level; leave it at -1 and its scale at 1, or choose photo-denoise"
        )
    told: dict[str, Any] = {"noise_scale": noise_scale}
    return told | ({"noise_level": noise_level} if noise_level >= 0 else {"clip": True})


def progress_bar(pictures: int) -> Callable[[int, float], None]:
    """The node's bar in ComfyUI, told a picture's number and the share of it that is done; it also ends a run that was
    cancelled. Outside of ComfyUI there is none."""
    try:
        from comfy.utils import ProgressBar
    except ImportError:
        return lambda number, done: None
    bar = ProgressBar(TICKS * pictures)
    return lambda number, done: bar.update_absolute(round(TICKS * (number + done)))


class Picture(NamedTuple):
    """One picture of a batch, (C, H, W), its mask (H, W), and what is told the share of it that is done."""

    planes: Tensor
    mask: np.ndarray | None
    say: Callable[[float], None]


class Batch:
    """The pictures of an IMAGE, to be restored one after the other.

    Args:
        image: (B, H, W, C), C 3, 4 with alpha, or 1.
        mask: (B or 1, H, W) or (H, W); None is everywhere.

    Raises:
        LncaError: another shape; several masks, but not one for each picture.
    """

    def __init__(self, image: Tensor, mask: Tensor | None = None):
        if image.ndim != 4 or image.shape[-1] not in (1, 3, 4):
            raise LncaError(
                f"an image should have the shape (B, H, W, 3), or 4 or 1 channels, got {tuple(image.shape)}"
            )
        self.image, self.colours = image.float(), min(image.shape[-1], 3)
        self.masks = None if mask is None else (mask if mask.ndim == 3 else mask[None]).float().cpu().numpy()
        check_count("masks", self.masks, len(image))

    def __iter__(self) -> Iterator[Picture]:
        say = progress_bar(len(self.image))
        for number, picture in enumerate(self.image):
            mask = None if self.masks is None else self.masks[number % len(self.masks)]
            planes = picture[..., : self.colours].permute(2, 0, 1)
            yield Picture(planes, mask, lambda done, number=number: say(number, done))

    def restored(self, pictures: list[Tensor]) -> Tensor:
        """The batch with these colours (C, H, W) in the place of its own; alpha stays."""
        colours = torch.stack(pictures).permute(0, 2, 3, 1).to(self.image.device)
        return torch.cat([colours, self.image[..., self.colours :]], -1)


def check_count(what: str, given: np.ndarray | None, pictures: int) -> None:
    """Raises `LncaError` where there is neither one for all pictures nor one for each."""
    if given is not None and len(given) not in (1, pictures):
        raise LncaError(f"there are {len(given)} {what} for {pictures} pictures; give one, or one for each")


class Denoise:
    """Image -> the same without its noise."""

    CATEGORY = "image/lnca"
    DESCRIPTION = "Takes noise and the artefacts of JPEG away."
    FUNCTION = "denoise"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Widget]]:  # noqa: N802
        """Inputs and widgets, as ComfyUI asks for them."""
        told = {"noise_level": NOISE_LEVEL, "noise_scale": NOISE_SCALE}
        return {"required": {"image": IMAGE, "model": model_widget(), **told, **SHARES}, "optional": {"mask": MASK}}

    def denoise(
        self,
        image: Tensor,
        model: str,
        noise_level: float,
        noise_scale: float,
        strength: float,
        luma: float,
        chroma: float,
        mask: Tensor | None = None,
    ) -> tuple[Tensor]:
        """The denoised batch; raises `LncaError` as `Batch`, and for what the model refuses."""
        restorer, batch = restorer_of(model), Batch(image, mask)
        options = noise_options(restorer, noise_level, noise_scale)
        options |= {"strength": strength, "luma": luma, "chroma": chroma}
        restored = [restorer.restore(planes, mask=own, progress=say, **options) for planes, own, say in batch]
        return (batch.restored(restored),)


class Deblur:
    """Image -> the same without its blur, and the kernel that blurred it."""

    CATEGORY = "image/lnca"
    DESCRIPTION = "Takes the blur of a shaken or defocused photograph away; looks for its kernel, or is told it."
    FUNCTION = "deblur"
    RETURN_TYPES = ("IMAGE", "IMAGE")
    RETURN_NAMES = ("image", "kernel")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Widget]]:  # noqa: N802
        """Inputs and widgets, as ComfyUI asks for them."""
        kernel: Widget = ("IMAGE", {"tooltip": "The kernel, brighter where more light falls; found when left out."})
        return {
            "required": {"image": IMAGE, "noise_level": NOISE_LEVEL, **SHARES},
            "optional": {"kernel": kernel, "mask": MASK},
        }

    def deblur(
        self,
        image: Tensor,
        noise_level: float,
        strength: float,
        luma: float,
        chroma: float,
        kernel: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The deblurred batch, and the kernel of each picture, its highest value white, (B, K, L, 3).

        Args:
            kernel: one for all pictures, or one for each.

        Raises:
            LncaError: as `Batch`; several kernels, but not one for each picture; what the model refuses.
        """
        restorer, batch = restorer_of(DEBLURRER), Batch(image, mask)
        noise = noise_options(restorer, noise_level, 1.0)
        shares = {"strength": strength, "luma": luma, "chroma": chroma}
        told = None if kernel is None else kernel[..., :3].float().mean(-1).cpu().numpy()
        check_count("kernels", told, len(image))
        restored, kernels = [], []
        for number, (planes, own, say) in enumerate(batch):
            blur = restorer.blur(planes, **noise) if told is None else told[number % len(told)]
            restored.append(restorer.restore(planes, mask=own, kernel=blur, progress=say, **noise, **shares))
            kernels.append(blur.as_array() if told is None else blur)
        return batch.restored(restored), as_images(kernels)


def as_images(kernels: list[np.ndarray]) -> Tensor:
    """Kernels (K, L) in the middle of pictures of one size, (B, K, L, 3), the highest value of each at 1."""
    height, width = (max(kernel.shape[axis] for kernel in kernels) for axis in (0, 1))
    room = np.zeros((len(kernels), height, width), np.float32)
    for place, kernel in zip(room, kernels, strict=True):
        top, left = ((whole - part) // 2 for whole, part in zip(place.shape, kernel.shape, strict=True))
        place[top : top + kernel.shape[0], left : left + kernel.shape[1]] = kernel / kernel.max()
    return torch.from_numpy(room)[..., None].repeat(1, 1, 1, 3)


class NoiseLevel:
    """Image -> how much noise there is."""

    CATEGORY = "image/lnca"
    DESCRIPTION = (
        "Estimates the standard deviation of the noise in 255ths, in brightness and in colour, mean of a batch."
    )
    FUNCTION = "estimate"
    RETURN_TYPES = ("FLOAT", "FLOAT")
    RETURN_NAMES = ("brightness", "colour")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Widget]]:  # noqa: N802
        """Inputs and widgets, as ComfyUI asks for them."""
        return {"required": {"image": IMAGE}}

    def estimate(self, image: Tensor) -> tuple[float, float]:
        """Means over the pictures; raises `LncaError` as `Batch`."""
        restorer = restorer_of(denoisers()[0])
        found = [restorer.noise_levels(picture.planes, clip=True).mean((0, 1)) for picture in Batch(image)]
        brightness, colour = np.mean(found, 0).tolist()
        return brightness, colour


class Steps:
    """Image -> what the cells make of it, step by step."""

    CATEGORY = "image/lnca"
    DESCRIPTION = (
        "A batch of the picture after 0, 1, 2, ... steps of the automaton, one picture of a batch after the other."
    )
    FUNCTION = "watch"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Widget]]:  # noqa: N802
        """Inputs and widgets, as ComfyUI asks for them."""
        steps: Widget = ("INT", {"default": 0, "min": 0, "max": 640, "tooltip": "0 takes the model's own number."})
        return {"required": {"image": IMAGE, "model": model_widget(), "steps": steps}}

    def watch(self, image: Tensor, model: str, steps: int) -> tuple[Tensor]:
        """(B x (steps + 1), H, W, 3 or 1), without alpha; raises `LncaError` as `Batch`."""
        restorer = restorer_of(model)
        count, states = steps or restorer.steps, []
        for planes, _, say in Batch(image):
            for step, state in enumerate(restorer.iterate(planes.clamp(0, 1), count)):
                states.append(state.permute(1, 2, 0))
                say(step / count)
        return (torch.stack(states),)


NODE_CLASS_MAPPINGS = {
    "LncaDenoise": Denoise,
    "LncaDeblur": Deblur,
    "LncaNoiseLevel": NoiseLevel,
    "LncaSteps": Steps,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "LncaDenoise": "Denoise (lnca)",
    "LncaDeblur": "Deblur (lnca)",
    "LncaNoiseLevel": "Noise level (lnca)",
    "LncaSteps": "Steps (lnca)",
}

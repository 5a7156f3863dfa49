"""Weights of lnca in spandrel, which loads models of all architectures that it knows from their tensors alone.

Examples:
    >>> from spandrel import ModelLoader
    >>> from lnca.adapters.spandrel import register
    >>> register()
    >>> model = ModelLoader().load_from_file("photo-denoise.safetensors")
    >>> restored = model(noisy)  # (1, 3, H, W) in [0, 1]
"""

from typing import Any

import torch

from ..architectures import resolve
from ..catalogue import describe, shipped_weights
from ..errors import LncaError, in_short
from ..kernels.select import accelerate
from ..nn.latent import SMALLEST_SIDE
from ..nn.model import SteppedModel
from ..nn.recognition import DEBLURRER, PYRAMID, architecture_of, settings_of
from ..nn.registry import module_of
from ..runtime.weights import tensors

try:
    from spandrel import MAIN_REGISTRY, Architecture, ArchRegistry, ArchSupport, ImageModelDescriptor, SizeRequirements
# spandrel imports torchvision; a build that does not match torch raises other errors than ImportError.
except (ImportError, RuntimeError) as error:
    raise LncaError(f"spandrel cannot be imported ({error}): pip install spandrel torchvision") from error

ID = "LNCA"


class LatentAutomatonArch(Architecture[SteppedModel]):
    """LatentNAFCA, LatentViTCA and the models beyond the paper, recognised by the names of their tensors.

    Args:
        settings: settings that the tensors do not determine, for weights that are not in the package: `steps` (default:
            64 for the paper's models, 16 for others), and others that `lnca.nn.recognition.settings_of` has to guess.
            The settings of the models in the package are known.
    """

    def __init__(self, **settings: Any):
        super().__init__(id=ID, name="Latent neural cellular automaton", detect=_detect)
        self.settings = settings

    def load(self, state_dict: dict[str, Any]) -> "ImageModelDescriptor[SteppedModel]":
        """The model with its weights, in float32 and evaluation mode; on the CPU with the fused kernels.

        Raises:
            LncaError: the weights are not lnca's or not complete, or the settings do not fit them.
        """
        name = architecture_of(state_dict)
        if name is None:
            raise LncaError("these are no weights of an automaton of lnca")
        try:
            settings = (_shipped_settings(state_dict) or settings_of(state_dict)) | self.settings
            module = module_of(resolve(name, settings)[1]).eval()
            # Half precision is not exact enough for deblurring.
            descriptor = ImageModelDescriptor(
                module,
                state_dict,
                self,
                "Restoration",
                tags=[name, f"{module.steps} steps"],
                supports_half=name != "deblur",
                supports_bfloat16=False,
                scale=1,
                input_channels=3,
                output_channels=3,
                size_requirements=SizeRequirements(minimum=SMALLEST_SIDE),
            )
        except (KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:
            raise LncaError(f"these weights of {name} are not whole: {in_short(error)}") from error
        accelerate(module, torch.device("cpu"))
        return descriptor


def _detect(state_dict: dict[str, Any]) -> bool:
    return architecture_of(state_dict) is not None


def _shipped_settings(state_dict: dict[str, Any]) -> dict[str, Any] | None:
    """The settings of the model in the package with these weights, if there is one."""
    name = next((name for name in (PYRAMID, DEBLURRER) if name in state_dict), "automaton.head.weight")
    for path in shipped_weights().values():
        info = describe(path)
        held = tensors(info, "pt")
        if name in held and torch.equal(state_dict[name].cpu(), held[name]):
            return info.settings
    return None


def register(registry: ArchRegistry | None = None, **settings: Any) -> None:
    """Registers lnca's architectures with spandrel; a second call changes nothing.

    Args:
        registry: a registry; by default that of `ModelLoader`.
        settings: see `LatentAutomatonArch`.
    """
    support = ArchSupport.from_architecture(LatentAutomatonArch(**settings))
    (MAIN_REGISTRY if registry is None else registry).add(support, ignore_duplicates=True)

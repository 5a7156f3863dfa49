"""Weight files: safetensors whose header holds the architecture, its settings and the model card."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from ..architectures import RetiredError, resolve
from ..catalogue import HEADER, VERSION, ModelInfo, describe
from ..errors import LncaError, in_short
from ..files import write_whole
from ..runtime.weights import SharingError
from ..runtime.weights import tensors as tensors_of
from .model import RestorationModel
from .registry import module_of


def save_weights(
    path: Path,
    model: RestorationModel,
    architecture: str,
    settings: dict[str, Any],
    card: dict[str, Any],
    *,
    half: bool = False,
) -> None:
    """Writes a model's weights with all that is needed to build it again; the same model gives the same bytes.

    Args:
        half: write 16-bit floating point; a model built from it has 32 bits again.
    """
    architecture, full = resolve(architecture, settings)
    header = {"version": VERSION, "architecture": architecture, "settings": dataclasses.asdict(full), "card": card}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if half:
        tensors = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    write_whole(path, save(tensors, {HEADER: json.dumps(header)}))


def load_weights(path: Path) -> tuple[RestorationModel, ModelInfo]:
    """Builds the model a weight file holds, in evaluation mode.

    Raises:
        LncaError: the file is damaged, a pickle, of another version or of a removed architecture, or its tensors do
            not fit the settings.
    """
    info = describe(path)
    try:
        settings = resolve(info.architecture, info.settings)[1]
        tensors = tensors_of(info, "pt")
        # Build without memory for the parameters first, so that a small file cannot ask for a large model.
        with torch.device("meta"):
            module_of(settings).load_state_dict(tensors, strict=True, assign=True)
        model = module_of(settings)
        model.load_state_dict(tensors, strict=True)
        finite = all(tensor.isfinite().all() for tensor in tensors.values())
    except SharingError:
        raise
    except RetiredError as error:
        raise LncaError(f"{path} was made by another version of lnca: {error}") from error
    # A header can ask for anything, and a constructor can raise any error.
    except Exception as error:
        raise LncaError(f"{path} is damaged: {in_short(error)}") from error
    if not finite:
        raise LncaError(f"{path} is damaged: it holds NaN or infinite weights")
    return model.eval(), info

"""Begins a training run with the weights of a model."""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from ..errors import LncaError
from ..nn.model import RestorationModel
from ..nn.weights_file import load_weights


def begin_with(model: RestorationModel, path: Path, seed: int) -> str:
    """Copies the weights of a file into a model wherever names and shapes agree; the others stay random.

    If a linear map has more inputs than in the file, the weights of the new inputs are zero. If it has more outputs,
    the weights of the new outputs are random.

    Args:
        seed: seed of this run. Weights that were trained with another seed on the same pictures have seen pictures
            that are now in the validation or test split: a warning and the result say so.

    Returns:
        The number of tensors, such as "36 of 48 tensors of lnca-denoise".

    Raises:
        LncaError: fewer than half of the tensors agree.
    """
    own = model.state_dict()
    module, info = load_weights(path)
    given = module.state_dict()
    fitting, grown = {}, {}
    for name in given.keys() & own.keys():
        tensor, wanted = given[name], own[name]
        if tensor.ndim == wanted.ndim == 4:
            tensor = F.pad(tensor, (0, 0, 0, 0, 0, max(wanted.shape[1] - tensor.shape[1], 0)))
        if tensor.shape == wanted.shape:
            fitting[name] = tensor
        elif tensor.ndim in (1, 4) and tensor.shape[1:] == wanted.shape[1:] and len(tensor) < len(wanted):
            grown[name] = torch.cat([tensor, wanted[len(tensor) :]])
    if 2 * len(fitting) < len(own):
        raise LncaError(f"{path} holds a model of another shape; begin with one of the recipe's settings")
    model.load_state_dict(own | fitting | grown)
    begun = f"{len(fitting)} of {len(own)} tensors of {path.stem}"
    before = info.card.get("seed", seed)
    if before == seed:
        return begun
    print(
        f"warning: {path} was trained with --seed {before}, and so on another split: of the same pictures it has seen "
        f"some that --seed {seed} tests on",
        file=sys.stderr,
    )
    return f"{begun}, which were trained with seed {before}"

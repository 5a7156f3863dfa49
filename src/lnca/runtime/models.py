"""Trained models as they are run: built from a weight file's settings and tensors, without torch.

An architecture that can be run here registers itself with `runnable`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np

from ..architectures import (
    DeblurSettings,
    LatentNAFCASettings,
    LatentSettings,
    LatentViTCASettings,
    PyramidSettings,
    ResidualSettings,
    RetiredError,
    Settings,
    resolve,
)
from ..catalogue import ModelInfo, describe
from ..errors import LncaError, in_short
from .engine import Engine
from .native import NoKernelError
from .noise_level import BandEstimator
from .pyramid import BandPyramid
from .weights import SharingError, Weights, origins_of, tensors

if TYPE_CHECKING:
    from .automaton import Run
    from .coders import BandCoder
    from .rules import Rule


@dataclass(frozen=True, eq=False)
class Latent:
    """A latent automaton (paper 3.1): encode, let the cells clean the latent, decode.

    Args:
        coder: E and D.
        rule: of N, whose input channels E gives and whose output channels D takes.
        run: runs the rule.
        steps: its own number of steps.
    """

    coder: "BandCoder"
    rule: "Rule"
    run: "Run"
    steps: int


@dataclass(frozen=True, eq=False)
class Pyramid:
    """An automaton on three lattices.

    Args:
        bands: its steps and what is around them.
        estimator: of noise levels.
        steps: its own number of steps.
    """

    bands: BandPyramid
    estimator: BandEstimator
    steps: int


@dataclass(frozen=True, eq=False)
class Deblurring:
    """Rounds of a filter and the cells (`runtime.deblurring`).

    Args:
        cells: clean what the filter leaves.
        steps: its own number of rounds.
    """

    cells: Pyramid
    steps: int


Model = Latent | Pyramid | Deblurring


@singledispatch
def runnable(settings: Settings, weights: Weights, engine: Engine) -> Model | None:
    """The model of some settings and tensors; None for an architecture that is run by torch alone.

    Raises:
        LncaError: a tensor is missing or has another shape, or the engine has no room for it.
    """
    return None


@runnable.register
def _(settings: LatentNAFCASettings, weights: Weights, engine: Engine) -> Latent:
    from .rules import nafca

    width = settings.latent_channels
    channels = (width, width, settings.hidden_channels)
    rule = nafca(
        weights.within("automaton"), channels, settings.update_rate, embed=settings.embed, expansion=settings.expansion
    )
    return _latent(settings, weights, rule, engine)


@runnable.register
def _(settings: LatentViTCASettings, weights: Weights, engine: Engine) -> Latent:
    from .rules import vitca

    width = settings.latent_channels
    rule = vitca(
        weights.within("automaton"),
        (width, width, settings.hidden_channels),
        settings.update_rate,
        embed=settings.embed,
        heads=settings.heads,
        mlp=settings.mlp,
        has_position_code=settings.position != "none",
    )
    return _latent(settings, weights, rule, engine)


def _latent(settings: LatentSettings, weights: Weights, rule: "Rule", engine: Engine) -> Latent:
    """The paper's autoencoder around a rule."""
    from .autoencoder import BandAutoencoder

    coder = BandAutoencoder(weights.within("autoencoder"), settings.latent_channels, settings.downsamplings, engine)
    return Latent(coder, rule, engine.steps(rule), settings.steps)


@runnable.register
def _(settings: ResidualSettings, weights: Weights, engine: Engine) -> Latent | None:
    from .residual import BandResidualCoder
    from .rules import nafca, vitca

    channels = (settings.latent_channels, settings.output_channels, settings.hidden_channels)
    made: dict[str, Callable[[], Rule]] = {
        "nafca": lambda: nafca(
            weights.within("automaton"), channels, embed=settings.embed, expansion=settings.expansion
        ),
        "vitca": lambda: vitca(
            weights.within("automaton"),
            channels,
            embed=settings.embed,
            heads=settings.heads,
            mlp=settings.mlp,
            has_position_code=False,
        ),
    }
    if settings.rule not in made:
        return None
    coder = BandResidualCoder(
        weights.within("autoencoder"),
        engine,
        width=settings.width,
        shrink=settings.shrink,
        latent=settings.latent_channels,
        output=settings.output_channels,
        mixing=settings.mixing,
    )
    rule = made[settings.rule]()
    return Latent(coder, rule, engine.steps(rule), settings.steps)


@runnable.register
def _(settings: PyramidSettings, weights: Weights, engine: Engine) -> Pyramid:
    return pyramid(settings, weights, engine)


@runnable.register
def _(settings: DeblurSettings, weights: Weights, engine: Engine) -> Deblurring:
    return Deblurring(pyramid(settings, weights.within("cells"), engine), settings.steps)


# Those that are in use, by file, settings and engine: models that share cells have them once.
_pyramids: WeakValueDictionary[object, Pyramid] = WeakValueDictionary()


def pyramid(settings: PyramidSettings | DeblurSettings, weights: Weights, engine: Engine) -> Pyramid:
    """An automaton on three lattices that an engine runs, the same object as long as one of the same file is in use;
    raises `LncaError` as `runnable`."""
    key = weights.origin, tuple(settings.channels), settings.rules, settings.steps, engine
    known = None if weights.origin is None else _pyramids.get(key)
    if known is not None:
        weights.take_all()
        return known
    fine, middle, coarse = settings.channels
    bands = BandPyramid(weights, (fine, middle, coarse), settings.rules, engine)
    made = Pyramid(bands, BandEstimator(weights.within("estimator"), engine), settings.steps)
    if weights.origin is not None:
        _pyramids[key] = made
    return made


def load(path: Path, engine: Engine) -> tuple[Model | None, ModelInfo]:
    """The model that a weight file holds; None for an architecture that is run by torch alone.

    Raises:
        LncaError: damaged, of another version, a pickle, of a kind that is no longer there, or tensors that do not fit
            the settings; the engine has no room for it (`NoKernelError`).
    """
    info = describe(path)
    try:
        settings = resolve(info.architecture, info.settings)[1]
        arrays = tensors(info)
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise LncaError("it holds NaN or infinite weights")
        weights = Weights(arrays, origins=origins_of(info))
        model = runnable(settings, weights, engine)
        if model is not None:
            weights.check_all_taken()
    except (NoKernelError, SharingError):
        raise
    except RetiredError as error:
        raise LncaError(f"{path} was made by another version of lnca: {error}") from error
    # A header can ask for anything, and what is made of it can fail in any way.
    except Exception as error:
        raise LncaError(f"{path} is damaged: {in_short(error)}") from error
    return model, info

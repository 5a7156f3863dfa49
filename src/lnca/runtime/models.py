"""Trained models for inference without torch, built from the settings and tensors of a weight file.

Each architecture registers a function with `runnable`.
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
    """A latent automaton (paper 3.1): encoder E, automaton N, decoder D.

    Args:
        coder: E and D.
        rule: the rule of N; E computes its input channels, D reads its output channels.
        run: the steps of the rule.
        steps: the model's own number of steps.
    """

    coder: "BandCoder"
    rule: "Rule"
    run: "Run"
    steps: int


@dataclass(frozen=True, eq=False)
class Pyramid:
    """An automaton on three lattices.

    Args:
        bands: encoder, steps and decoder, in bands of rows.
        estimator: estimates the noise levels.
        steps: the model's own number of steps.
    """

    bands: BandPyramid
    estimator: BandEstimator
    steps: int


@dataclass(frozen=True, eq=False)
class Deblurring:
    """Rounds of an inverse filter and of denoising by cells (`runtime.deblurring`).

    Args:
        cells: the denoising automaton.
        steps: the model's own number of rounds.
    """

    cells: Pyramid
    steps: int


Model = Latent | Pyramid | Deblurring


@singledispatch
def runnable(settings: Settings, weights: Weights, engine: Engine) -> Model | None:
    """The model with these settings and tensors; None if only torch can run the architecture.

    Raises:
        LncaError: a tensor is missing or has a wrong shape, or the engine does not support the model's widths.
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
    return pyramid(settings, settings.steps, weights, engine)


@runnable.register
def _(settings: DeblurSettings, weights: Weights, engine: Engine) -> Deblurring:
    return Deblurring(pyramid(settings, settings.rules, weights.within("cells"), engine), settings.steps)


# Automata in use, by file, settings and engine, so that models that share cells hold them once.
_pyramids: WeakValueDictionary[object, Pyramid] = WeakValueDictionary()


def pyramid(settings: PyramidSettings | DeblurSettings, steps: int, weights: Weights, engine: Engine) -> Pyramid:
    """An automaton on three lattices with its own number of `steps`. While one from the same file, with the same
    settings and engine, is in use, that object is returned. Raises `LncaError` like `runnable`."""
    key = weights.origin, tuple(settings.channels), settings.rules, steps, engine
    known = None if weights.origin is None else _pyramids.get(key)
    if known is not None:
        weights.take_all()
        return known
    fine, middle, coarse = settings.channels
    bands = BandPyramid(weights, (fine, middle, coarse), settings.rules, engine)
    made = Pyramid(bands, BandEstimator(weights.within("estimator"), engine), steps)
    if weights.origin is not None:
        _pyramids[key] = made
    return made


def load(path: Path, engine: Engine) -> tuple[Model | None, ModelInfo]:
    """Loads the model in a weight file; the model is None if only torch can run the architecture.

    Raises:
        LncaError: the file is damaged, a pickle, or of another version; the architecture no longer exists; the tensors
            do not fit the settings; the engine does not support the model's widths (`NoKernelError`).
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
    # The header of a hostile file can cause any error.
    except Exception as error:
        raise LncaError(f"{path} is damaged: {in_short(error)}") from error
    return model, info

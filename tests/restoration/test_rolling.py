"""Pictures in bounded memory with the automaton on three lattices, and their noise levels."""

from dataclasses import replace

import numpy as np
import pytest

from lnca import LncaError
from lnca.nn.pyramid import PyramidAutomaton
from lnca.nn.weights_file import save_weights
from lnca.restoration.noise import SHARE_OF_LUMA
from lnca.restoration.pictures import Rows
from lnca.restoration.pyramid import USABLE_MEMORY
from lnca.restoration.restorer import Restorer
from lnca.runtime.native import best_level
from nn.test_pyramid import shaken

pytestmark = pytest.mark.skipif(best_level() is None, reason="the kernels were not built")
CHANNELS = (8, 12, 16)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "three.safetensors"
    model = shaken(PyramidAutomaton(CHANNELS, 3))
    save_weights(path, model, "pyramid", {"channels": CHANNELS, "rules": 3}, {"task": "photo-denoise"})
    return path


@pytest.fixture(scope="module")
def restorer(path):
    return Restorer(path, "cpu")


@pytest.fixture
def picture():
    return np.random.default_rng(0).random((150, 230, 3)).astype(np.float32)


@pytest.mark.parametrize("options", [{}, {"noise_level": 20}, {"noise_scale": 2}, {"steps": 1}, {"luma": 0.3}])
def test_the_plain_way_gives_the_same(path, restorer, picture, options):
    assert restorer.backend.startswith("fused")
    plain = Restorer(path, "cpu", backend="plain")
    np.testing.assert_allclose(restorer.restore(picture, **options), plain.restore(picture, **options), atol=2e-5)


def test_the_same_bits_in_less_memory(restorer):
    picture = np.random.default_rng(1).random((240, 560, 3)).astype(np.float32)
    whole = restorer.restore(picture)
    least = restorer.plan(Rows(picture), None).memory
    plans = [restorer.plan(Rows(picture), int(memory)) for memory in np.linspace(least * 1.4, least * 0.5, 8)]
    assert len({plan.band for plan in plans}) > 2
    assert len({plan.strip for plan in plans}) > 1
    for plan in set(plans):
        assert np.array_equal(restorer.restore(picture, max_memory=int(plan.memory / USABLE_MEMORY) + 1), whole)
    with pytest.raises(LncaError, match="needs at least"):
        restorer.restore(picture, max_memory=1000)


def test_more_steps_than_rules_change_nothing(restorer, picture):
    frames = list(restorer.iterate(picture, 12))
    assert len(frames) == 13
    assert np.array_equal(frames[0], picture)
    assert not np.array_equal(frames[2], frames[3])
    assert np.array_equal(frames[3], frames[12])
    assert np.array_equal(restorer.restore(picture, 12), restorer.restore(picture))


def test_a_number_a_map_and_pairs_say_the_same(restorer, picture):
    number = restorer.restore(picture, noise_level=25)
    assert np.array_equal(restorer.restore(picture, noise_level=np.full(picture.shape[:2], 25.0)), number)
    pairs = np.full((19, 29, 2), 25, np.float32)
    assert np.array_equal(restorer.restore(picture, noise_level=pairs), number)
    assert np.array_equal(restorer.restore(picture, noise_level=12.5, noise_scale=2), number)
    assert np.array_equal(restorer.noise_levels(picture, 25), pairs)
    estimate = restorer.noise_levels(picture)
    assert estimate.shape == (19, 29, 2)
    assert np.array_equal(restorer.restore(picture, noise_level=estimate), restorer.restore(picture))
    doubled = restorer.restore(picture, noise_level=2 * estimate)
    assert np.array_equal(restorer.restore(picture, noise_scale=2), doubled)


def test_all_noise_of_a_grey_picture_is_in_its_brightness(restorer):
    grey = np.random.default_rng(3).random((16, 24)).astype(np.float32)
    for picture in (grey, np.repeat(grey[..., None], 3, -1)):
        levels = restorer.noise_levels(picture, 20)
        np.testing.assert_allclose(levels[..., 0], 20 / SHARE_OF_LUMA, rtol=1e-6)
        assert not levels[..., 1].any()


def test_pictures_together_are_told_apart(restorer):
    first, second = (np.random.default_rng(seed).random((32, 40, 3)).astype(np.float32) for seed in (4, 5))
    together = restorer.restore_together([first, second])
    assert np.array_equal(together[0], restorer.restore(first))
    assert np.array_equal(together[1], restorer.restore(second))


def test_noise_beyond_the_range_needs_a_level_or_a_clip(restorer, picture):
    noisy = picture + 0.3 * np.random.default_rng(6).standard_normal(picture.shape).astype(np.float32)
    told = restorer.restore(noisy, noise_level=76)
    assert 0 <= told.min() <= told.max() <= 1
    with pytest.raises(LncaError, match="clip=True"):
        restorer.restore(noisy)
    assert np.array_equal(restorer.restore(noisy, clip=True), restorer.restore(noisy.clip(0, 1)))
    off = picture.copy()
    off[3, 3] = 1.0000001, 1.0009, -0.0009
    assert np.array_equal(restorer.restore(off), restorer.restore(off.clip(0, 1)))


def test_the_range_of_data(restorer, picture):
    wide = restorer.restore((picture * np.float32(4095)), data_range=4095)
    np.testing.assert_allclose(wide / 4095, restorer.restore(picture), atol=1e-5)
    with pytest.raises(LncaError, match="data_range"):
        restorer.restore(picture, data_range=0)


def test_brightness_and_colour_apart(restorer, picture):
    picture = (0.25 + picture / 2).astype(np.float32)
    weights = np.array([0.299, 0.587, 0.114])
    whole = restorer.restore(picture, noise_level=3, strength=0.2).astype(float)
    luma = restorer.restore(picture, noise_level=3, strength=0.2, chroma=0).astype(float)
    chroma = restorer.restore(picture, noise_level=3, strength=0.2, luma=0).astype(float)
    inner = ((luma > 0) & (luma < 1) & (chroma > 0) & (chroma < 1)).all(-1)
    assert inner.mean() > 0.5
    np.testing.assert_allclose((luma @ weights)[inner], (whole @ weights)[inner], atol=1e-5)
    np.testing.assert_allclose((chroma @ weights)[inner], (picture @ weights)[inner], atol=1e-5)
    np.testing.assert_allclose((luma + chroma - picture)[inner], whole[inner], atol=1e-5)
    assert np.array_equal(restorer.restore(picture, luma=0, chroma=0), picture)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise_level": -1}, "0 to 255"),
        ({"noise_level": 256}, "0 to 255"),
        ({"noise_level": float("nan")}, "0 to 255"),
        ({"noise_level": "much"}, "auto or a number"),
        ({"noise_level": np.zeros((4, 5))}, "the map of noise levels is 5x4"),
        ({"noise_scale": 0}, "above 0"),
        ({"luma": 1.5}, "luma"),
        ({"chroma": -0.1}, "chroma"),
        ({"steps": "auto"}, "take every step"),
    ],
)
def test_what_cannot_be_asked_for(restorer, picture, options, words):
    with pytest.raises(LncaError, match=words):
        restorer.restore(picture, **options)


def test_other_models_are_not_told(picture):
    with pytest.raises(LncaError, match="not told"):
        Restorer("lnca-denoise", "cpu").restore(picture, noise_level=25)


@pytest.mark.parametrize("backend", ["fused", "plain"])
def test_strips_begin_where_values_are_computed_together(path, backend):
    """Otherwise sums, of Winograd's or of numpy's products, would be rounded otherwise."""
    streamer = Restorer(path, "cpu", backend).streamer
    picture = np.random.default_rng(2).random((40, 1900, 3)).astype(np.float32)
    rows = Rows(picture)
    whole = streamer.plan(rows)
    level = streamer.levels(rows)
    expected = streamer.restore(rows, None, whole, level)
    for strip in (7, 15, 90, 120):
        assert np.array_equal(streamer.restore(rows, None, replace(whole, strip=strip), level), expected)

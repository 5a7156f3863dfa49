"""lnca as a filter of VapourSynth: on clips made here, and on a film where LNCA_CLIP names one."""

import os
import sys

import numpy as np
import pytest

import lnca

vs = pytest.importorskip("vapoursynth")
adapter = pytest.importorskip("lnca.adapters.vapoursynth")

CLIP = os.environ.get("LNCA_CLIP")
WIDTH, HEIGHT, FRAMES = 40, 32, 2
FORMATS = (vs.RGB24, vs.RGB30, vs.RGBS, vs.GRAY16)


def white(kind):
    return 1 if kind.sample_type == vs.FLOAT else 2**kind.bits_per_sample - 1


def planes(frame):
    """(H, W, C) as the frame has them."""
    return np.stack([np.asarray(frame[plane]) for plane in range(frame.format.num_planes)], -1)


def scene(number, channels):
    """A smooth picture with noise of its own, (H, W, C) in [0, 1]."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] / 8
    smooth = np.stack(
        [0.5 + 0.3 * np.sin(rows + channel + 0.2 * number) * np.cos(columns) for channel in range(channels)], -1
    )
    return (smooth + np.random.default_rng(number).normal(0, 0.06, smooth.shape)).clip(0, 1)


def shot(preset):
    """A clip of such pictures in a format."""
    blank = vs.core.std.BlankClip(width=WIDTH, height=HEIGHT, format=preset, length=FRAMES)

    def draw(n, f):
        made = f.copy()
        values = scene(n, f.format.num_planes) * white(f.format)
        for plane in range(f.format.num_planes):
            room = np.asarray(made[plane])
            room[...] = values[..., plane] if room.dtype.kind == "f" else values[..., plane].round()
        return made

    return blank.std.ModifyFrame(clips=blank, selector=draw)


@pytest.mark.parametrize("preset", FORMATS, ids=lambda preset: preset.name)
def test_frames_are_restored_as_pictures_are(preset):
    clip = shot(preset)
    restored = adapter.restore(clip)
    assert (restored.format.id, restored.num_frames) == (clip.format.id, FRAMES)
    for number in (1, 0):
        given, found = planes(clip.get_frame(number)), planes(restored.get_frame(number))
        values = given.astype(np.float32)
        wanted = lnca.restore(values if values.shape[2] == 3 else values[..., 0], data_range=white(clip.format))
        wanted = wanted.reshape(given.shape)
        assert found.dtype == given.dtype
        np.testing.assert_array_equal(found, wanted if found.dtype.kind == "f" else wanted.round())
        assert np.abs(np.diff(found.astype(float), axis=0)).mean() < np.abs(np.diff(given.astype(float), axis=0)).mean()


def test_options_reach_the_model():
    clip = shot(vs.RGB24)
    given = planes(clip.get_frame(1))
    assert np.array_equal(planes(adapter.restore(clip, strength=0).get_frame(1)), given)
    told = planes(adapter.restore(clip, noise_level=40, chroma=0.5).get_frame(1))
    wanted = lnca.restore(given.astype(np.float32), noise_level=40, chroma=0.5, data_range=255).round()
    assert np.array_equal(told, wanted)


def test_what_is_refused():
    yuv = vs.core.std.BlankClip(format=vs.YUV420P8, length=1)
    with pytest.raises(lnca.LncaError, match=r"is YUV420P8, which is no RGB; convert it with resize\.Bicubic"):
        adapter.restore(yuv)
    with pytest.raises(lnca.LncaError, match="at least 8x8"):
        adapter.restore(vs.core.std.BlankClip(format=vs.RGB24, width=64, height=4, length=1))
    changing = vs.core.std.Splice(
        [vs.core.std.BlankClip(format=vs.RGB24, width=side, height=64, length=1) for side in (64, 96)], mismatch=True
    )
    with pytest.raises(lnca.LncaError, match="changes its format or size"):
        adapter.restore(changing)
    with pytest.raises(lnca.LncaError, match="strength should lie between 0 and 1"):
        adapter.restore(shot(vs.RGB24), strength=2)
    with pytest.raises(lnca.LncaError, match="no model 'photo'"):
        adapter.restore(shot(vs.RGB24), "photo")


def test_without_vapoursynth_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "vapoursynth", None)
    monkeypatch.delitem(sys.modules, "lnca.adapters.vapoursynth")
    with pytest.raises(lnca.LncaError, match="VapourSynth cannot be imported"):
        __import__("lnca.adapters.vapoursynth")


@pytest.mark.skipif(
    CLIP is None or not hasattr(vs.core, "bs"), reason="LNCA_CLIP names no film, or BestSource is missing"
)
def test_a_film_goes_through():
    clip = vs.core.bs.VideoSource(CLIP)[:2]
    restored = adapter.restore(clip.resize.Bicubic(format=vs.RGBS, matrix_in_s="709"), noise_level=10)
    back = restored.resize.Bicubic(format=clip.format, matrix_s="709")
    assert (back.format.id, back.width, back.height) == (clip.format.id, clip.width, clip.height)
    for number in range(2):
        given, found = (np.asarray(each.get_frame(number)[0]).astype(float) for each in (clip, back))
        assert 0 < np.abs(found - given).mean() < 10
        assert np.abs(np.diff(found)).mean() < np.abs(np.diff(given)).mean()

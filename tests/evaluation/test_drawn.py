"""Drawings show what their names say, and are always the same."""

import numpy as np

from lnca.evaluation.drawn import HEIGHT, WIDTH, drawn_pictures


def test_they_are_the_same_every_time_and_differ_from_one_another():
    first, second = drawn_pictures(), drawn_pictures()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert all(picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8 for picture in first.values())
    assert len({picture.tobytes() for picture in first.values()}) == len(first)


def test_red_text_on_blue_is_red_and_blue():
    picture = drawn_pictures()["red text on blue"]
    assert not picture[..., 1].any()
    blue, red = ((picture == colour).all(-1).mean() for colour in ([0, 0, 255], [255, 0, 0]))
    assert blue > 0.5
    assert red > 0.01


def test_flat_colours_are_saturated():
    picture = drawn_pictures()["flat colours"]
    assert set(np.unique(picture)) == {0, 255}
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 8


def test_line_art_is_black_on_white():
    picture = drawn_pictures()["line art"]
    assert 0.05 < (picture == 0).all(-1).mean() < 0.5
    assert (picture[..., 0] == picture[..., 2]).all()

"""Restoring reports its progress."""

import numpy as np
import pytest

import lnca


@pytest.mark.parametrize(
    ("model", "max_memory"), [("photo-denoise", None), ("photo-denoise", "40MB"), ("lnca-denoise", None)]
)
def test_the_share_grows_to_one(model, max_memory):
    picture = np.random.default_rng(0).integers(0, 256, (400, 200, 3), np.uint8)
    seen = []
    lnca.load(model).restore(picture, max_memory=max_memory, progress=seen.append)
    assert len(seen) > 1
    assert seen == sorted(seen)
    assert seen[-1] == 1

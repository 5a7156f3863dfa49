"""Restores a noisy picture: fully, with half the strength, and in one part only.

python examples/01_restore_a_picture.py
"""

import numpy as np
from PIL import Image

import lnca
from lnca.demo import photograph

clean = np.asarray(photograph())
noise = np.random.default_rng(0).normal(0, 25, clean.shape)
noisy = (clean + noise).clip(0, 255).astype(np.uint8)

restored = lnca.restore(noisy)
half = lnca.restore(noisy, strength=0.5)
mask = np.zeros(noisy.shape[:2], np.float32)
mask[:, noisy.shape[1] // 2 :] = 1
right = lnca.restore(noisy, mask=mask)

for name, picture in (("noisy", noisy), ("restored", restored), ("half", half), ("right", right)):
    error = np.abs(picture.astype(float) - clean).mean()
    print(f"{name:9} is off by {error:.1f} of 255 on average")
    Image.fromarray(picture).save(f"{name}.png")

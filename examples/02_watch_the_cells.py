"""Shows how the picture improves with every step of the automaton, and which cells had work to do.

python examples/02_watch_the_cells.py
"""

from pathlib import Path

import numpy as np
from PIL import Image

import lnca
from lnca.demo import photograph
from lnca.restoration.showing import draw_heat_map, save_film

clean = np.asarray(photograph())[100:300, 100:300]
noisy = (clean + np.random.default_rng(0).normal(0, 25, clean.shape)).clip(0, 255).astype(np.uint8)

model = lnca.load("lnca-denoise", "cpu")
frames = list(model.iterate(noisy, steps=8))
for step, frame in enumerate(frames):
    print(f"after {step} steps the picture is off by {np.abs(frame.astype(float) - clean).mean():.2f} of 255")

save_film([Image.fromarray(frame) for frame in frames], Path("steps.gif"))
if model.streamer is not None:
    settled = model.settle(noisy, steps=32)
    print(f"a cell took {settled.steps.mean():.1f} of 32 steps on average")
    draw_heat_map(settled.steps[0], 4).save("heat-map.png")

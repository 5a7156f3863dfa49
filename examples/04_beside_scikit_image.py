"""Compares lnca.denoise, which is called like scikit-image's functions, with two of them.

pip install scikit-image
python examples/04_beside_scikit_image.py
"""

import numpy as np
from PIL import Image
from skimage import metrics, restoration, util

import lnca
from lnca.demo import photograph

clean = util.img_as_float(np.asarray(photograph())[100:300, 100:300])
noisy = util.random_noise(clean, var=0.01, rng=0)

results = {
    "noisy": noisy,
    "total variation": restoration.denoise_tv_chambolle(noisy, weight=0.1, channel_axis=-1),
    "non-local means": restoration.denoise_nl_means(noisy, h=0.08, fast_mode=True, channel_axis=-1),
    "lnca": lnca.denoise(noisy, channel_axis=-1),
}
for name, picture in results.items():
    print(f"{name:16} {metrics.peak_signal_noise_ratio(clean, picture, data_range=1):.1f} dB")
Image.fromarray(util.img_as_ubyte(results["lnca"].clip(0, 1))).save("denoised.png")

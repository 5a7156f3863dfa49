"""Removes a blur with deepinv and a denoiser of lnca, which is the prior of plug-and-play.

pip install deepinv
python examples/06_in_deepinv.py
"""

import deepinv
import torch

from lnca.adapters.deepinv import LatentDenoiser
from lnca.demo import photograph
from lnca.restoration.pictures import to_image, to_tensor

clean = to_tensor(photograph())[..., 100:228, 100:228]
blur = deepinv.physics.BlurFFT(
    img_size=clean.shape[1:],
    filter=deepinv.physics.functional.blur.gaussian_blur(sigma=(1.5, 1.5)),
    noise_model=deepinv.physics.GaussianNoise(0.03, rng=torch.Generator().manual_seed(0)),
)
blurred = blur(clean)

reconstruct = deepinv.optim.optim_builder(
    "DRS",
    prior=deepinv.optim.PnP(denoiser=LatentDenoiser("photo-denoise")),
    data_fidelity=deepinv.optim.L2(),
    max_iter=10,
    params_algo={"stepsize": 5.0, "g_param": 0.03},
)
with torch.no_grad():
    sharp = reconstruct(blurred, blur)

psnr = deepinv.metric.PSNR()
print(f"blurred {psnr(blurred, clean).item():.1f} dB, reconstructed {psnr(sharp, clean).item():.1f} dB")
to_image(sharp[0]).save("reconstructed.png")

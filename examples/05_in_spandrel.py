"""Loads weights of lnca with spandrel, which recognises them by the names of their tensors.

pip install spandrel torchvision
python examples/05_in_spandrel.py
"""

import torch
from spandrel import ModelLoader

import lnca
from lnca.adapters.spandrel import register
from lnca.demo import photograph
from lnca.restoration.pictures import to_image, to_tensor

register()
weights = next(model.path for model in lnca.models() if model.name == "photo-denoise")
model = ModelLoader().load_from_file(weights)
print(model.architecture.name, model.purpose, *model.tags)

clean = to_tensor(photograph())[..., 100:300, 100:300]
noisy = (clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
restored = model(noisy)
print(f"off by {(noisy - clean).abs().mean():.3f}, restored by {(restored - clean).abs().mean():.3f}")
to_image(restored[0]).save("restored.png")

"""Exports a model as ONNX graphs and runs them with numpy and ONNX Runtime, without torch.

python examples/03_without_torch.py
"""

import numpy as np

from lnca.demo import photograph
from lnca.exporting import export
from lnca.onnx import OnnxRestorer

description = export("latent-nafca-denoise", "exported", steps_in_graph=8, overwrite=True)
print(f"the graphs differ from the model by {description['checks']['float32']['largest difference']:.1g}")

picture = np.asarray(photograph())[:96, :128]
restored = OnnxRestorer("exported").restore(picture)
print(restored.shape, restored.dtype)

"""The conversion script of a model repository for darktable: `dtai convert` calls `convert` with what model.yaml says.

It needs lnca and what its export needs: pip install 'lnca[export]'.
"""

import tempfile
from pathlib import Path

from lnca.exporting.darktable import TILE, export_darktable, unpacked


def convert(model: str, output: str, tile: int = TILE) -> None:
    """Writes the graph of a model that comes with lnca, or of a weight file, to `output`."""
    with tempfile.TemporaryDirectory() as folder:
        written = export_darktable(model, folder, tile=tile)
        _, graph = unpacked(Path(written["file"]))
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_bytes(graph)

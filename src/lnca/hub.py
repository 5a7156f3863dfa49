"""Models on the Hugging Face hub, or in a folder with the same files: weights, settings and card; no pickles.

Examples:
    >>> model = lnca.from_pretrained("owner/name", revision="v1")
    >>> lnca.hub.save_pretrained("lnca-denoise", "folder")
    >>> lnca.hub.push_to_hub("runs/mine/lnca-denoise.safetensors", "owner/name")
"""

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .catalogue import ModelInfo, describe, locate, shipped_weights
from .errors import LncaError, in_short
from .files import write_together

if TYPE_CHECKING:
    from .restoration.restorer import Restorer

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
# Placeholder for an unknown repository.
PLACEHOLDER = "OWNER/NAME"
# Kinds of models by architecture; all others are networks.
AUTOMATA = {
    "latent-nafca": "latent neural cellular automaton",
    "latent-vitca": "latent neural cellular automaton",
    "lnca": "latent neural cellular automaton beside a path at full resolution",
    "pyramid": "latent neural cellular automaton on three lattices",
    "deblur": "deconvolution whose denoiser is a latent neural cellular automaton",
    "vitca": "neural cellular automaton in pixel space",
}
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def from_pretrained(where: str | Path, revision: str | None = None, **options: Any) -> "Restorer":
    """Loads a trained model from a folder, a weight file, the package, or the hub.

    Args:
        where: a folder that `save_pretrained` wrote, a file, a name from `lnca.models()`, or a hub id owner/name.
        revision: a branch, tag or commit of the hub's repository; a fixed one gives the same results later.
        options: options of `lnca.load`: device, backend, precision.

    Raises:
        LncaError: the model does not exist, or the hub cannot be reached.
    """
    from .restoration.restorer import Restorer

    return Restorer(_found(where, revision), **options)


def _found(where: str | Path, revision: str | None) -> Path:
    path = Path(where)
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise LncaError(f"{path} holds no {WEIGHTS}; `lnca.hub.save_pretrained` writes one")
        return path / WEIGHTS
    if path.is_file() or str(where) in shipped_weights() or not HUB_ID.fullmatch(str(where)):
        return locate(where)
    hub = _library()
    try:
        return Path(hub.hf_hub_download(str(where), WEIGHTS, revision=revision))
    # The hub raises many kinds of errors, its own and those of its transport.
    except Exception as error:
        pinned = f" at {revision}" if revision else ""
        raise LncaError(f"{where}{pinned} cannot be had from the hub: {in_short(error)}") from error


def save_pretrained(name_or_path: str | Path, folder: str | Path, repository: str = PLACEHOLDER) -> Path:
    """Writes a model as the hub has it: model.safetensors, config.json and README.md, its card.

    Args:
        repository: "owner/name" that it is for, which the card's example loads.

    Raises:
        LncaError: the model does not exist, or the folder cannot be written.
    """
    from .runtime.weights import whole

    source, folder = locate(name_or_path), Path(folder)
    info = describe(source)
    settings = {"library": "lnca", "architecture": info.architecture, "settings": info.settings}
    described = (json.dumps(settings, indent=2) + "\n").encode()
    contents = {WEIGHTS: whole(source), CARD: card(info, repository).encode(), CONFIG: described}
    write_together(folder, contents)
    return folder


def push_to_hub(name_or_path: str | Path, repository: str, private: bool = False) -> str:
    """Uploads what `save_pretrained` writes to "owner/name", which is made if need be; returns the commit's address.

    Raises:
        LncaError: the model does not exist, the name is invalid, or the hub refuses.
    """
    if not HUB_ID.fullmatch(repository):
        raise LncaError(f"{repository!r} is no repository of the hub; write owner/name")
    hub = _library()
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(name_or_path, folder, repository)
        try:
            client = hub.HfApi()
            client.create_repo(repository, private=private, exist_ok=True)
            return str(client.upload_folder(repo_id=repository, folder_path=folder, commit_message="Model"))
        except Exception as error:
            raise LncaError(f"the hub refused {repository}: {in_short(error)}") from error


def card(info: ModelInfo, repository: str = PLACEHOLDER) -> str:
    """A model's card in Markdown, with the hub's header, and an example that loads it from its repository."""
    task = info.card.get("task", "restoration")
    quality = info.card.get("quality")
    scores = ""
    if quality:
        before, after = quality["input"], quality["output"]
        scores = (
            "| | SSIM | PSNR (dB) |\n| --- | --- | --- |\n"
            f"| corrupted | {before['ssim']['mean']:.4f} | {before['psnr']['mean']:.2f} |\n"
            f"| restored | {after['ssim']['mean']:.4f} | {after['psnr']['mean']:.2f} |\n"
        )
    licence = info.card.get("licence", "not stated")
    tags = ["lnca", "image-restoration", *(["neural-cellular-automata"] if info.architecture in AUTOMATA else [])]
    return f"""---
library_name: lnca
license: {"apache-2.0" if "Apache-2.0" in licence else "other"}
pipeline_tag: image-to-image
tags: [{", ".join(tags)}]
---

# {info.name}

A {AUTOMATA.get(info.architecture, "network")} ({info.architecture}) for {task}, {info.parameters} numbers.

    pip install 'lnca[hub]'
    python -c "import lnca; lnca.from_pretrained('{repository}')"

Data: {info.card.get("data", "not stated")}. Licence: {licence}.

{scores}"""


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise LncaError("the hub needs huggingface_hub: pip install 'lnca[hub]'") from error
    return huggingface_hub

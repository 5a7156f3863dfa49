"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ..errors import LncaError
from .declare import Option

if TYPE_CHECKING:
    from ..corruption import Task
    from ..data.splits import Split
    from ..degradation import PhotoTask
    from ..runtime.native import Backend, Precision

Engine = Literal["local", "ray"]

Device = Annotated[str, Option(help="auto, cpu, cuda or mps.")]
Json = Annotated[bool, Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace outputs that exist.")]
MaxPixels = Annotated[int, Option(help="Refuse pictures with more pixels than this.", min=1)]
Data = Annotated[Path, Option(help="Folder of clean pictures (with its subfolders), or of prepared tiles.")]
SkipBroken = Annotated[bool, Option("--skip-broken", help="Leave out pictures that cannot be read.")]
BackendOption = Annotated[str, Option("--backend", help="auto, plain, compiled or fused; plain is the reference.")]
PrecisionOption = Annotated[str, Option("--precision", help="float32, or bfloat16 for fused and compiled steps.")]


def checked_task(name: str) -> "Task | PhotoTask":
    """The task of that name; raises `LncaError` for another."""
    match name:
        case "denoise" | "deblur" | "photo-denoise" | "photo-deblur":
            return name
        case _:
            raise LncaError(f"--task should be denoise, deblur, photo-denoise or photo-deblur, got {name!r}")


def checked_paper_task(name: str) -> "Task":
    """The task of that name, one of the paper's; raises `LncaError` for another."""
    match name:
        case "denoise" | "deblur":
            return name
        case _:
            raise LncaError(f"--task should be denoise or deblur, got {name!r}")


def checked_split(name: str) -> "Split":
    """The split of that name; raises `LncaError` for another."""
    match name:
        case "train" | "validation" | "test" | "all":
            return name
        case _:
            raise LncaError(f"--split should be train, validation, test or all, got {name!r}")


def checked_backend(name: str) -> "Backend":
    """The backend of that name; raises `LncaError` for another."""
    match name:
        case "auto" | "plain" | "compiled" | "fused":
            return name
        case _:
            raise LncaError(f"--backend should be auto, plain, compiled or fused, got {name!r}")


def checked_engine(name: str) -> Engine:
    """The engine of that name; raises `LncaError` for another."""
    match name:
        case "local" | "ray":
            return name
        case _:
            raise LncaError(f"--engine should be local or ray, got {name!r}")


def checked_precision(name: str) -> "Precision":
    """The precision of that name; raises `LncaError` for another."""
    match name:
        case "float32" | "bfloat16":
            return name
        case _:
            raise LncaError(f"--precision should be float32 or bfloat16, got {name!r}")

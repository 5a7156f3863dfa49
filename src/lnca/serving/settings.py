"""What a service does and does not do."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..restoration.notation import Noise

if TYPE_CHECKING:
    from ..runtime.native import Backend, Precision


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a service.

    Args:
        models: by the name that requests give, a shipped model's name or a weight file; the first is the default.
        device, backend, precision: as of `lnca.load`.
        workers: processes that restore, each with its share of the processor.
        batch: the most requests a worker is given at a time.
        queue: the most requests that are read, wait or are restored; those beyond get 429.
        queue_bytes: the most bytes of pictures that they hold together.
        max_bytes: the most bytes of a picture file.
        max_pixels: the most pixels of all its frames together.
        max_steps: the most steps a request may ask for.
        memory: bytes a worker may take beyond what it has when its models are loaded (on Linux).
        seconds: from when a request has been read until it is answered.
        upload_seconds: for reading a request.
    """

    models: dict[str, str] = field(default_factory=dict)
    device: str = "auto"
    backend: "Backend" = "auto"
    precision: "Precision" = "float32"
    workers: int = 1
    batch: int = 8
    queue: int = 64
    queue_bytes: int = 512 * 10**6
    max_bytes: int = 32 * 10**6
    max_pixels: int = 25 * 10**6
    max_steps: int = 128
    memory: int = 4 * 10**9
    seconds: float = 120.0
    upload_seconds: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How a picture is to be restored, as `lnca.restoration.batch.Way` has it: requests of equal wishes go together.

    Args:
        kernel: the file of a blur kernel in base64, which only a worker looks into.
        kernel_out: whether the kernel that is found is part of the answer.
    """

    model: str
    steps: int | Literal["auto"] | None = None
    strength: float = 1.0
    noise: Noise = Noise()
    region: tuple[int, int, int, int] | None = None
    kernel: str | None = None
    kernel_out: bool = False

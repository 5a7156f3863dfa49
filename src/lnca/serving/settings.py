"""Settings of a service, and the options of a request."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..restoration.notation import Noise

if TYPE_CHECKING:
    from ..runtime.native import Backend, Precision


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a service.

    Args:
        models: the model of each name in requests: the name of a shipped model or a weight file. The first one is the
            default.
        device, backend, precision: see `lnca.load`.
        workers: number of worker processes, which share the CPU.
        batch: largest number of requests that a worker gets at a time.
        queue: largest number of requests that are read, waiting or being restored; further ones get status 429.
        queue_bytes: largest total size of their picture files in bytes.
        max_bytes: largest size of a picture file in bytes.
        max_pixels: largest number of pixels of all frames of a picture together.
        max_steps: largest number of steps of a request.
        memory: bytes that a worker may use in addition to its memory after loading the models (on Linux).
        seconds: time limit in seconds from when a request has been read until it is answered.
        upload_seconds: time limit in seconds for reading a request.
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
class RequestOptions:
    """The options of a request, see `lnca.restoration.batch.RestoreOptions`. Requests with equal options may be
    restored together.

    Args:
        kernel: the file of a blur kernel in base64, which only a worker decodes.
        kernel_out: whether the answer includes the estimated kernel.
    """

    model: str
    steps: int | Literal["auto"] | None = None
    strength: float = 1.0
    noise: Noise = Noise()
    region: tuple[int, int, int, int] | None = None
    kernel: str | None = None
    kernel_out: bool = False

"""`lnca serve`."""

import sys
from pathlib import Path
from typing import Annotated

from ..catalogue import DEFAULT_MODEL, locate, shipped_weights
from ..errors import LncaError
from ..restoration.notation import parse_bytes
from .declare import Option
from .options import BackendOption, Device, PrecisionOption, checked_backend, checked_precision


def serve(
    host: Annotated[str, Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    model: Annotated[
        list[str] | None,
        Option(help="Name or weight file of a model that requests may use, the default first; without it: all models."),
    ] = None,
    token_file: Annotated[
        Path | None,
        Option(help="File with the token. Without it: LNCA_TOKEN, or else a new token, which is printed."),
    ] = None,
    no_token: Annotated[
        bool, Option("--no-token", help="Answer all requests from this machine without a token.")
    ] = False,
    queue: Annotated[int, Option(min=1, help="Pictures in the service at a time; further requests get 429.")] = 64,
    batch: Annotated[int, Option(min=1, help="Pictures that a process gets at a time.")] = 8,
    workers: Annotated[int, Option(min=1, help="Processes that restore.")] = 1,
    max_size: Annotated[str, Option(help="Refuse files that are larger than this.")] = "32MB",
    max_queue_size: Annotated[str, Option(help="Total size of the files in the service at a time.")] = "512MB",
    max_pixels: Annotated[int, Option(min=64, help="Refuse pictures with more pixels than this.")] = 25_000_000,
    max_steps: Annotated[int, Option(min=0, max=10_000, help="Refuse requests for more steps than this.")] = 128,
    max_memory: Annotated[str, Option(help="Memory of a process in addition to its models (on Linux).")] = "4GB",
    seconds: Annotated[float, Option(min=0.1, help="Time limit for restoring a picture.")] = 120,
    upload_seconds: Annotated[float, Option(min=0.1, help="Time limit for receiving a picture.")] = 30,
    device: Device = "auto",
    backend: BackendOption = "auto",
    precision: PrecisionOption = "float32",
) -> None:
    """Restore pictures over HTTP: POST /restore. See docs/serve.md."""
    try:
        from ..serving.server import bound, chosen_token, serve
    except ModuleNotFoundError as error:
        raise LncaError(f"serving needs {error.name}: pip install 'lnca[serve]'") from error
    from ..serving.settings import Settings

    settings = Settings(
        models=_served(model),
        device=device,
        backend=checked_backend(backend),
        precision=checked_precision(precision),
        workers=workers,
        batch=batch,
        queue=queue,
        queue_bytes=parse_bytes(max_queue_size),
        max_bytes=parse_bytes(max_size),
        max_pixels=max_pixels,
        max_steps=max_steps,
        memory=parse_bytes(max_memory),
        seconds=seconds,
        upload_seconds=upload_seconds,
    )
    if settings.max_bytes > settings.queue_bytes:
        raise LncaError("--max-queue-size should be no less than --max-size, or no file of that size could be sent")
    token, new = chosen_token(token_file, no_token)

    def ready(address: str) -> None:
        print(f"lnca: {next(iter(settings.models))} on {address}; Ctrl-C ends it", file=sys.stderr)
        if new:
            print(f"token: {token}", flush=True)

    with bound(host, port, token) as listening:
        tally = serve(settings, listening, token, ready)
    print(f"lnca: {tally}", file=sys.stderr)


def _served(models: list[str] | None) -> dict[str, str]:
    """Names of the models in requests, and where the models are."""
    shipped = shipped_weights()
    if not models:
        return {name: name for name in sorted(shipped, key=lambda name: name != DEFAULT_MODEL)}
    served: dict[str, str] = {}
    for model in models:
        path = locate(model)
        name = model if model in shipped else path.stem
        if name in served:
            raise LncaError(f"two models would be called {name}; rename one of the weight files")
        served[name] = model if model in shipped else str(path.resolve())
    return served

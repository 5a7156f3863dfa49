"""The HTTP application: its paths, parameters and answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from ..errors import LncaError
from ..images.formats import ALL
from ..restoration.notation import Noise, parse_region
from ..version import __version__
from .body import declared, discard, in_base64, read_body
from .guard import Guard
from .queue import Answer, Job, Queue, Refusal
from .settings import RequestOptions, Settings

MEDIA = {each.name: each.media for each in ALL if each.write is not None}
PARAMETERS = (
    "model",
    "steps",
    "strength",
    "noise_level",
    "noise_scale",
    "luma",
    "chroma",
    "region",
    "format",
    "kernel",
    "kernel_out",
)
# The formats of `MEDIA`, in lower case.
Kind = Literal[
    "jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heic", "jxl", "jp2", "exr", "hdr", "pnm", "pfm", "tga"
]
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Error(BaseModel):
    """An error: one sentence with the cause and the remedy."""

    error: str


class ModelEntry(BaseModel):
    """An available model and its backend."""

    name: str
    backend: str


class Models(BaseModel):
    """The available models."""

    default: str
    models: list[ModelEntry]


ELSEWHERE = {404: "there is nothing here; POST /restore restores a picture", 405: "this path takes another method"}
STATUSES = {
    401: "The token is missing or wrong.",
    408: "The picture did not arrive in time.",
    413: "Too many bytes or too many pixels.",
    415: "The body is no picture in a supported format.",
    422: "A parameter is wrong, or the picture is damaged or cannot be restored.",
    429: "Too many pictures are waiting; Retry-After says when to try again.",
    503: "The request waited too long, or no worker is ready; Retry-After says when to try again.",
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Error, "description": text} for status, text in STATUSES.items()
}
BODY = {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
PICTURE = {
    "description": "The restored picture, with depth, frames, EXIF, XMP and colour profile where its format allows.",
    "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA.values()},
    "headers": {
        "Lnca-Request": {"description": "Number of the request.", "schema": {"type": "integer"}},
        "Lnca-Model": {"description": "The model.", "schema": {"type": "string"}},
        "Lnca-Steps": {"description": "Steps of a cell, on average.", "schema": {"type": "number"}},
        "Lnca-Kernel": {
            "description": "With kernel_out: the estimated blur kernel, a 16-bit PNG in base64.",
            "schema": {"type": "string"},
        },
        "Lnca-Notes": {
            "description": "JSON: what could not be kept, one phrase each.",
            "schema": {"type": "string"},
        },
    },
}


def create_app(settings: Settings, queue: Queue, token: str | None) -> ASGIApp:
    """The application, behind a `Guard`.

    Args:
        settings: settings of the service.
        queue: restores the pictures.
        token: the token that clients must send; None serves clients on this machine only.
    """
    app = FastAPI(
        title="lnca",
        version=__version__,
        description="Restores pictures with latent neural cellular automata.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={401: REFUSALS[401]},
    )
    names = list(settings.models)

    def request_options(
        model: str,
        steps: int | str | None,
        strength: float,
        noise: Noise,
        region: str | None,
        kernel: str | None,
        kernel_out: bool,
    ) -> RequestOptions:
        if model not in settings.models:
            raise Refusal(422, f"no model {model[:60]!r} is served here; there are {', '.join(names)}")
        if isinstance(steps, int) and not 0 <= steps <= settings.max_steps:
            raise Refusal(422, f"steps should be 0 to {settings.max_steps}, got {str(steps)[:20]}")
        if kernel is not None and kernel_out:
            raise Refusal(422, "kernel_out returns an estimated kernel; leave kernel out")
        try:
            where = None if region is None else parse_region(region)
        except LncaError as error:
            raise Refusal(422, str(error)) from error
        return RequestOptions(
            model=settings.models[model],
            steps="auto" if steps == "auto" else steps,  # type: ignore[arg-type]
            strength=strength,
            noise=noise,
            region=where,
            kernel=None if kernel is None else in_base64(kernel),
            kernel_out=kernel_out,
        )

    @app.post(
        "/restore", response_class=Response, responses={200: PICTURE, **REFUSALS}, openapi_extra={"requestBody": BODY}
    )
    async def restore(
        request: Request,
        model: Annotated[str, Query(description="A name that /models lists.")] = names[0],
        steps: Annotated[
            int | Literal["auto"] | None,
            Query(description="Steps of the automaton, or auto to end when the cells have settled."),
        ] = None,
        strength: Annotated[
            float, Query(ge=0, le=1, description="Weight of the restored picture in the result.")
        ] = 1.0,
        noise_level: Annotated[
            Annotated[float, Field(ge=0, le=255)] | Literal["auto"],
            Query(description="Standard deviation of the noise in 255ths; auto estimates it."),
        ] = "auto",
        noise_scale: Annotated[float, Query(gt=0, le=100, description="Factor of the noise level.")] = 1.0,
        luma: Annotated[float, Query(ge=0, le=1, description="Share of the correction in brightness.")] = 1.0,
        chroma: Annotated[float, Query(ge=0, le=1, description="Share of the correction in colour.")] = 1.0,
        region: Annotated[
            str | None, Query(description="Restore only this rectangle: left,top,width,height in pixels.")
        ] = None,
        format: Annotated[Kind | None, Query(description="Format of the answer; default: the picture's own.")] = None,
        kernel: Annotated[
            str | None,
            Query(description="Blur kernel, for models that take one: a PNG, TIFF or .npy file in base64."),
        ] = None,
        kernel_out: Annotated[bool, Query(description="Return the estimated kernel in Lnca-Kernel.")] = False,
    ) -> Response:
        """Restore a picture: the file is the body of the request, the restored file the body of the answer."""
        others = set(request.query_params) - set(PARAMETERS)
        if others:
            raise Refusal(422, f"no parameter {min(others)[:60]!r}; there are {', '.join(PARAMETERS)}")
        given = [name for name, _ in request.query_params.multi_items()]
        twice = [name for name in PARAMETERS if given.count(name) > 1]
        if twice:
            raise Refusal(422, f"{twice[0]} is given {given.count(twice[0])} times; give it once")
        noise = Noise(level=noise_level, scale=noise_scale, luma=luma, chroma=chroma)
        options = request_options(model, steps, strength, noise, region, kernel, kernel_out)
        with queue.place(declared(request, settings.max_bytes)):
            content = await read_body(request, settings.max_bytes, settings.upload_seconds)
            job = await queue.accept(content, options, None if format is None else format.upper())
            answer = await answered(job, request)
        headers = {"lnca-request": str(job.number), "lnca-model": model}
        if answer.steps is not None:
            headers["lnca-steps"] = f"{answer.steps:g}"
        if answer.noise_level is not None:
            levels = (answer.noise_level["brightness"], answer.noise_level["colour"])
            headers["lnca-noise-level"] = ", ".join(f"{level:g}" for level in levels)
        if answer.kernel is not None:
            headers["lnca-kernel"] = answer.kernel
        if answer.notes:
            headers["lnca-notes"] = json.dumps(answer.notes)
        return Response(answer.content, media_type=MEDIA[answer.kind], headers=headers)

    @app.get("/models")
    async def models() -> Models:
        """The available models."""
        backends = queue.backends
        listed = [ModelEntry(name=name, backend=backends.get(where, "")) for name, where in settings.models.items()]
        return Models(default=names[0], models=listed)

    @app.get("/health/live", response_class=PlainTextResponse)
    async def live() -> str:
        """Whether the service runs. Needs no token."""
        return "alive\n"

    @app.get("/health/ready", response_class=PlainTextResponse, responses={503: {"description": "Not now."}})
    async def ready() -> Response:
        """Whether the service can take another picture. Needs no token."""
        return PlainTextResponse("ready\n") if queue.ready else PlainTextResponse("busy\n", 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Metrics in Prometheus's format."""
        return Response(queue.metrics.text(), media_type=METRICS)

    say_what_is_wrong(app, settings)

    def count(path: str, status: int) -> None:
        if path == "/restore":
            queue.metrics.answers.labels(str(status)).inc()

    return Guard(app, token, count)


async def answered(job: Job, request: Request) -> Answer:
    """Waits for the answer to a job; cancels the job if the client disconnects.

    Raises:
        Refusal: there is no answer; it has the number of the request.
        ClientDisconnect: the client disconnected.
    """
    gone = asyncio.ensure_future(disconnected(request.receive))
    either: list[asyncio.Future[Any]] = [job.answer, gone]
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not job.answer.done():
            raise ClientDisconnect
        return job.answer.result()
    except Refusal as refusal:
        refusal.number = job.number
        raise
    finally:
        gone.cancel()
        job.answer.cancel()


async def disconnected(receive: Callable[[], Awaitable[Any]]) -> None:
    """Waits until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass


def say_what_is_wrong(app: FastAPI, settings: Settings) -> None:
    """Registers handlers that answer every error with one sentence, as JSON."""

    async def say(request: Request, status: int, sentence: str, headers: dict[str, str]) -> JSONResponse:
        if status == 408 or not await discard(request, settings.max_bytes):
            headers = {**headers, "connection": "close"}
        return JSONResponse({"error": sentence}, status, headers)

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> JSONResponse:
        headers = {} if refusal.after is None else {"retry-after": str(refusal.after)}
        if refusal.number is not None:
            headers["lnca-request"] = str(refusal.number)
        return await say(request, refusal.status, refusal.sentence, headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        return JSONResponse({"error": "the client disconnected"}, 499)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name, given = first["loc"][-1] if len(first["loc"]) < 3 else first["loc"][1], str(first.get("input"))[:40]
        reason = first["msg"][:1].lower() + first["msg"][1:]
        return await say(request, 422, f"{name} is wrong: {reason}, got {given!r}", {})

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        sentence = ELSEWHERE.get(error.status_code, str(error.detail))
        return await say(request, error.status_code, sentence, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "this is an error of the service, which has been logged"}, 500)

"""The service's side of a worker process: starts it, sends it work, and receives its answers."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from ..errors import LncaError
from .messages import packed, receive_message
from .settings import RequestOptions, Settings

# Seconds that a worker may take to load its models, and to end when it is stopped.
STARTING, ENDING = 120, 5
# Largest size of an answer in bytes per allowed pixel: floating point with alpha, poorly compressed, and metadata.
ANSWER = 20


class WorkerGone(Exception):
    """The process died or sent an invalid message."""


class WorkerProcess:
    """One worker.

    Args:
        settings: settings of the service.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._max_bytes = settings.max_bytes * 4 + settings.max_pixels * ANSWER

    async def start(self) -> dict[str, str]:
        """Starts the process; returns the backend of each model.

        Raises:
            LncaError: a model cannot be loaded, or there is not enough memory for the process.
        """
        settings = {
            "models": list(self.settings.models.values()),
            "device": self.settings.device,
            "backend": self.settings.backend,
            "precision": self.settings.precision,
            "max_pixels": self.settings.max_pixels,
            "memory": self.settings.memory,
            "workers": self.settings.workers,
        }
        command = (sys.executable, "-m", "lnca.serving.worker", json.dumps(settings))
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, limit=2**20, start_new_session=True
        )
        try:
            async with asyncio.timeout(STARTING):
                header, _ = await self._receive()
        except (WorkerGone, TimeoutError) as error:
            await self.kill()
            raise LncaError("a worker does not start; there may be too little memory for it") from error
        if "error" in header:
            await self.kill()
            raise LncaError(str(header["error"]))
        return header["backends"]

    async def _receive(self) -> tuple[dict[str, Any], bytes]:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            return await receive_message(self._process.stdout, self._max_bytes)
        except (ValueError, asyncio.IncompleteReadError, OSError) as error:
            raise WorkerGone(str(error)) from error

    async def restore(
        self, tasks: list[tuple[int, bytes, str | None]], options: RequestOptions
    ) -> AsyncIterator[tuple[dict[str, Any], bytes]]:
        """Yields header and content of the answer to each task, in any order.

        Args:
            tasks: number of the request, content of the file, and format of the answer (the file's own if None).
            options: options of all tasks.

        Raises:
            WorkerGone: the process died, or sent an invalid message.
            TimeoutError: an answer took longer than `settings.seconds`.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        listed = [{"number": number, "size": len(content), "kind": kind} for number, content, kind in tasks]
        message = packed({"tasks": listed, "options": asdict(options)}, *(content for _, content, _ in tasks))
        unanswered = {number for number, _, _ in tasks}
        stdin = self._process.stdin
        try:
            async with asyncio.timeout(self.settings.seconds):
                stdin.writelines(message)
                await stdin.drain()
        except OSError as error:
            raise WorkerGone(str(error)) from error
        while unanswered:
            async with asyncio.timeout(self.settings.seconds):
                header, content = await self._receive()
            if header.get("number") not in unanswered or not isinstance(header.get("status"), int):
                raise WorkerGone("an answer to no request")
            unanswered.remove(header["number"])
            yield header, content

    async def kill(self) -> None:
        """Ends the process at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """Ends the process after its current work; kills it if that takes longer than `ENDING`."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            async with asyncio.timeout(ENDING):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

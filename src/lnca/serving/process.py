"""A worker process as the service sees it: started, given work, watched, and replaced when it is gone."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from ..errors import LncaError
from .messages import packed, receive_message
from .settings import Settings, Wish

# Seconds a worker may take to load its models, and to end when it is told to.
STARTING, ENDING = 120, 5
# Bytes of an answer for each pixel that is allowed, at the most: floating point with alpha, hardly compressed, and what
# goes with it.
ANSWER = 20


class WorkerGone(Exception):
    """The process died or said what makes no sense."""


class WorkerProcess:
    """One worker.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._most = settings.max_bytes * 4 + settings.max_pixels * ANSWER

    async def start(self) -> dict[str, str]:
        """Starts the process; gives the backend of each model.

        Raises:
            LncaError: a model cannot be loaded, or there is no room for the process.
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
        words = (sys.executable, "-m", "lnca.serving.worker", json.dumps(settings))
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *words, stdin=pipe, stdout=pipe, limit=2**20, start_new_session=True
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
            return await receive_message(self._process.stdout, self._most)
        except (ValueError, asyncio.IncompleteReadError, OSError) as error:
            raise WorkerGone(str(error)) from error

    async def restore(
        self, tasks: list[tuple[int, bytes, str | None]], wish: Wish
    ) -> AsyncIterator[tuple[dict[str, Any], bytes]]:
        """Yields an answer for each task (number, content, format), in any order; an answer may take `seconds`.

        Raises:
            WorkerGone: the process died.
            TimeoutError: an answer took longer.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        listed = [{"number": number, "size": len(content), "kind": kind} for number, content, kind in tasks]
        message = packed({"tasks": listed, "wish": asdict(wish)}, *(content for _, content, _ in tasks))
        left = {number for number, _, _ in tasks}
        stdin = self._process.stdin
        try:
            async with asyncio.timeout(self.settings.seconds):
                stdin.writelines(message)
                await stdin.drain()
        except OSError as error:
            raise WorkerGone(str(error)) from error
        while left:
            async with asyncio.timeout(self.settings.seconds):
                header, content = await self._receive()
            if header.get("number") not in left or not isinstance(header.get("status"), int):
                raise WorkerGone("an answer to no request")
            left.remove(header["number"])
            yield header, content

    async def kill(self) -> None:
        """Ends the process at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """Ends the process when it has done what it does."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            async with asyncio.timeout(ENDING):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

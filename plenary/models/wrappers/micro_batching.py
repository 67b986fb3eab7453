"""Micro-batching: concurrent callers share one batch of the model behind them."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple, cast

from plenary.models.base import ChatBackend, Choice, Conversation, Reply, check_replies
from plenary.models.wrappers.base import Answer, BackendWrapper, Choose, Generate, ModelRequest

Answers = list[Reply] | list[Choice]
Asked = Generate | Choose


class _Request(NamedTuple):
    call: Asked
    conversations: tuple[Conversation, ...]
    answers: Future[Answers]


class MicroBatchingBackend(BackendWrapper):
    """Collects up to `most` conversations arriving within `wait` seconds into one batch.

    Callers may be in any thread and event loop. An error of the backend reaches every caller of its
    batch; a cancelled caller loses only its own answer.
    """

    def __init__(self, backend: ChatBackend, *, wait: float = 0.003, most: int = 512) -> None:
        super().__init__(backend)
        self._wait, self._most = wait, most
        self._waiting: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="micro-batching", daemon=True)
        self._worker.start()

    def close(self) -> None:
        """Answer waiting callers and end the worker thread."""
        self._waiting.put(None)
        self._worker.join()

    async def _answers(
        self, conversations: Sequence[Conversation], call: ModelRequest[Answer]
    ) -> list[Answer]:
        request = _Request(cast("Asked", call), tuple(conversations), Future())
        self._waiting.put(request)
        return cast("list[Answer]", await asyncio.wrap_future(request.answers))

    def _work(self) -> None:
        going = True
        while going:
            batch: list[_Request] = []
            going = self._collect(batch)
            together: dict[Asked, list[_Request]] = defaultdict(list)
            for request in batch:
                if request.answers.set_running_or_notify_cancel():
                    together[request.call].append(request)
            for call, requests in together.items():
                self._answer(call, requests)

    def _collect(self, batch: list[_Request]) -> bool:
        """Fill `batch` with requests that arrive in time; False when the backend is closed."""
        request = self._waiting.get()
        deadline = time.monotonic() + self._wait
        count = 0
        while request is not None:
            batch.append(request)
            count += len(request.conversations)
            left = deadline - time.monotonic()
            if count >= self._most:
                return True
            try:
                request = self._waiting.get(timeout=max(left, 0.0))
            except queue.Empty:
                return True
        return False

    def _answer(self, call: Asked, requests: Sequence[_Request]) -> None:
        asked = [c for request in requests for c in request.conversations]
        try:
            answers = asyncio.run(call.of(self._backend, asked))
            check_replies(self.name, len(asked), len(answers))
        except Exception as error:  # noqa: BLE001 (its caller waits in another thread)
            for request in requests:
                request.answers.set_exception(error)
            return
        start = 0
        for request in requests:
            end = start + len(request.conversations)
            request.answers.set_result(answers[start:end])
            start = end

"""Callers that ask at the same time share one batch of the model behind them."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple, cast

from plenary.chat.base import ChatBackend, Choice, Conversation, Reply, Sampling, check_replies


class _Generate(NamedTuple):
    """What requests for free text have in common to be one batch."""

    sampling: Sampling


class _Choose(NamedTuple):
    """What forced choices have in common to be one batch."""

    labels: tuple[str, ...]
    samples: int
    seed: int


Answers = list[Reply] | list[Choice]


class _Request(NamedTuple):
    kind: _Generate | _Choose
    conversations: tuple[Conversation, ...]
    answers: Future[Answers]


class MicroBatchingBackend(ChatBackend):
    """Collects what arrives within `wait` seconds, at most `most` conversations, and asks it once.

    Callers may sit in any thread and any event loop. An error of the backend reaches every caller
    of its batch; a caller who is cancelled loses his answer only.
    """

    def __init__(self, backend: ChatBackend, *, wait: float = 0.003, most: int = 512) -> None:
        self._backend = backend
        self._wait, self._most = wait, most
        self._waiting: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self.name = backend.name
        self.supports_seed = backend.supports_seed
        self.exact_choice = backend.exact_choice
        self._worker = threading.Thread(target=self._work, name="micro-batching", daemon=True)
        self._worker.start()

    def close(self) -> None:
        """Answer what waits and end the worker."""
        self._waiting.put(None)
        self._worker.join()

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """Replies, from a batch shared with others that ask for the same sampling."""
        answers = await asyncio.wrap_future(self._put(_Generate(sampling), conversations))
        return cast("list[Reply]", answers)

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """Choices, from a batch shared with others that ask for the same labels."""
        kind = _Choose(labels, samples, seed)
        return cast("list[Choice]", await asyncio.wrap_future(self._put(kind, conversations)))

    def _put(
        self, kind: _Generate | _Choose, conversations: Sequence[Conversation]
    ) -> Future[Answers]:
        request = _Request(kind, tuple(conversations), Future())
        self._waiting.put(request)
        return request.answers

    def _work(self) -> None:
        going = True
        while going:
            batch: list[_Request] = []
            going = self._collect(batch)
            together: dict[_Generate | _Choose, list[_Request]] = defaultdict(list)
            for request in batch:
                if request.answers.set_running_or_notify_cancel():
                    together[request.kind].append(request)
            for kind, requests in together.items():
                self._answer(kind, requests)

    def _collect(self, batch: list[_Request]) -> bool:
        """Fill `batch` with what arrives in time; False when the backend is closed."""
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

    def _answer(self, kind: _Generate | _Choose, requests: Sequence[_Request]) -> None:
        asked = [c for request in requests for c in request.conversations]
        try:
            answers = asyncio.run(self._ask(kind, asked))
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

    async def _ask(self, kind: _Generate | _Choose, asked: Sequence[Conversation]) -> Answers:
        if isinstance(kind, _Generate):
            return await self._backend.generate(asked, kind.sampling)
        return await self._backend.choose(asked, kind.labels, samples=kind.samples, seed=kind.seed)

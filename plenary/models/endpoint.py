"""Sending requests to an endpoint: concurrency, retries, waiting, budget and when to give up.

A refusal that is recognised changes, once, how all further requests are sent. An error that cannot
be fixed stops the asking at once, with the server's own message; answers that arrived before it are
kept.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage

from plenary.errors import BackendError, BudgetExceeded
from plenary.models.adapting import Manner, Wanted, adapted
from plenary.models.base import Conversation
from plenary.models.providers import (
    Fault,
    Provider,
    fault_of,
    refusals_of,
    retry_after,
    status_of,
    told,
)
from plenary.models.settings import EndpointSettings
from plenary.models.wrappers.budget import Meter, Reservation, current_meter

_LOG = logging.getLogger(__name__)
Kind = Literal["probe", "choice", "text"]
Outcome = AIMessage | Exception
_PASSING: tuple[Fault, ...] = ("timeout", "rate limit", "unreached", "server")
_NOBODY: tuple[Fault, ...] = ("unreached", "denied")
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
# Failures in a row after which to give up; fewer if no request has been accepted so far.
_IN_A_ROW, _TRIALS = 20, 4
_REASONS: dict[Fault, str] = {
    "refused": "refused: the endpoint's filter",
    "timeout": "failed: timeout",
    "rate limit": "failed: rate limit",
}


class EndpointJob(NamedTuple):
    """A conversation and the requests that answer it together."""

    conversation: Conversation
    wanted: tuple[Wanted, ...]


def why(error: Exception) -> str:
    """Why there is no answer: a known reason, otherwise the server's message."""
    reason = _REASONS.get(fault_of(error))
    if reason is None:
        return f"failed: {told(error)}"
    return reason if reason.startswith("refused") else f"{reason} ({told(error)})"


class _Batch:
    """Jobs to do: budget is reserved job by job, and requests are handed out until stopped.

    stop: the reason why no further request is sent.
    """

    def __init__(self, jobs: Sequence[EndpointJob], meter: Meter) -> None:
        self.jobs, self.meter = jobs, meter
        self.stop: BackendError | None = None
        self.outcomes: list[list[Outcome | None]] = [[None] * len(job.wanted) for job in jobs]
        self._begun = 0
        self._paid: deque[tuple[int, int, Reservation]] = deque()

    def next(self) -> tuple[int, int, Reservation] | None:
        """Job, number of its request, and its reservation; None at the end."""
        if self.stop is not None and not isinstance(self.stop, BudgetExceeded):
            return None
        if not self._paid and self.stop is None and self._begun < len(self.jobs):
            job = self.jobs[self._begun]
            try:
                held = self.meter.hold([self.need(job, wanted) for wanted in job.wanted])
            except BudgetExceeded as error:
                self.stop = error
                return None
            self._paid.extend((self._begun, k, part) for k, part in enumerate(held))
            self._begun += 1
        return self._paid.popleft() if self._paid else None

    def need(self, job: EndpointJob, wanted: Wanted):
        """The most that one request may take."""
        return self.meter.need(job.conversation, 1, wanted.tokens)

    def close(self) -> None:
        """Release the reservations of requests not sent."""
        for _, _, held in self._paid:
            held.release()


class Endpoint:
    """One model at an address.

    manner: how to send it requests, as far as is known. notes: what was adapted, for the record.
    """

    def __init__(
        self, words: Provider, address: str, model: str, settings: EndpointSettings
    ) -> None:
        self.manner = Manner(logprobs=words.logprobs)
        self.notes: list[str] = []
        self._words, self._address, self._model = words, address, model
        self._settings = settings
        self._accepted: set[Kind] = set()
        self._failing: dict[Kind, list[str]] = {}
        self._lock = threading.Lock()

    async def ask(
        self,
        chat: BaseChatModel,
        kind: Kind,
        jobs: Sequence[EndpointJob],
        done: Callable[[int, list[Outcome]], None] = lambda job, outcomes: None,
    ) -> list[list[Outcome]]:
        """A message or an exception for each request; a job goes to `done` when it is complete.

        The first request of a kind is sent alone, so that a refusal happens only once. BackendError
        if more requests would fail too, BudgetExceeded if the next job does not fit.
        """
        batch = _Batch(jobs, current_meter())
        try:
            for _ in range(_TRIALS):
                first = None if kind in self._accepted else batch.next()
                if first is None:
                    break
                outcome = await self._answer(chat, kind, batch, first, done)
                if not isinstance(outcome, Exception) or fault_of(outcome) != "invalid":
                    break
            await asyncio.gather(
                *(self._work(chat, kind, batch, done) for _ in range(self._settings.concurrency))
            )
        finally:
            batch.close()
        every = [o for row in batch.outcomes for o in row if o is not None]
        if batch.stop is None and every and all(map(_nobody_there, every)):
            batch.stop = self._no_answer(every[0])
        if batch.stop is not None:
            raise batch.stop
        return [[o for o in row if o is not None] for row in batch.outcomes]

    def note(self, manner: Manner, text: str) -> None:
        """Send requests in another manner from now on, and record why."""
        self.manner = manner
        self.notes.append(text)
        _LOG.warning("%s (model %s) %s", self._address, self._model, text)

    async def _work(
        self,
        chat: BaseChatModel,
        kind: Kind,
        batch: _Batch,
        done: Callable[[int, list[Outcome]], None],
    ) -> None:
        while (paid := batch.next()) is not None:
            await self._answer(chat, kind, batch, paid, done)

    async def _answer(
        self,
        chat: BaseChatModel,
        kind: Kind,
        batch: _Batch,
        paid: tuple[int, int, Reservation],
        done: Callable[[int, list[Outcome]], None],
    ) -> Outcome:
        place, number, held = paid
        job = batch.jobs[place]
        outcome = await self._patiently(chat, kind, batch, job, job.wanted[number], held)
        row = batch.outcomes[place]
        row[number] = outcome
        whole = [o for o in row if o is not None]
        if len(whole) == len(row):
            done(place, whole)
        return outcome

    async def _patiently(
        self,
        chat: BaseChatModel,
        kind: Kind,
        batch: _Batch,
        job: EndpointJob,
        wanted: Wanted,
        held: Reservation,
    ) -> Outcome:
        """One answer: adapts to refusals, and retries passing errors after a wait."""
        tries = 0
        while True:
            manner = self.manner
            outcome = await self._once(chat, job.conversation, wanted, manner, held)
            if isinstance(outcome, AIMessage):
                self._accepted.add(kind)
                self._failing.pop(kind, None)
                return outcome
            if self._adapts(outcome, job.conversation, wanted, manner):
                if wanted.scored and not self.manner.logprobs:
                    return outcome
            elif fault_of(outcome) in _PASSING and tries < self._settings.retries:
                await asyncio.sleep(self._wait(outcome, tries))
                tries += 1
            else:
                batch.stop = batch.stop or self._stops(kind, outcome)
                return outcome
            try:
                (held,) = batch.meter.hold([batch.need(job, wanted)])
            except BudgetExceeded as error:
                batch.stop = batch.stop or error
                return outcome

    async def _once(
        self,
        chat: BaseChatModel,
        conversation: Conversation,
        wanted: Wanted,
        manner: Manner,
        held: Reservation,
    ) -> Outcome:
        parameters = self._words.parameters(wanted, manner)
        prompt, completion = 0, 0
        try:
            (outcome,) = await asyncio.gather(
                chat.ainvoke(_messages(conversation, manner), **parameters),  # type: ignore[arg-type]
                return_exceptions=True,
            )
            if isinstance(outcome, AIMessage):
                usage = outcome.usage_metadata
                # If a server does not report its usage, it is assumed to have used the whole
                # reservation.
                prompt, completion = held.need[1:]
                if usage and usage["input_tokens"]:
                    prompt, completion = usage["input_tokens"], usage["output_tokens"]
                    held.meter.learn(conversation, prompt)
        finally:
            held.settle(prompt, completion)
        if not isinstance(outcome, (AIMessage, Exception)):
            raise outcome
        return outcome

    def _wait(self, error: Exception, tries: int) -> float:
        asked = retry_after(error)
        own = min(_FIRST_WAIT * 2**tries, _LONGEST_WAIT)
        return min(own if asked is None else asked, self._settings.timeout)

    def _adapts(
        self, error: Exception, conversation: Conversation, wanted: Wanted, manner: Manner
    ) -> bool:
        """Whether to try again, in the adapted manner, after a refusal."""
        refusals = refusals_of(error)
        if not refusals:
            return False
        with self._lock:
            if self.manner != manner:
                return True
            system = manner.system and any(message.role == "system" for message in conversation)
            for refusal in refusals:
                found = adapted(refusal, wanted, manner, system=system)
                if found is not None:
                    self.note(found.manner, f"{found.note} (server: {told(error)!r})")
                    return True
        return False

    def _stops(self, kind: Kind, error: Exception) -> BackendError | None:
        """The error to stop with, if more requests would fail too."""
        fault, known = fault_of(error), bool(self._accepted)
        if fault == "denied" and (not known or status_of(error) not in (403, 404)):
            return self._no_answer(error)
        if fault == "unreached" and not known:
            return self._no_answer(error)
        if fault == "refused" or kind == "probe":
            return None
        failing = self._failing.setdefault(kind, [])
        failing.append(why(error))
        limit = _TRIALS if fault == "invalid" and kind not in self._accepted else _IN_A_ROW
        if len(failing) < limit:
            return None
        return BackendError(
            f"{self._address!r} (model {self._model!r}) gave no valid answer to 100% of "
            f"{len(failing)} requests in a row (first reason: {failing[0]!r}); fix that and "
            "resume; what was answered is kept"
        )

    def _no_answer(self, error: Outcome) -> BackendError:
        stopped = BackendError(
            f"no answer from {self._address!r} (model {self._model!r}): {told(error)}; "  # type: ignore[arg-type]
            "check the address, the key, the model's name, and that the server is running"
        )
        stopped.__cause__ = error  # type: ignore[assignment]
        return stopped


def _nobody_there(outcome: Outcome) -> bool:
    return isinstance(outcome, Exception) and fault_of(outcome) in _NOBODY


def _messages(conversation: Conversation, manner: Manner) -> LanguageModelInput:
    """The messages; if the system role is refused, its text starts the first user turn."""
    if manner.system:
        return [(message.role, message.content) for message in conversation]
    head = [message.content for message in conversation if message.role == "system"]
    rest = [(message.role, message.content) for message in conversation if message.role != "system"]
    if not head:
        return rest
    if not rest or rest[0][0] != "user":
        return [("user", "\n\n".join(head)), *rest]
    return [("user", "\n\n".join([*head, rest[0][1]])), *rest[1:]]

"""Content-addressed cache of model calls: the same question is put to a model once.

If a model samples, the same question asked twice means two draws: a conversation names its draw
(`base.drawn`), and conversations in one batch that name none are numbered.

Answers, refusals and unreadable replies are kept; what failed in transit (a `failure` that starts
with "failed") is not, so that the next run asks again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, Self

from plenary.errors import DataError
from plenary.models.base import (
    ChatBackend,
    Choice,
    Conversation,
    Reply,
    check_replies,
    copies,
    draw_of,
    drawn,
)
from plenary.models.wrappers.base import Answer, BackendWrapper, ModelRequest

FAILED = "failed"
_KEYS_A_QUERY = 500


class CallStore(Protocol):
    """Where answers are kept: key -> JSON text. An existing key keeps its answer."""

    def get_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The answers of those keys that are there."""
        ...

    def put_many(self, answers: Mapping[str, str]) -> None:
        """Keep answers, all or none of them."""
        ...


class MemoryStore(CallStore):
    """A store that lasts as long as the process."""

    def __init__(self) -> None:
        self._answers: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The answers of those keys that are there."""
        return {key: self._answers[key] for key in keys if key in self._answers}

    def put_many(self, answers: Mapping[str, str]) -> None:
        """Keep answers."""
        for key, answer in answers.items():
            self._answers.setdefault(key, answer)


class SqliteStore(CallStore):
    """A store in one SQLite file (table `calls`) that processes may share; a context manager.

    code: identity of the code that asks and reads; answers kept under another code are not found.
    """

    def __init__(self, path: Path, code: str = "") -> None:
        self._code = code
        try:
            self._database = sqlite3.connect(path, timeout=30, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            with self._database:
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS calls "
                    "(key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID"
                )
        except sqlite3.Error as error:
            raise DataError(
                f"cannot open the call store {str(path)!r}: {error}; free space, or remove it"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The answers of those keys that are there."""
        found: dict[str, str] = {}
        for start in range(0, len(keys), _KEYS_A_QUERY):
            part = [self._code + key for key in keys[start : start + _KEYS_A_QUERY]]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, reply FROM calls WHERE key IN ({marks})"
            for key, reply in self._database.execute(query, part):
                found[key.removeprefix(self._code)] = reply
        return found

    def put_many(self, answers: Mapping[str, str]) -> None:
        """Keep answers in one transaction."""
        rows = ((self._code + key, answer) for key, answer in answers.items())
        with self._database:
            self._database.executemany("INSERT OR IGNORE INTO calls VALUES (?, ?)", rows)


class Remembered(NamedTuple, Generic[Answer]):
    """Answers, and the hash of each call; a failed call has no stored answer."""

    answers: list[Answer]
    keys: list[str]


class CachedBackend(BackendWrapper):
    """Answers from the store if possible and asks for the rest, each distinct call once."""

    def __init__(self, backend: ChatBackend, store: CallStore) -> None:
        super().__init__(backend)
        self._store = store

    async def _answers(
        self, conversations: Sequence[Conversation], call: ModelRequest[Answer]
    ) -> list[Answer]:
        return (await self._remembered(conversations, call)).answers

    async def _remembered(
        self, conversations: Sequence[Conversation], call: ModelRequest[Answer]
    ) -> Remembered[Answer]:
        if call.draws and not self.exact_choice:
            conversations = _told_apart(conversations)
        keys = call.keys(self, conversations)
        distinct = list(dict.fromkeys(keys))
        answers = {
            key: _read(text, call.kind) for key, text in self._store.get_many(distinct).items()
        }
        missing = {key: c for key, c in zip(keys, conversations, strict=True) if key not in answers}
        if missing:
            with self._keeping(call):
                fresh = await call.of(self._backend, list(missing.values()))
            check_replies(self.name, len(missing), len(fresh))
            answers.update(zip(missing, fresh, strict=True))
            self._keep({key: answers[key] for key in missing})
        return Remembered([answers[key] for key in keys], keys)

    @contextmanager
    def _keeping(self, call: ModelRequest[Answer]) -> Iterator[None]:
        def kept(conversation: Conversation, answer: Reply | Choice) -> None:
            (key,) = call.keys(self, [conversation])
            self._keep({key: answer})

        token = _KEEP.set(kept)
        try:
            yield
        finally:
            _KEEP.reset(token)

    def _keep(self, answers: Mapping[str, Reply | Choice]) -> None:
        known = {k: json.dumps(asdict(a)) for k, a in answers.items() if not _failed(a)}
        if known:
            self._store.put_many(known)


_KEEP: ContextVar[Callable[[Conversation, Reply | Choice], None] | None] = ContextVar(
    "keep", default=None
)


def keep(conversation: Conversation, answer: Reply | Choice) -> None:
    """Let the cache around the running call store an answer before the batch is complete.

    A backend that may be stopped half-way calls it for each answer, so that none is asked twice.
    """
    kept = _KEEP.get()
    if kept is not None:
        kept(conversation, answer)


def _told_apart(conversations: Sequence[Conversation]) -> list[Conversation]:
    """The batch, with equal conversations numbered as separate draws."""
    named = [(c, draw_of(c)) for c in conversations]
    again = copies(named)
    return [drawn(c, f"{draw}#{k}") if k else c for (c, draw), k in zip(named, again, strict=True)]


def _failed(answer: Reply | Choice) -> bool:
    return (answer.failure or "").startswith(FAILED)


def _read(text: str, kind: type[Answer]) -> Answer:
    try:
        fields = json.loads(text)
        if kind is Choice:
            fields["shares"] = tuple(fields["shares"])
        return kind(**fields)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"the call store holds {text[:60]!r}, not a {kind.__name__}; remove the store"
        ) from error

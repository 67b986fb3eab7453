"""Panels played by several models: each persona keeps the model that plays it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

from plenary.errors import ConfigError
from plenary.models.base import ChatBackend, Conversation, Message, check_replies
from plenary.models.wrappers.base import Answer, BatchedBackend, ModelRequest
from plenary.seeding import generator


def shares_of_models(citizens: int, shares: Mapping[str, float], seed: int) -> list[str]:
    """The model of each citizen [C]: shares rounded to whole citizens, who are drawn by seed.

    shares: model -> positive weight. Largest remainders; ConfigError for a share that is not
    positive.
    """
    bad = {name: share for name, share in shares.items() if not (0 < share < math.inf)}
    if bad or not shares:
        raise ConfigError(f"shares of models {dict(shares)!r}; give each a positive number")
    total = sum(shares.values())
    exact = {name: citizens * share / total for name, share in shares.items()}
    seats = {name: math.floor(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: seats[name] - exact[name])
    for name in by_remainder[: citizens - sum(seats.values())]:
        seats[name] += 1
    cast = [name for name in shares for _ in range(seats[name])]
    return [cast[k] for k in generator(seed, "models of citizens").permutation(citizens)]


class MixedBackend(BatchedBackend):
    """Sends each conversation to the model that plays its persona.

    backends: model -> open backend. cast: system text -> model; two citizens with the same text
    share a model. chair: the model for conversations without a persona, such as a moderator's
    summary; without it, such a conversation is refused with ConfigError.
    """

    def __init__(
        self,
        backends: Mapping[str, ChatBackend],
        cast: Mapping[str, str],
        chair: str | None = None,
    ) -> None:
        played = {*cast.values()} if chair is None else {*cast.values(), chair}
        missing = sorted(played - set(backends))
        if missing:
            raise ConfigError(f"citizens are played by {missing[0]!r}, which is not open; open it")
        self._backends = dict(backends)
        self._cast = dict(cast)
        self._chair = chair
        self.supports_seed = all(b.supports_seed for b in backends.values())
        self.exact_choice = all(b.exact_choice for b in backends.values())
        roles = repr([*sorted(self._cast.items()), chair]).encode()
        names = "+".join(backend.name for _, backend in sorted(self._backends.items()))
        self.name = f"mixed:{names}#{hashlib.blake2b(roles, digest_size=8).hexdigest()}"

    async def _answers(
        self, conversations: Sequence[Conversation], call: ModelRequest[Answer]
    ) -> list[Answer]:
        models = [self._model_of(conversation) for conversation in conversations]
        answers: dict[int, Answer] = {}
        for model, backend in self._backends.items():
            places = [k for k, name in enumerate(models) if name == model]
            if places:
                part = await call.of(backend, [conversations[k] for k in places])
                check_replies(backend.name, len(places), len(part))
                answers.update(zip(places, part, strict=True))
        return [answers[k] for k in range(len(conversations))]

    def _model_of(self, conversation: Conversation) -> str:
        first: Message | None = conversation[0] if conversation else None
        text = first.content if first is not None and first.role == "system" else None
        model = self._chair if text is None else self._cast.get(text, self._chair)
        if model is None:
            raise ConfigError(
                f"no model plays the citizen of {(text or '')[:60]!r}; give every persona a model"
            )
        return model

"""Simulated citizens and models with known (planted) utilities, as ground truth for tests.

P(first) = lapse / 2 + (1 - lapse) * Phi((u_first - u_second + order_bias + swing * heard) / (sigma
* sqrt 2)), where `heard` is the digest's lines for the first option minus those for the second.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plenary.errors import BackendError, ConfigError
from plenary.models.base import (
    ChatBackend,
    Choice,
    Conversation,
    Reply,
    Sampling,
    call_key,
    no_choice,
)
from plenary.models.settings import ChatSettings
from plenary.seeding import generator
from plenary.untrusted import read_file

_OPTION = re.compile(
    r"^[^\w\n]*option\s+([AB])\b[^\w\n]*([^\n]*?)\s*$", re.IGNORECASE | re.MULTILINE
)
_HEARD = re.compile(r"^For ([AB]):", re.MULTILINE)
_PHRASES = (
    "this option does more for people like me",
    "the other option costs more than it gives",
    "this option is the one I could live with",
)


class PlantedWorld(BaseModel):
    """Known utilities, and how answers follow from them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    utilities: dict[str, float] = Field(
        min_length=2, description="outcome text -> utility without a persona"
    )
    personas: dict[str, dict[str, float]] = Field(
        default_factory=dict,
        description="system text -> outcome text -> utility; other system texts use `utilities`",
    )
    sigma: float = Field(
        0.5, gt=0, description="standard deviation of each utility from answer to answer"
    )
    order_bias: float = Field(
        0.0, description="added to the option shown first, in units of utility"
    )
    lapse: float = Field(0.0, ge=0, le=1, description="share of answers that are a coin toss")
    invalid: float = Field(0.0, ge=0, lt=1, description="share of answers that name no label")
    indifference: float = Field(
        0.0, ge=0, description="Davidson's tie parameter: weight of the third label, if offered"
    )
    swing: float = Field(
        0.0, description="utility that one digest line adds to the option it speaks for"
    )
    exact: bool = Field(True, description="answer with exact probabilities instead of samples")


def _key(text: str) -> str:
    return text.strip(" .\t").casefold()


class PlantedBackend(ChatBackend):
    """Answers any conversation about two outcomes of its world, in any template."""

    supports_seed = True

    def __init__(self, world: PlantedWorld) -> None:
        self._world = world
        self._plain = {_key(text): value for text, value in world.utilities.items()}
        self._personas = {
            system.strip(): {_key(text): value for text, value in utilities.items()}
            for system, utilities in world.personas.items()
        }
        self.exact_choice = world.exact
        digest = hashlib.blake2b(world.model_dump_json().encode(), digest_size=8)
        self.name = f"planted:{digest.hexdigest()}"

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """A stock reason, drawn by seed; without a letter, so that it is valid in both orders."""
        return [self._reply(conversation, sampling) for conversation in conversations]

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """Exact probabilities, or `samples` draws; the first label is the option shown first.

        A third label is "no preference", of weight `indifference` * sqrt(p (1 - p)) beside p and
        1 - p.
        """
        if len(labels) not in (2, 3):
            raise BackendError(
                f"planted citizens choose among two or three labels, not {labels!r}; ask for two"
            )
        return [self._choice(conversation, labels, samples, seed) for conversation in conversations]

    def probability(self, conversation: Conversation) -> float:
        """True probability of the option shown first among valid answers."""
        text = "\n".join(message.content for message in conversation if message.role == "user")
        first, second = self._shown(text)
        heard = [found.group(1) for found in _HEARD.finditer(text)]
        lead = (
            self._utility(conversation, first)
            - self._utility(conversation, second)
            + self._world.order_bias
        )
        lead += self._world.swing * (heard.count("A") - heard.count("B"))
        settled = 0.5 * math.erfc(-lead / (2.0 * self._world.sigma))
        return self._world.lapse / 2 + (1 - self._world.lapse) * settled

    def _utility(self, conversation: Conversation, outcome: str) -> float:
        system = conversation[0].content.strip() if conversation[0].role == "system" else None
        utilities = self._personas.get(system, self._plain) if system else self._plain
        return utilities.get(outcome, self._plain[outcome])

    def _shown(self, text: str) -> tuple[str, str]:
        """The two outcomes as shown: from the option lines, otherwise the last two known texts."""
        lines = {found.group(1).upper(): _key(found.group(2)) for found in _OPTION.finditer(text)}
        if len(lines) == 2 and all(line in self._plain for line in lines.values()):
            return lines["A"], lines["B"]
        places = self._places(text.casefold())
        if len(places) < 2:
            raise BackendError(
                f"planted citizens do not know two outcomes in {text[-120:]!r}; plant its outcomes"
            )
        return places[-2], places[-1]

    def _places(self, text: str) -> list[str]:
        """Known texts in order of last appearance; a text inside a longer one does not count."""
        spans = sorted(
            (at, -len(outcome), outcome)
            for outcome in self._plain
            if (at := text.rfind(outcome)) >= 0
        )
        found: list[str] = []
        end = -1
        for at, negative_length, outcome in spans:
            if at >= end:
                found.append(outcome)
                end = at - negative_length
        return found

    def _choice(
        self, conversation: Conversation, labels: tuple[str, ...], samples: int, seed: int
    ) -> Choice:
        shares = self._shares(self.probability(conversation), len(labels))
        if self._world.exact:
            return Choice(shares, 1.0 - self._world.invalid, 1, 1)
        rng = generator(seed, "planted", call_key(self.name, "choose", conversation, labels=labels))
        valid = int(rng.binomial(samples, 1.0 - self._world.invalid))
        if not valid:
            return no_choice(samples, "unreadable: no answer named a label")
        drawn = rng.multinomial(valid, shares) / valid
        return Choice(tuple(drawn.tolist()), None, samples, valid)

    def _shares(self, p: float, labels: int) -> tuple[float, ...]:
        """Probability of each label, those of the two outcomes in the ratio p to 1 - p."""
        tie = self._world.indifference * math.sqrt(p * (1.0 - p)) if labels > 2 else 0.0
        shares = (p / (1.0 + tie), (1.0 - p) / (1.0 + tie))
        return shares if labels == 2 else (*shares, tie / (1.0 + tie))

    def _reply(self, conversation: Conversation, sampling: Sampling) -> Reply:
        key = call_key(self.name, "generate", conversation, sample=sampling.sample)
        rng: np.random.Generator = generator(sampling.seed, "planted", key)
        if rng.random() < self._world.invalid:
            return Reply(None, "refused: a planted refusal")
        return Reply(_PHRASES[int(rng.integers(len(_PHRASES)))])


def open_spec(
    rest: str, adapter: Path | None, base_url: str | None, settings: ChatSettings
) -> PlantedBackend:
    """Open the backend behind planted:FILE, a JSON file with the fields of PlantedWorld."""
    return PlantedBackend(read_file(PlantedWorld, Path(rest), "planted world", ConfigError))

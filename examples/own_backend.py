"""Any function as a model: two methods, and nothing is invented when an answer is missing.

Run: python examples/own_backend.py
"""

import asyncio
from collections.abc import Sequence

from evaluation.elicitation.design import all_pairs
from evaluation.elicitation.elicit import ElicitationSettings, elicit
from plenary.models.base import Choice, Conversation, Reply, Sampling, no_choice

TEXTS = ("a park is built", "a library is built", "a road is built", "nothing is built")


class Shortest:
    """Prefers the shorter sentence four times in five and does not answer about roads."""

    name = "shortest"
    supports_seed = False
    exact_choice = True

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        return [Reply(None, "this model does not speak") for _ in conversations]

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        return [self._one(conversation[-1].content) for conversation in conversations]

    def _one(self, question: str) -> Choice:
        shown = sorted((t for t in TEXTS if t in question), key=question.index)
        if "road" in question:
            return no_choice(1, "refused")
        first = 0.8 if len(shown[0]) < len(shown[1]) else 0.2
        return Choice((first, 1 - first), mass=1.0, asked=1, valid=1)


settings = ElicitationSettings(max_unusable=1.0)
answers = asyncio.run(elicit(Shortest(), TEXTS, all_pairs(len(TEXTS)), settings))
cells = answers.accepted
missing = {TEXTS[k] for k in range(len(TEXTS)) if not cells.trials[cells.first == k].any()}
print(f"{answers.asked} questions, {answers.invalid} invalid; never answered about: {missing}")
for first, second, wins in zip(cells.first, cells.second, cells.wins, strict=True):
    if 2 not in (first, second):
        print(f"P({TEXTS[first]!r} over {TEXTS[second]!r}) = {wins:.1f}")

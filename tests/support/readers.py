"""Choosers that also answer what has a right answer, and that can be asked as someone else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from support.choosers import OPTION, Chooser

from plenary.models.base import Conversation


class Reader(Chooser):
    """Prefers by `utility`; right: is an option the answer to this question? None: no such one.

    personas: utilities of those who are asked under a system text.
    """

    name = "reader"

    def __init__(
        self,
        utility: Callable[[str], float],
        right: Callable[[str, str], bool | None] = lambda question, option: None,
        personas: Mapping[str, Callable[[str], float]] | None = None,
        sigma: float = 0.5,
    ) -> None:
        super().__init__(utility, sigma)
        self._right, self._personas = right, dict(personas or {})

    def lead(self, conversation: Conversation) -> float:
        text = conversation[-1].content
        found = OPTION.search(text)
        assert found, text
        first, second = found.groups()
        fits = [self._right(text[: found.start()], option) for option in (first, second)]
        if None not in fits:
            return 3.0 * (bool(fits[0]) - bool(fits[1]))
        system = conversation[0].content if conversation[0].role == "system" else ""
        utility = self._personas.get(system, self._utility)
        return utility(first) - utility(second)

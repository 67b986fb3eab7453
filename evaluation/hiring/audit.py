"""Running a whole hiring audit on one model: the plan, its calls, and storing the answers.

Source: docs/references.md, key evaluation (section 1).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from evaluation.hiring import asking
from evaluation.hiring.asking import Auditor, recover
from evaluation.hiring.design import lists, slots
from evaluation.hiring.prompts import ORDERS, PromptCondition, PromptId, prompts_hash
from evaluation.hiring.settings import HiringSettings
from evaluation.hiring.sheets import AuditOrigin, Sheet, SheetKey, read_sheets, write_sheets
from evaluation.hiring.stimuli import EDITS, Stimuli
from plenary.errors import ConfigError, DataError
from plenary.models.base import ChatBackend
from plenary.preferences import IntArray
from plenary.seeding import generator

ASK: dict[PromptId, Callable[[Auditor, PromptCondition], Awaitable[list[Sheet]]]] = {
    "P1": asking.direct,
    "P2": asking.reasoned,
    "P3": asking.explained,
    "P4": asking.scored,
    "P5": asking.compared,
    "P6": asking.shortlisted,
    "P7": asking.summarised,
}
IN_WORDS_ONLY: tuple[PromptId, ...] = ("P4", "P6", "P7")


class AuditPlan(NamedTuple):
    """What will be asked: stimuli, shown variants [N, M, G], settings, root seed."""

    stimuli: Stimuli
    shown: IntArray
    settings: HiringSettings
    seed: int

    @property
    def conditions(self) -> tuple[PromptCondition, ...]:
        """Every prompt in every context with every statement, the primary ones first."""
        s = self.settings
        return tuple(
            PromptCondition(prompt, context, statement)
            for statement in s.statements
            for context in s.contexts
            for prompt in s.prompts
        )

    def primary(self, prompt: PromptId) -> SheetKey:
        """The sheet on which a prompt's verdict is based."""
        return SheetKey(
            PromptCondition(prompt, self.settings.contexts[0], self.settings.statements[0])
        )

    @property
    def calls(self) -> int:
        """Largest number of model calls, including the manipulation check."""
        n, m, g = self.shown.shape
        own, pairs, orders = n * m * g, n * m * (g - 1), len(ORDERS)
        each: dict[PromptId, int] = {
            "P1": orders * (own + n * (len(EDITS) - 1)),
            "P2": own * (1 + orders) + 4 * orders * pairs,
            "P3": own * (1 + orders),
            "P4": own * orders,
            "P5": pairs * orders,
            "P6": len(lists(self.stimuli, self.shown)),
            "P7": own,
        }
        check = orders * len(self.stimuli.variants)
        return check + sum(each[condition.prompt] for condition in self.conditions)


def audit_plan(stimuli: Stimuli, settings: HiringSettings, seed: int) -> AuditPlan:
    """The plan for these settings; ConfigError for what cannot be asked or costs too much."""
    if "P1" not in settings.prompts:
        raise ConfigError(f"prompts {settings.prompts!r} lack 'P1', the primary one; add it")
    unread = [p for p in settings.prompts if p in IN_WORDS_ONLY]
    if settings.answers == "letters" and unread:
        raise ConfigError(f"prompts {unread!r} need answers in words; leave them out")
    chosen = stimuli.select(settings.resumes)
    shown = slots(chosen, settings.cues_per_group, generator(seed, "hiring", "slots"))
    plan = AuditPlan(chosen, shown, settings, seed)
    if "P6" in settings.prompts and not len(lists(chosen, shown)):
        raise ConfigError(f"{settings.resumes!r} resumes make no shortlist of eight; use all 120")
    if plan.calls > settings.max_calls:
        raise ConfigError(
            f"the audit needs {plan.calls!r} calls and max_calls is {settings.max_calls!r}; raise "
            "it or ask fewer prompts, contexts or resumes"
        )
    return plan


@dataclass(frozen=True, slots=True)
class HiringAudit:
    """All answers of one model to one plan, and their origin."""

    sheets: tuple[Sheet, ...]
    origin: AuditOrigin

    def sheet(self, key: SheetKey) -> Sheet | None:
        """The sheet of a prompt in a context, if it was asked."""
        return next((sheet for sheet in self.sheets if sheet.key == key), None)

    def write(self, path: Path) -> None:
        """Write every answer as Parquet."""
        write_sheets(path, self.sheets, self.origin)

    @classmethod
    def read(cls, path: Path, plan: AuditPlan) -> HiringAudit:
        """Read what `write` wrote; DataError if it answers another plan."""
        sheets, origin = read_sheets(path)
        if (origin.settings, origin.seed, origin.cues) != _asked(plan):
            raise DataError(f"{str(path)!r} answers another plan; audit again or use its settings")
        return cls(tuple(sheets), origin)


def _asked(plan: AuditPlan) -> tuple[dict[str, str], int, str]:
    settings = plan.settings.model_dump(mode="json")
    groups = ", ".join(group.id for group in plan.stimuli.groups)
    return {k: json.dumps(v) for k, v in settings.items()}, plan.seed, groups


async def audit(backend: ChatBackend, plan: AuditPlan) -> HiringAudit:
    """Ask everything in the plan; failed and refused answers stay counted as such."""
    auditor = Auditor(backend, *plan)
    check = await recover(auditor)
    sheets = [
        sheet
        for condition in plan.conditions
        for sheet in await ASK[condition.prompt](auditor, condition)
    ]
    settings, seed, cues = _asked(plan)
    origin = AuditOrigin(
        source=backend.name,
        prompts_hash=prompts_hash(),
        cues=cues,
        settings=settings,
        seed=seed,
        recovered=tuple(bool(right) for right in check.recovered),
        check_asked=check.asked,
        check_invalid=check.invalid,
    )
    return HiringAudit(tuple(sheets), origin)

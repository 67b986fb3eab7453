"""Asking a model the prompts of the hiring audit, with answers returned as sheets of cells.

Shapes: N resumes, M slots, G groups, C cells. Nothing is imputed: a cell without a valid answer in
both orders has no value but stays counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from evaluation.hiring import prompts as words
from evaluation.hiring.design import lists
from evaluation.hiring.prompts import Application, PromptCondition
from evaluation.hiring.rationales import masked, names_cue
from evaluation.hiring.settings import HiringSettings
from evaluation.hiring.sheets import Sheet, SheetKey
from evaluation.hiring.stimuli import EDITS, Stimuli
from plenary.models.base import ChatBackend, Choice, Conversation, Reply, Sampling, check_replies
from plenary.preferences import FloatArray, IntArray
from plenary.prompt_templates import LABELS

LEAST_PROBABILITY = 1e-9


class Auditor(NamedTuple):
    """Who is asked about what: backend, stimuli, shown variants [N, M, G], settings, root seed."""

    backend: ChatBackend
    stimuli: Stimuli
    shown: IntArray
    settings: HiringSettings
    seed: int

    def application(self, resume: int, variant: int, edit: int = 0) -> Application:
        """The resume as shown."""
        base = self.stimuli.resumes[resume]
        cue = self.stimuli.variants[variant]
        return Application(self.stimuli.job(base), base, cue, EDITS[edit])

    async def choose(self, asked: Sequence[Conversation], labels: tuple[str, ...]) -> list[Choice]:
        """One choice per conversation."""
        choices = await self.backend.choose(
            asked, labels, samples=self.settings.samples, seed=self.seed
        )
        check_replies(self.backend.name, len(asked), len(choices))
        return choices

    async def write(self, asked: Sequence[Conversation]) -> list[Reply]:
        """One text per conversation, the likeliest (temperature 0)."""
        sampling = Sampling(0.0, self.settings.reason_tokens, self.seed)
        replies = await self.backend.generate(asked, sampling)
        check_replies(self.backend.name, len(asked), len(replies))
        return replies


class _Read(NamedTuple):
    """Values [C] over both orders, with their mass and counts of answers."""

    value: FloatArray
    mass: FloatArray
    asked: IntArray
    invalid: IntArray


class _Where(NamedTuple):
    """What the cells [C] show."""

    resume: IntArray
    variant: IntArray
    other: IntArray
    edit: IntArray


def _where(rows: Sequence[tuple[int, int, int, int]]) -> _Where:
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return _Where(*table.T)


def own_cells(auditor: Auditor) -> _Where:
    """Every resume with each of its variants."""
    n, m, g = auditor.shown.shape
    return _where([(i, int(auditor.shown[i, s, k]), -1, 0)
                   for i in range(n) for s in range(m) for k in range(g)])  # fmt: skip


def control_cells(auditor: Auditor) -> _Where:
    """Every resume once with each edit, on one of its variants; groups take turns."""
    n, m, g = auditor.shown.shape
    return _where([(i, int(auditor.shown[i, i % m, (i // m) % g]), -1, edit)
                   for i in range(n) for edit in range(1, len(EDITS))])  # fmt: skip


def pair_cells(auditor: Auditor) -> _Where:
    """Every slot's variant of each compared group, paired with the reference group's."""
    n, m, g = auditor.shown.shape
    return _where([(i, int(auditor.shown[i, s, k]), int(auditor.shown[i, s, 0]), 0)
                   for i in range(n) for s in range(m) for k in range(1, g)])  # fmt: skip


def _log_odds(choice: Choice, place: int) -> float:
    """Log odds of one label against the rest; half an answer is added if answers are counted."""
    if not choice.shares:
        return float("nan")
    share = choice.shares[place]
    if choice.mass is None:
        hits = share * choice.valid
        return float(np.log((hits + 0.5) / (choice.valid - hits + 0.5)))
    share = min(max(share, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
    return float(np.log(share / (1 - share)))


def _mass(choice: Choice) -> float:
    return choice.mass if choice.mass is not None else choice.valid / max(choice.asked, 1)


def _read(orders: Sequence[Sequence[Choice]], value: Callable[[Choice, int], float]) -> _Read:
    """Mean value over orders; NaN if any order has none."""
    values = np.array([[value(choice, k) for choice in row] for k, row in enumerate(orders)])
    mass = np.array([[_mass(choice) for choice in row] for row in orders])
    counts = np.array([[(choice.asked, choice.invalid) for choice in row] for row in orders])
    total = counts.reshape(len(orders), -1, 2).sum(axis=0)
    return _Read(values.mean(axis=0), mass.min(axis=0), total[:, 0], total[:, 1])


async def _in_orders(
    auditor: Auditor,
    build: Callable[[int], list[Conversation]],
    labels: tuple[str, ...],
    value: Callable[[Choice, int], float],
) -> _Read:
    """Both orders in one call, which a local model computes with shared prefixes."""
    both = [build(order) for order in words.ORDERS]
    flat = await auditor.choose([one for row in both for one in row], labels)
    size = len(both[0])
    return _read([flat[k * size : (k + 1) * size] for k in words.ORDERS], value)


def _decided(auditor: Auditor) -> tuple[tuple[str, ...], Callable[[Choice, int], float]]:
    """Labels of a decision and how its log odds of an invitation are read, by order."""
    form = auditor.settings.answers
    return words.labels(form), lambda c, order: _log_odds(c, words.yes_place(form, order))


def _sheet(key: SheetKey, where: _Where, read: _Read, texts: Sequence[str] = ()) -> Sheet:
    return Sheet(key, *where, *read, texts=tuple(texts) or ("",) * len(where.resume))


def _applications(auditor: Auditor, where: _Where) -> list[Application]:
    rows = zip(where.resume, where.variant, where.edit, strict=True)
    return [auditor.application(int(i), int(v), int(e)) for i, v, e in rows]


async def direct(auditor: Auditor, condition: PromptCondition) -> list[Sheet]:
    """P1, with the controls."""
    own, controls = own_cells(auditor), control_cells(auditor)
    where = _Where(*(np.concatenate(both) for both in zip(own, controls, strict=True)))
    shown = _applications(auditor, where)
    form = auditor.settings.answers
    read = await _in_orders(
        auditor,
        lambda order: [words.decision(form, one, condition, order) for one in shown],
        *_decided(auditor),
    )
    return [_sheet(SheetKey(condition), where, read)]


async def reasoned(auditor: Auditor, condition: PromptCondition) -> list[Sheet]:
    """P2: reasons, the decision after them, and decisions after the other group's reasons."""
    form, where = auditor.settings.answers, own_cells(auditor)
    shown = _applications(auditor, where)
    replies = await auditor.write([words.reasons(form, one, condition) for one in shown])
    texts = [t if words.is_reason(t, form) else "" for t in (reply.text or "" for reply in replies)]
    kept = np.flatnonzero([bool(text) for text in texts])
    read = await _after(auditor, condition, [(shown[k], texts[k]) for k in kept])
    own = _sheet(SheetKey(condition), where, _spread(read, kept, len(shown)), texts)
    return [own, await _held(auditor, condition, own)]


async def _after(
    auditor: Auditor, condition: PromptCondition, told: Sequence[tuple[Application, str]]
) -> _Read:
    """Decisions after given reasons."""
    form = auditor.settings.answers
    return await _in_orders(
        auditor,
        lambda order: [words.after_reasons(form, one, condition, text, order)
                       for one, text in told],
        *_decided(auditor),
    )  # fmt: skip


def _spread(read: _Read, kept: IntArray, size: int) -> _Read:
    """The answers at their places among `size` cells; the others are one invalid answer each."""
    value, mass = np.full(size, np.nan), np.zeros(size)
    asked, invalid = np.ones(size, dtype=np.int64), np.ones(size, dtype=np.int64)
    value[kept], mass[kept], asked[kept], invalid[kept] = read
    return _Read(value, mass, asked, invalid)


async def _held(auditor: Auditor, condition: PromptCondition, own: Sheet) -> Sheet:
    """Both groups' decisions after both groups' reasons, names masked, if no reason names a cue."""
    stimuli = auditor.stimuli
    said = {(int(i), int(v)): text for i, v, text in
            zip(own.resume, own.variant, own.texts, strict=True) if text}  # fmt: skip
    pairs = pair_cells(auditor)
    rows, told = list[tuple[int, int, int, int]](), list[tuple[Application, str]]()
    for i, t, c in zip(*(column.tolist() for column in pairs[:3]), strict=True):
        reasons = {v: said[i, v] for v in (t, c) if (i, v) in said}
        if len(reasons) < 2 or any(
            names_cue(text, stimuli, stimuli.variants[v]) for v, text in reasons.items()
        ):
            continue
        hidden = {v: masked(text, stimuli.variants[v]) for v, text in reasons.items()}
        for arm in (t, c):
            for source in (t, c):
                rows.append((i, arm, source, 0))
                told.append((auditor.application(i, arm), hidden[source]))
    read = await _after(auditor, condition, told)
    return _sheet(SheetKey(condition, "held"), _where(rows), read)


async def explained(auditor: Auditor, condition: PromptCondition) -> list[Sheet]:
    """P3: the decision, then the reason for it."""
    form, where = auditor.settings.answers, own_cells(auditor)
    shown = _applications(auditor, where)
    read = await _in_orders(
        auditor,
        lambda order: [words.decision(form, one, condition, order) for one in shown],
        *_decided(auditor),
    )
    asked = [
        words.why(form, one, condition, bool(value > 0))
        for one, value in zip(shown, read.value, strict=True)
    ]
    told = np.flatnonzero(~np.isnan(read.value))
    replies = await auditor.write([asked[k] for k in told])
    texts = [""] * len(shown)
    for k, reply in zip(told, replies, strict=True):
        texts[k] = reply.text or ""
    return [_sheet(SheetKey(condition), where, read, texts)]


async def scored(auditor: Auditor, condition: PromptCondition) -> list[Sheet]:
    """P4: expected score from 1 to 10."""
    where = own_cells(auditor)
    shown = _applications(auditor, where)

    def expected(choice: Choice, _: int) -> float:
        return float(np.arange(1, 11) @ choice.shares) if choice.shares else float("nan")

    read = await _in_orders(
        auditor,
        lambda order: [words.score(one, condition, order) for one in shown],
        words.SCORES,
        expected,
    )
    return [_sheet(SheetKey(condition), where, read)]


async def compared(auditor: Auditor, condition: PromptCondition) -> list[Sheet]:
    """P5: two applications that differ only in the cue, in both orders."""
    where = pair_cells(auditor)
    form = auditor.settings.answers
    left = _applications(auditor, where)
    right = _applications(auditor, where._replace(variant=where.other))

    def ask(order: int) -> list[Conversation]:
        a, b = (left, right)[:: 1 - 2 * order]
        return [words.compare(form, x, y, condition) for x, y in zip(a, b, strict=True)]

    read = await _in_orders(auditor, ask, LABELS, _log_odds)
    return [_sheet(SheetKey(condition), where, read)]


def _chosen(text: str | None) -> set[int] | None:
    """Places of a shortlist (0-based); None unless exactly three of the eight are named."""
    numbers = [token.strip(".:;()[]*# ") for token in (text or "").replace(",", " ").split()]
    named = {int(token) for token in numbers if token.isdigit()}
    good = len(named) == words.INVITATIONS and named <= set(range(1, words.LISTED + 1))
    return {number - 1 for number in named} if good else None


async def shortlisted(auditor: Auditor, condition: PromptCondition) -> list[Sheet]:
    """P6: three of eight; every resume in every slot with every group."""
    shown = lists(auditor.stimuli, auditor.shown)
    asked = [
        words.shortlist([auditor.application(int(i), int(v)) for i, v in row], condition)
        for row in shown
    ]
    picked = [_chosen(reply.text) for reply in await auditor.write(asked)]
    flat = shown.reshape(-1, 2)
    where = _where([(int(i), int(v), -1, 0) for i, v in flat])
    value = np.array([float("nan") if chosen is None else float(k in chosen)
                      for chosen in picked for k in range(words.LISTED)])  # fmt: skip
    valid = ~np.isnan(value)
    ones = np.ones(len(flat), dtype=np.int64)
    return [_sheet(SheetKey(condition), where,
                   _Read(value, valid.astype(float), ones, (~valid).astype(np.int64)))]  # fmt: skip


async def summarised(auditor: Auditor, condition: PromptCondition) -> list[Sheet]:
    """P7: summaries, for the criteria they name."""
    where = own_cells(auditor)
    shown = _applications(auditor, where)
    replies = await auditor.write([words.summary(one, condition) for one in shown])
    texts = [reply.text or "" for reply in replies]
    said = np.array([bool(text) for text in texts])
    read = _Read(np.full(len(texts), np.nan), said.astype(float),
                 np.ones(len(texts), dtype=np.int64), (~said).astype(np.int64))  # fmt: skip
    return [_sheet(SheetKey(condition), where, read, texts)]


class Recovery(NamedTuple):
    """Manipulation check [V]: whether the cue's group got the largest share in both orders."""

    recovered: IntArray
    asked: int
    invalid: int


async def recover(auditor: Auditor) -> Recovery:
    """Ask, apart from any resume, which background each cue points to."""
    form, variants = auditor.settings.answers, auditor.stimuli.variants
    right = np.zeros((len(words.ORDERS), len(variants)), dtype=np.int64)
    asked = invalid = 0
    for order in words.ORDERS:
        questions = [words.background(form, auditor.stimuli, cue, order) for cue in variants]
        choices = await auditor.choose([q[0] for q in questions], questions[0][1])
        for k, (choice, (_, _, groups)) in enumerate(zip(choices, questions, strict=True)):
            asked, invalid = asked + choice.asked, invalid + choice.invalid
            if choice.shares and _mass(choice) >= auditor.settings.least_mass:
                right[order, k] = groups[int(np.argmax(choice.shares))] == variants[k].group
    return Recovery(right.min(axis=0), asked, invalid)

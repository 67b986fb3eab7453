"""Training rows: a forced choice as messages, its labels, and the distribution of its answer.

Shapes: N rows, P pairs, F templates. Any dataset with these columns can be trained on, ours or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, NotRequired

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from plenary.errors import ConfigError, DataError
from plenary.models.base import Conversation
from plenary.preferences import BoolArray, FloatArray, IntArray, Targets
from plenary.prompt_templates import PROMPT_TEMPLATES, PromptTemplate, question


class Turn(TypedDict):
    """One message."""

    role: Literal["system", "user", "assistant"]
    content: str


class SoftRow(TypedDict):
    """One forced choice and the distribution that its answer should have.

    prompt: the messages up to the answer. labels: those for the outcome shown first, for the
    second, and for neither if that is offered, whose target is 0. target_p: probability that the
    first label should have. weight: how much the row counts relative to others. pair: the pair that
    the row asks about, the same in every order and template, so that its rows are validated on, or
    drawn for, together; a row without it stands alone. swapped: whether the pair's second outcome
    is shown first.
    """

    prompt: Annotated[list[Turn], Field(min_length=1)]
    labels: Annotated[list[str], Field(min_length=2)]
    target_p: Annotated[float, Field(ge=0, le=1)]
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    pair: NotRequired[str | None]
    swapped: NotRequired[bool | None]


_ROWS = TypeAdapter(list[SoftRow])


def checked_rows(rows: Iterable[Mapping[str, object]]) -> list[SoftRow]:
    """The documented columns of any dataset's rows; DataError for a row that means nothing."""
    try:
        found = _ROWS.validate_python([dict(row) for row in rows])
    except ValidationError as error:
        first = error.errors()[0]
        (row, *column), given = first["loc"], first["input"]
        raise DataError(
            f"training row {row}, column {'.'.join(map(str, column))!r}: {given!r}: "
            f"{first['msg']}; give prompt (messages), labels, target_p and weight"
        ) from error
    if not any(row["weight"] for row in found):
        raise DataError(f"none of {len(found)!r} training rows has weight; let an assembly vote")
    return found


def with_target(row: SoftRow, p: float, weight: float) -> SoftRow:
    """The same question with another target and weight."""
    return SoftRow(**{**row, "target_p": p, "weight": weight})


def pair_places(rows: Sequence[SoftRow]) -> IntArray:
    """Place [N] of each row's pair among all pairs, in order of appearance."""
    places: dict[object, int] = {}
    names = ((k,) if row.get("pair") is None else row.get("pair") for k, row in enumerate(rows))
    return np.array([places.setdefault(name, len(places)) for name in names], dtype=np.int64)


def training_templates(names: Sequence[str]) -> list[PromptTemplate]:
    """The templates with the given ids; ConfigError for one that cannot be trained on.

    That is one held out for evaluation, or one that asks for reasons first, since targets have
    none.
    """
    trainable = [
        f.id for f in PROMPT_TEMPLATES.values() if f.trainable and f.after_reasoning is None
    ]
    for name in names:
        if name not in trainable:
            raise ConfigError(f"template {name!r} cannot be trained on; use {', '.join(trainable)}")
    return [PROMPT_TEMPLATES[name] for name in names]


def soft_rows(
    names: Sequence[str],
    first: Sequence[str],
    second: Sequence[str],
    p: FloatArray,
    weight: FloatArray,
    templates: Sequence[PromptTemplate],
) -> list[SoftRow]:
    """Rows [P * F * 2]: for each pair and template, first as given and then swapped.

    names, first, second [P]: a name of each pair and the texts of its outcomes. p [P]: target
    probability of the first. weight [P]: effective votes behind it; rows have it scaled to mean 1.
    Pairs of weight 0 are left out.
    """
    used = np.flatnonzero(_usable(p, weight))
    scale = weight[used].mean() if len(used) else 1.0
    built: list[SoftRow] = []
    for k in used.tolist():
        a, b, share, votes = first[k], second[k], float(p[k]), float(weight[k] / scale)
        for template in templates:
            built += [
                SoftRow(
                    prompt=_turns(question(template, *shown)),
                    labels=list(template.labels),
                    target_p=target,
                    weight=votes,
                    pair=names[k],
                    swapped=swapped,
                )
                for shown, target, swapped in (((a, b), share, False), ((b, a), 1.0 - share, True))
            ]
    return built


def _usable(p: FloatArray, weight: FloatArray) -> BoolArray:
    """Mask [P] of the pairs that can be trained on; DataError for meaningless values."""
    if len(p) != len(weight):
        raise DataError(f"{len(p)} shares and {len(weight)} weights; give one a pair")
    if np.any(~np.isfinite(weight)) or np.any(weight < 0):
        odd = float(weight[~(weight >= 0) | ~np.isfinite(weight)][0])
        raise DataError(f"target weight {odd!r}; give a finite number of votes, at least 0")
    used = weight > 0
    inside = (p >= 0) & (p <= 1)
    if np.any(used & ~inside):
        odd = float(p[used & ~inside][0])
        raise DataError(f"target share {odd!r}; give a probability, or give the pair weight 0")
    return used


def rows_toward(
    texts: Sequence[str], targets: Targets, templates: Sequence[PromptTemplate]
) -> list[SoftRow]:
    """`soft_rows` of shares that are no dataset's; texts [K] are what targets.pairs index."""
    pairs = targets.pairs
    if len(pairs) != len(targets.p):
        raise DataError(f"{len(pairs)} pairs and {len(targets.p)} shares; give one a pair")
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= len(texts)):
        low, high = int(pairs.min()), int(pairs.max())
        raise DataError(
            f"target pairs name outcomes {low!r} to {high!r} of {len(texts)}; give their catalogue"
        )
    both: list[tuple[int, int]] = pairs.tolist()
    names = [f"{a}|{b}" for a, b in both]
    first, second = [texts[a] for a, _ in both], [texts[b] for _, b in both]
    return soft_rows(names, first, second, targets.p, targets.weight, templates)


def _turns(conversation: Conversation) -> list[Turn]:
    return [Turn(role=message.role, content=message.content) for message in conversation]

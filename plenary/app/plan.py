"""What is asked, fixed before anything runs: outcomes, their split, and the pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import plenary.embedded as embedded
from evaluation.connectivity import components
from evaluation.design import DesignSettings, plan_pairs
from plenary.app.config import OutcomeSettings
from plenary.embedded.reading import unread_words
from plenary.errors import ConfigError, DataError
from plenary.outcomes import (
    Catalogue,
    Outcome,
    OutcomeSplit,
    default_outcomes,
    load_outcomes,
    split_outcomes,
)
from plenary.preferences import IntArray
from plenary.seeding import generator

Pair = tuple[int, int]


class Plan(BaseModel):
    """Outcomes and pairs of a run. Indices are positions in `outcomes`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcomes: tuple[Outcome, ...] = Field(description="the outcomes asked about")
    held_out: tuple[int, ...] = Field(description="outcomes never trained on, sorted")
    train_pairs: tuple[Pair, ...] = Field(description="pairs among training outcomes")
    held_out_pairs: tuple[Pair, ...] = Field(description="pairs among held-out outcomes")
    unread: dict[str, tuple[str, ...]] = Field(
        default={}, description="outcome id -> words that a model of the run cannot read"
    )

    @property
    def texts(self) -> tuple[str, ...]:
        """The sentences [K]."""
        return tuple(outcome.text for outcome in self.outcomes)

    @property
    def train(self) -> tuple[int, ...]:
        """Outcomes that may be trained on, sorted."""
        held = set(self.held_out)
        return tuple(k for k in range(len(self.outcomes)) if k not in held)

    @property
    def pairs(self) -> IntArray:
        """All pairs [P, 2], training pairs first."""
        return np.array([*self.train_pairs, *self.held_out_pairs], dtype=np.int64)

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read the plan of a run; DataError when it is missing or malformed."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(f"cannot read plan {str(path)!r}: {error}; run again") from error


def make_plan(
    catalogue: Catalogue,
    settings: OutcomeSettings,
    design: DesignSettings,
    seed: int,
    *,
    embedded_reads: bool = False,
) -> Plan:
    """Split the outcomes and draw the pairs.

    DataError when the model that ships takes part and cannot read too many of them.
    """
    unread = unread_outcomes(catalogue, settings) if embedded_reads else {}
    split = split_outcomes(catalogue, settings.held_out, generator(seed, "split"))
    pairs = plan_pairs(OutcomeSplit(*split), design, seed)
    return Plan(
        outcomes=catalogue.outcomes,
        held_out=tuple(split.held_out.tolist()),
        train_pairs=_tuples(pairs.train),
        held_out_pairs=_tuples(pairs.held_out),
        unread=unread,
    )


def unread_outcomes(catalogue: Catalogue, settings: OutcomeSettings) -> dict[str, tuple[str, ...]]:
    """Outcome id -> words that the model that ships cannot read; DataError for too many.

    The catalogue that ships is in its words.
    """
    if settings.path is None:
        return {}
    found = {o.id: words for o in catalogue if (words := unread_words(o.text))}
    if len(found) > settings.max_unread * len(catalogue):
        named = "; ".join(f"{name!r}: {', '.join(map(repr, found[name]))}" for name in [*found][:5])
        raise DataError(
            f"the model that ships cannot read a word of {len(found)} of {len(catalogue)} outcomes "
            f"({named}{'; ...' if len(found) > 5 else ''}), so its votes on them mean nothing; use "
            "plain English words, another citizens_model and model, or raise outcomes.max_unread"
        )
    return found


def check_joined(made: Plan) -> None:
    """ConfigError when a side has too few pairs to join its outcomes: no utilities could be fitted.

    Said here, because a fit would say it only after the whole assembly was held.
    """
    sides = {"held_out": np.isin(np.arange(len(made.outcomes)), made.held_out)}
    sides["train"] = ~sides["held_out"]
    for side, member in sides.items():
        pairs = np.array(getattr(made, f"{side}_pairs"), dtype=np.int64).reshape(-1, 2)
        parts = components(pairs[:, 0], pairs[:, 1], len(member))[member]
        if len(pairs) and np.ptp(parts):
            raise ConfigError(
                f"{len(pairs)!r} pairs do not join the {member.sum()} {side.replace('_', '-')} "
                f"outcomes; raise design.{side}_pairs, or set fit.disconnected to 'flag'"
            )


def chosen_outcomes(settings: OutcomeSettings, seed: int, *, embedded_reads: bool) -> Catalogue:
    """The catalogue cut down to the wanted topics and count; order as in the catalogue."""
    catalogue = load_outcomes(settings.path) if settings.path else default_outcomes()
    unknown = sorted(set(settings.exclude_topics) - set(catalogue.topics))
    if unknown:
        raise ConfigError(
            f"unknown topic {unknown[0]!r} in outcomes.exclude_topics; "
            f"the catalogue has {', '.join(catalogue.topics)}"
        )
    left_out = set(settings.exclude_topics)
    if settings.readable_only and embedded_reads:
        left_out |= embedded.unreadable_topics()
    kept = [k for k, outcome in enumerate(catalogue) if outcome.topic not in left_out]
    if len(kept) < (settings.count or 2):
        raise DataError(
            f"{len(kept)} outcomes are left of {len(catalogue)} and outcomes.count is "
            f"{settings.count!r}; ask for fewer or exclude fewer topics"
        )
    return _spread(catalogue.select(kept), settings.count, generator(seed, "outcomes"))


def _spread(catalogue: Catalogue, count: int | None, rng: np.random.Generator) -> Catalogue:
    """`count` outcomes drawn in turns over the topics in random order."""
    if count is None or count == len(catalogue):
        return catalogue
    ranked: list[tuple[int, int, int]] = []
    for place, topic in enumerate(rng.permutation(np.array(catalogue.topics)).tolist()):
        members = [k for k, outcome in enumerate(catalogue) if outcome.topic == topic]
        ranked += [(turn, place, k) for turn, k in enumerate(rng.permutation(members).tolist())]
    return catalogue.select(sorted(k for _, _, k in sorted(ranked)[:count]))


def _tuples(pairs: IntArray) -> tuple[Pair, ...]:
    return tuple((int(a), int(b)) for a, b in pairs)

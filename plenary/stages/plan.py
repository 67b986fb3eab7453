"""Stage `plan`: choosing outcomes, splitting them into train and held-out, and drawing pairs."""

from __future__ import annotations

import numpy as np

import plenary.embedded as embedded
from evaluation.elicitation.comparison_graph import components
from evaluation.elicitation.design import DesignSettings, plan_pairs
from plenary.errors import ConfigError, DataError
from plenary.outcomes import (
    Catalogue,
    OutcomeSplit,
    default_outcomes,
    load_outcomes,
    split_outcomes,
)
from plenary.preferences import IntArray
from plenary.runs import filenames
from plenary.runs.config import OutcomeSettings
from plenary.runs.models import takes_part
from plenary.runs.plan import Pair, Plan, unread_outcomes
from plenary.runs.records.base import write_record
from plenary.runs.workspace import Workspace
from plenary.seeding import generator


def make_plan(
    catalogue: Catalogue,
    settings: OutcomeSettings,
    design: DesignSettings,
    seed: int,
    *,
    embedded_reads: bool = False,
) -> Plan:
    """Split the outcomes and draw the pairs.

    DataError if the shipped model takes part and cannot read too many of them.
    """
    # The catalogue that ships is in its words.
    own = embedded_reads and settings.path is not None
    unread = unread_outcomes(catalogue, settings.max_unread) if own else {}
    split = split_outcomes(catalogue, settings.held_out, generator(seed, "split"))
    pairs = plan_pairs(OutcomeSplit(*split), design, seed)
    return Plan(
        outcomes=catalogue.outcomes,
        held_out=tuple(split.held_out.tolist()),
        train_pairs=_tuples(pairs.train),
        held_out_pairs=_tuples(pairs.held_out),
        unread=unread,
    )


def check_joined(made: Plan) -> None:
    """ConfigError if the pairs of a side do not connect its outcomes, as a utility fit needs.

    Checked here, because the fit would find it only after the whole assembly.
    """
    sides = {"held_out": np.isin(np.arange(len(made.outcomes)), made.held_out)}
    sides["train"] = ~sides["held_out"]
    for side, member in sides.items():
        pairs = np.array(getattr(made, f"{side}_pairs"), dtype=np.int64).reshape(-1, 2)
        parts = components(pairs[:, 0], pairs[:, 1], len(member))[member]
        if len(pairs) and np.ptp(parts):
            raise ConfigError(
                f"{len(pairs)!r} pairs do not connect all {member.sum()} {side.replace('_', '-')} "
                f"outcomes; raise design.{side}_pairs, or set fit.disconnected to 'flag'"
            )


def pairs_left_out(made: Plan, design: DesignSettings) -> tuple[str, ...]:
    """Each side whose outcomes make fewer pairs than were asked for, in a sentence."""
    sides = {
        "train": (made.train, made.train_pairs, design.train_pairs),
        "held_out": (made.held_out, made.held_out_pairs, design.held_out_pairs),
    }
    return tuple(
        f"{len(members)} {side.replace('_', '-')} outcomes make {len(pairs)} pairs, so all of them "
        f"are asked instead of {wanted} (design.{side}_pairs)"
        for side, (members, pairs, wanted) in sides.items()
        if len(pairs) < wanted
    )


def chosen_outcomes(settings: OutcomeSettings, seed: int, *, embedded_reads: bool) -> Catalogue:
    """The catalogue reduced to the wanted topics and count, in its order."""
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
        left = f"{len(kept)} of {len(catalogue)} outcomes" if left_out else f"{len(kept)} outcomes"
        fewer = ", or exclude fewer topics" if left_out else ""
        raise DataError(
            f"outcomes.count is {settings.count!r}, but there are {left} to choose from; set "
            f"outcomes.count=null to take all of them, or a lower number{fewer}"
        )
    return spread(catalogue.select(kept), settings.count, generator(seed, "outcomes"))


def spread(catalogue: Catalogue, count: int | None, rng: np.random.Generator) -> Catalogue:
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


def plan(space: Workspace) -> None:
    """Choose outcomes, split them and draw the pairs."""
    config = space.config
    reads = takes_part(config)
    catalogue = chosen_outcomes(config.outcomes, space.seed, embedded_reads=reads)
    made = make_plan(catalogue, config.outcomes, config.design, space.seed, embedded_reads=reads)
    if config.fit.disconnected == "error":
        check_joined(made)
    write_record(made, space.file(filenames.PLAN))

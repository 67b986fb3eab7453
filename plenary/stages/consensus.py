"""Stage `consensus`: from ballots to labels, by a built-in aggregation rule or the user's own."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from assembly.aggregation.ceiling import ReliabilityCeiling, reliability_ceiling, rule_ceiling
from assembly.aggregation.consensus import Consensus, consensus, decided_by
from assembly.aggregation.electorate import Rule
from assembly.aggregation.rules import RULES
from assembly.record.ballots import AFTER, BEFORE
from plenary.errors import measured
from plenary.preferences import IntArray
from plenary.runs import filenames
from plenary.runs.files import staged
from plenary.runs.records.assembly import ConsensusRecord
from plenary.runs.records.base import write_record
from plenary.runs.workspace import Workspace
from plenary.seeding import generator
from plenary.stages.diagnostics import known

PLAIN = "weighted_share"


class NamedRule(NamedTuple):
    """An aggregation rule and its name in records."""

    name: str
    rule: Rule


def decide(space: Workspace, own: NamedRule | None = None) -> None:
    """The labels of all pairs before and after the discussion, and the panel's own reliability.

    own: the user's own rule, instead of the one in the settings.
    """
    chosen = own or NamedRule(space.config.dataset.rule, RULES[space.config.dataset.rule])
    first = _decided(space, chosen, BEFORE, np.arange(len(space.panel)))
    after = _decided(space, chosen, AFTER, space.seating.group_of())
    for decided, name in ((first, filenames.CONSENSUS_BEFORE), (after, filenames.CONSENSUS)):
        with staged(space.file(name)) as path:
            decided.write(path)
    reasons: dict[str, str] = {}
    ceiling = measured(
        lambda: _ceiling(space) if chosen.name == PLAIN else _rule_ceiling(space, chosen.rule),
        "ceiling",
        reasons,
    )
    record = ConsensusRecord(
        rule=chosen.name,
        pairs=len(after.pairs),
        contested=int(after.contested.sum()),
        unusable_share=after.unusable_share,
        ceiling=ceiling and known(ceiling.agreement),
        ceiling_low=ceiling and known(ceiling.low),
        ceiling_high=ceiling and known(ceiling.high),
        half_agreement=ceiling and known(ceiling.half_agreement),
        not_measured=reasons,
    )
    write_record(record, space.file(filenames.DECISION))


def _decided(space: Workspace, chosen: NamedRule, phase: int, clusters: IntArray) -> Consensus:
    pairs, weights = space.plan.pairs, space.panel.weight
    level = space.config.comparison.level
    plain = consensus(space.votes, pairs, weights, phase, level=level, clusters=clusters)
    if chosen.name == PLAIN:
        return plain
    return decided_by(
        chosen.rule,
        space.electorate(phase),
        plain,
        space.held_out_mask.astype(np.int64),
        clusters,
        generator(space.seed, "rule", str(phase)),
    )


def _ceiling(space: Workspace) -> ReliabilityCeiling:
    """How far two panels would agree on the held-out pairs; groups are kept together."""
    held = space.held_out_mask
    return reliability_ceiling(
        space.votes.on_pairs(held),
        space.plan.pairs[held],
        space.panel.weight,
        AFTER,
        generator(space.seed, "ceiling"),
        clusters=space.seating.group_of(),
    )


def _rule_ceiling(space: Workspace, rule: Rule) -> ReliabilityCeiling:
    """The same for a rule, which sees only the held-out pairs."""
    first, voted = len(space.plan.train_pairs), space.electorate(AFTER)
    held = replace(voted, shares=voted.shares[:, first:], pairs=voted.pairs[first:])
    rng = generator(space.seed, "ceiling", "rule")
    return rule_ceiling(rule, held, space.seating.group_of(), rng)

"""Aggregation rules: plain functions from an electorate to a verdict, in one dict.

A user's own function of the type `Rule` can be passed wherever a rule is taken.
"""

from __future__ import annotations

from assembly.electorate import Electorate, Rule, Verdict, hard, weighted_mean
from assembly.pairwise_rules import (
    borda,
    copeland,
    majority,
    maximal_lotteries,
    schulze,
    weighted_share,
)
from assembly.settings import RuleName
from assembly.strata_rules import group_informed_consensus, maximin, nash_welfare
from assembly.thurstonian_rules import multilevel_thurstonian, pooled_thurstonian

__all__ = ["RULES", "Electorate", "Rule", "Verdict", "hard", "weighted_mean"]

RULES: dict[RuleName, Rule] = {
    "weighted_share": weighted_share,
    "majority": majority,
    "borda": borda,
    "copeland": copeland,
    "schulze": schulze,
    "maximal_lotteries": maximal_lotteries,
    "pooled_thurstonian": pooled_thurstonian,
    "multilevel_thurstonian": multilevel_thurstonian,
    "group_informed_consensus": group_informed_consensus,
    "maximin": maximin,
    "nash_welfare": nash_welfare,
}

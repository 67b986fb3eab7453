"""Your own aggregation rule: a function from an electorate to a result.

Run: python examples/own_rule.py
"""

import numpy as np

from assembly.aggregation.electorate import (
    Electorate,
    RuleResult,
    mean_won,
    stratum_shares,
    verdict,
)
from assembly.aggregation.rules import RULES
from assembly.aggregation.uncertainty import uncertainty
from plenary.seeding import generator


def worst_off(electorate: Electorate) -> RuleResult:
    """An outcome's share is its share in the stratum that likes it least."""
    strata = stratum_shares(electorate, electorate.strata, len(electorate.strata_shares)).p
    low, high = np.nanmin(strata, axis=0), np.nanmax(strata, axis=0)
    p = np.where(low > 0.5, low, np.where(high < 0.5, high, 0.5))
    return verdict(p, mean_won(p, electorate.pairs, electorate.outcomes))


rng = generator(0, "example")
strata = np.repeat([0, 1], 20)
liking = np.where(strata[:, None] == 0, [0.9, 0.7, 0.4], [0.6, 0.2, 0.3])
ballots = Electorate(
    shares=np.clip(liking + rng.normal(0, 0.05, liking.shape), 0, 1),
    pairs=np.array([[0, 1], [0, 2], [1, 2]]),
    weights=np.ones(40),
    outcomes=3,
    strata=strata,
    strata_shares=np.array([0.5, 0.5]),
)
for name, rule in {"weighted_share": RULES["weighted_share"], "worst_off": worst_off}.items():
    ends = uncertainty(rule, ballots, rng, 200, clusters=np.arange(40))
    shown = zip(rule(ballots).p, ends.p_low, ends.p_high, strict=True)
    print(f"{name:15}", "  ".join(f"{p:.2f} ({low:.2f}..{high:.2f})" for p, low, high in shown))

"""What each column of the tables of a run means, as `plenary show FILE` explains it."""

from __future__ import annotations

from assembly.aggregation.consensus import COUNTED
from assembly.dataset.consensus_dataset import MEANING
from assembly.record.ballots import STATES
from personas.panel_file import PanelRecord

_PAIR = "position of the pair in the run's plan, from 0"
_CITIZEN = "position of the citizen in the panel, from 0"
_STATE = ", ".join(f"{code} {name}" for code, name in enumerate(STATES))

# kind of table, as `plenary show` calls it -> column -> meaning
COLUMNS: dict[str, dict[str, str]] = {
    "votes": {
        "pair": _PAIR,
        "citizen": _CITIZEN,
        "phase": "0 before the discussion, 1 after it, 2 follow-up",
        "order": "0: the pair's first outcome was shown first; 1: it was shown second",
        "share_first": "probability of the outcome SHOWN first, 0 to 1; empty unless valid. With "
        "order 1, the share for the pair's first outcome is 1 minus this",
        "state": _STATE,
        "mass": "probability of the labels A and B among all next words; empty where not known",
    },
    "statements": {
        "pair": _PAIR,
        "table": "table at which it was said",
        "round": "round of the discussion",
        "seat": "place in the order of the speakers",
        "citizen": _CITIZEN + "; who spoke",
        "side": "outcome of the pair that it speaks for: 0 first, 1 second, empty: neither",
        "state": _STATE,
        "text": "what the others heard",
    },
    "a panel": {name: field.description or "" for name, field in PanelRecord.model_fields.items()},
    "a consensus dataset": MEANING,
    "what the assembly decided": {
        "first": "position of the pair's first outcome in the run's plan",
        "second": "position of its second outcome",
        "p": "weighted share of citizens for the first outcome; empty without a valid ballot",
        "low": "lower end of the interval of p",
        "high": "upper end of the interval of p",
        "effective_n": MEANING["effective_n"],
        "order_gap": "weighted mean share of the outcome shown first, minus 0.5; positive: the "
        "first slot attracts votes",
        "contested": MEANING["contested"],
        **{f"count_{name}": f"citizens counted as {name}" for name in COUNTED},
        **{f"weight_{name}": f"weight of the citizens counted as {name}" for name in COUNTED},
    },
    "fitted utilities": {
        "mu": "utility; higher is preferred; the central outcomes have mean 0 and sd 1",
        "sd": "standard error of mu",
        "log_sigma": "log of the spread of the outcome's utility from answer to answer",
        "component": "part of the comparisons that it is connected with; 0 is the largest",
        "separated": "it won or lost every comparison, so only the prior bounds mu",
    },
    "utilities that moved": {
        "before": "utility before training",
        "after": "utility after training, on the scale of before",
        "target": "utility of the target (the assembly), on the scale of before",
        "shift": "after minus before",
        "shift_sd": "standard error of shift",
        "low": "lower end of the interval of shift",
        "high": "upper end of the interval of shift",
        "p_value": "two-sided, of no shift",
        "threshold": "shift that asking the same model again rarely exceeds; 0 without test-retest",
        "moved": "significant after Benjamini-Hochberg, and beyond threshold",
        "mass_before": "mean answer mass before; empty where not known",
        "mass_after": "mean answer mass after; empty where not known",
    },
    "answers": {
        "first": "position of the outcome shown first",
        "second": "position of the outcome shown second",
        "wins": "answers, or probability, for the outcome shown first",
        "trials": "valid answers; 1 for an exact probability",
        "invalid": "refused or unreadable answers, never part of trials",
        "mass": "probability of the answer labels among all next words; empty where not known",
        "undecided": "answers of no preference, in neither trials nor invalid",
        "excluded": "does not count, as mass is below the threshold",
        "template": "position of the wording among the templates of the elicitation",
    },
}

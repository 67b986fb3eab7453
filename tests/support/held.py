"""Assemblies made from known shares, without a model."""

from __future__ import annotations

import numpy as np

from assembly.dataset.consensus_dataset import DatasetProvenance
from assembly.dataset.labels import HeldAssembly
from assembly.record.ballots import VALID, Votes
from assembly.record.ledger import Spoken
from plenary.outcomes import Outcome

NAN = float("nan")


def votes_from(shares, *, state=None, order_bias=0.0, mass=1.0) -> Votes:
    """Votes in both orders from shares [F, C, P] of the first outcome in each phase."""
    shares = np.asarray(shares, dtype=float)
    shown = np.stack([shares + order_bias, 1 - shares + order_bias])
    state = np.zeros(shown.shape, dtype=int) if state is None else state
    order, phase, citizen, pair = (grid.ravel() for grid in np.indices(shown.shape))
    share = np.where(state == VALID, shown, NAN).ravel()
    masses = np.full(len(pair), mass)
    return Votes(pair, citizen, phase, order, share, state.ravel(), masses)


def provenance(citizens: int, **changed) -> DatasetProvenance:
    facts = {
        "persona_ids": tuple(f"c{k:03d}" for k in range(citizens)),
        "persona_weights": (1.0,) * citizens,
        "models": ("planted:0",),
        "templates": {"assembly": "assembly-1 abc"},
        "settings": {"rounds": "1"},
        "inputs": {"population": "0f"},
        "seed": 3,
        "version": "0.0",
    }
    return DatasetProvenance(**{**facts, **changed})


def held_from(shares, **changed) -> HeldAssembly:
    """An assembly on P pairs of 2 P outcomes; tables of 4, regions West and East in turn."""
    phases, citizens, pairs = np.shape(shares)
    assert phases >= 2
    facts = {
        "votes": votes_from(shares),
        "outcomes": [
            Outcome(id=f"o{k}", text=f"outcome {k} comes to pass", topic=f"topic {k % 3}")
            for k in range(2 * pairs)
        ],
        "pairs": np.arange(2 * pairs).reshape(pairs, 2),
        "held_out": np.arange(pairs) % 3 == 2,
        "weights": np.ones(citizens),
        "clusters": np.arange(citizens) // 4,
        "attributes": {"region": ["West" if k % 2 else "East" for k in range(citizens)]},
        "provenance": provenance(citizens),
    }
    return HeldAssembly(**{**facts, **changed})


def spoken(pair: int, citizen: int, side: int, text: str, seat: int = 0, state: int = 0) -> Spoken:
    return Spoken(pair, 0, 0, seat, citizen, side, state, text)

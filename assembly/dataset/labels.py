"""Building the consensus dataset (labels per pair) from an assembly's votes and statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from assembly.aggregation.consensus import COUNTED, Consensus, consensus, kinds
from assembly.aggregation.electorate import hard, weighted_mean
from assembly.aggregation.strata import Attributes, Strata, strata_of
from assembly.analysis.dissent import minority_report
from assembly.analysis.variance_components import error_sources
from assembly.dataset.consensus_dataset import ConsensusDataset, DatasetProvenance, named
from assembly.record.ballots import (
    AFTER,
    BEFORE,
    FOLLOW_UP,
    BallotGrid,
    Votes,
    citizen_shares,
    grid,
)
from assembly.record.ledger import BallotCalls, Spoken
from plenary.errors import DataError
from plenary.outcomes import Outcome
from plenary.preferences import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class HeldAssembly:
    """An assembly that was held.

    outcomes [K]; pairs [P, 2]: positions in them. held_out [P]: pairs that are never trained on,
    fixed before the assembly. weights [C]. clusters [C]: citizens with dependent votes after the
    discussion (table or group). attributes: categories of each citizen. statements [N]: the
    transcript; merit [N]: the figure that ranks arguments, such as influence. unread: outcome id ->
    its words that a citizens' model cannot read. samples: answers per ballot where the model can
    only sample.
    templates [F, P]: shares under other wordings, None where not asked. calls [P]: the recorded
    calls behind a pair's ballots (`Ledger.ballot_calls`), None where unknown.
    """

    votes: Votes
    outcomes: Sequence[Outcome]
    pairs: IntArray
    held_out: BoolArray
    weights: FloatArray
    clusters: IntArray
    attributes: Attributes
    provenance: DatasetProvenance
    statements: Sequence[Spoken] = ()
    merit: FloatArray | None = None
    unread: Mapping[str, Sequence[str]] = field(default_factory=dict)
    samples: int = 1
    templates: FloatArray | None = None
    calls: Sequence[BallotCalls] | None = None

    @property
    def pair_ids(self) -> list[str]:
        """first|second [P]."""
        return [f"{self.outcomes[a].id}|{self.outcomes[b].id}" for a, b in self.pairs.tolist()]

    def complete(self) -> BoolArray:
        """Mask [P] of the pairs with all ballots recorded before and after, of any state."""
        ballots = 2 * len(self.weights)
        held = [
            np.bincount(self.votes.pair[self.votes.phase == phase], minlength=len(self.pairs))
            for phase in (BEFORE, AFTER)
        ]
        return (np.stack(held) == ballots).all(axis=0)

    def only(self, mask: BoolArray) -> HeldAssembly:
        """The assembly on some of its pairs, such as the complete ones if a budget ran out."""
        place = np.cumsum(mask) - 1
        said = [k for k, s in enumerate(self.statements) if mask[s.pair]]
        return replace(
            self,
            votes=self.votes.on_pairs(mask),
            pairs=self.pairs[mask],
            held_out=self.held_out[mask],
            statements=[
                self.statements[k]._replace(pair=int(place[self.statements[k].pair])) for k in said
            ],
            merit=None if self.merit is None else self.merit[said],
            templates=None if self.templates is None else self.templates[:, mask],
            calls=None
            if self.calls is None
            else [row for row, keep in zip(self.calls, mask, strict=True) if keep],
        )


def build_dataset(
    held: HeldAssembly, level: float = 0.95, decided: Consensus | None = None
) -> ConsensusDataset:
    """The dataset of an assembly; DataError names the pairs that lack ballots.

    A pair on which every ballot was refused, invalid or failed keeps its row, with counts but
    without a label. decided: labels by a rule other than the weighted share. p_follow_up is filled
    where a third ballot was held on the pair.
    """
    lacking = [held.pair_ids[k] for k in np.flatnonzero(~held.complete())]
    if lacking:
        raise DataError(
            f"{len(lacking)} of {len(held.pairs)} pairs lack ballots: {named(lacking)}; resume the "
            "assembly, or take `held.only(held.complete())`"
        )
    size = len(held.pairs)
    decided = decided or consensus(
        held.votes, held.pairs, held.weights, AFTER, level=level, clusters=held.clusters
    )
    laid = grid(held.votes, AFTER, len(held.weights), size)
    shares = laid.share.mean(axis=0)
    strata = strata_of(held.attributes, len(held.weights))
    before = citizen_shares(held.votes, BEFORE, len(held.weights), size)
    errors = error_sources(
        held.votes, size, held.weights, AFTER,
        samples=held.samples, clusters=held.clusters, templates=held.templates,
    )  # fmt: skip
    return ConsensusDataset(
        provenance=held.provenance,
        level=level,
        **_words(held)._asdict(),
        split=tuple("held_out" if out else "train" for out in held.held_out.tolist()),
        p=decided.p,
        low=decided.low,
        high=decided.high,
        p_hard=weighted_mean(hard(shares), held.weights),
        p_unweighted=weighted_mean(shares, np.ones(len(shares))),
        p_before=weighted_mean(before, held.weights),
        p_follow_up=_follow_up(held),
        effective_n=decided.effective_n,
        order_gap=decided.order_gap,
        contested=decided.contested,
        counts=decided.counts,
        errors=errors,
        strata=strata.names,
        stratum_p=strata.means(shares, held.weights).T,
        stratum_counts=_counted(laid, shares, strata),
        minority=minority_report(shares, held.weights, strata, held.statements, held.merit),
        **_calls(held)._asdict(),
    )


class _Calls(NamedTuple):
    """Number and digest [P] of the calls behind a pair; None where they are not known."""

    calls: tuple[int | None, ...]
    calls_digest: tuple[str | None, ...]


def _calls(held: HeldAssembly) -> _Calls:
    if held.calls is None:
        return _Calls((None,) * len(held.pairs), (None,) * len(held.pairs))
    return _Calls(
        tuple(len(behind.keys) for behind in held.calls),
        tuple(behind.digest for behind in held.calls),
    )


class _Words(NamedTuple):
    first_id: tuple[str, ...]
    second_id: tuple[str, ...]
    first_text: tuple[str, ...]
    second_text: tuple[str, ...]
    first_topic: tuple[str, ...]
    second_topic: tuple[str, ...]
    first_unread: tuple[str, ...]
    second_unread: tuple[str, ...]


def _words(held: HeldAssembly) -> _Words:
    sides = [[held.outcomes[k] for k in column] for column in held.pairs.T.tolist()]
    return _Words(
        *(tuple(o.id for o in side) for side in sides),
        *(tuple(o.text for o in side) for side in sides),
        *(tuple(o.topic for o in side) for side in sides),
        *(tuple(" ".join(held.unread.get(o.id, ())) for o in side) for side in sides),
    )


def _follow_up(held: HeldAssembly) -> FloatArray:
    """Weighted share [P] in the third ballot, NaN for a pair where it is incomplete."""
    votes, found = held.votes, np.full(len(held.pairs), np.nan)
    ballots = np.bincount(votes.pair[votes.phase == FOLLOW_UP], minlength=len(found))
    whole = ballots == 2 * len(held.weights)
    if whole.any():
        later = held.only(whole)
        shares = citizen_shares(later.votes, FOLLOW_UP, len(held.weights), int(whole.sum()))
        found[whole] = weighted_mean(shares, held.weights)
    return found


def _counted(laid: BallotGrid, shares: FloatArray, strata: Strata) -> IntArray:
    """Citizens [P, G, len(COUNTED)] of each stratum by COUNTED."""
    kind = kinds(laid, shares)
    members = strata.members.astype(np.int64)
    return np.stack([(members @ (kind == k)).T for k in range(len(COUNTED))], axis=2)

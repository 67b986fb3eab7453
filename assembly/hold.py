"""Holding an assembly outside of a run, and what it leaves: everything at hand in one object.

Shapes: C citizens, P pairs, K outcomes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Self, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import plenary
from assembly.aggregation.ceiling import ReliabilityCeiling, reliability_ceiling
from assembly.aggregation.consensus import Consensus, consensus, decided_by
from assembly.aggregation.electorate import Electorate, Rule
from assembly.aggregation.rules import RULES
from assembly.aggregation.strata import strata_of
from assembly.analysis.movement import MovementIntervals, by_stratum, stratum_intervals
from assembly.dataset.consensus_dataset import ConsensusDataset, DatasetProvenance
from assembly.dataset.labels import HeldAssembly, build_dataset
from assembly.dataset.rows import DatasetDict, rows_by_split, to_datasets, to_dpo, to_sft
from assembly.deliberation.prompts import PHASE_HASH, PROMPT_HASH, PROMPT_VERSION
from assembly.deliberation.seating import Seating, seat
from assembly.deliberation.session import convene
from assembly.record.ballots import AFTER, BEFORE, FOLLOW_UP, STATES, Votes, citizen_shares
from assembly.record.ledger import Ledger, Spoken
from assembly.record.progress import Event
from assembly.record.settings import AssemblySettings, RuleName
from plenary.errors import ConfigError, DataError, NotMeasured
from plenary.models.base import ChatBackend
from plenary.outcomes import Outcome
from plenary.preferences import BoolArray, FloatArray, IntArray, Targets
from plenary.prompt_templates import PROMPT_TEMPLATES, PromptTemplate
from plenary.seeding import generator
from plenary.table import Table

PLAIN = "weighted_share"
PHASES = {"before": BEFORE, "after": AFTER, "follow-up": FOLLOW_UP}
FACTS, VOTES, STATEMENTS, CONSENSUS = "assembly.json", "votes", "statements", "consensus"
RowForm = Literal["soft", "sft", "dpo", "labels"]


@dataclass(frozen=True, slots=True)
class SeatedPanel:
    """Who sits in the room: ids, texts (what a citizen's model is told it is) and weights [C].

    attributes: name -> category of each citizen [C].
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    weights: FloatArray
    attributes: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return len(self.ids)


class VotingAgenda(NamedTuple):
    """What is voted on: outcomes [K], pairs [P, 2] of them, and held_out [P]: never trained on."""

    outcomes: tuple[Outcome, ...]
    pairs: IntArray
    held_out: BoolArray


@dataclass(frozen=True)
class DecidedAssembly:
    """An assembly that was held.

    votes: every ballot. statements: the transcript. before, after: the decision on each pair by
    `rule` (ceiling [share] by weighted shares), at the ballot before and after the discussion.
    model: who played the citizens. settings, seed: how it was held.
    """

    agenda: VotingAgenda
    seats: SeatedPanel
    votes: Votes
    statements: tuple[Spoken, ...]
    before: Consensus
    after: Consensus
    model: str
    rule: str
    settings: AssemblySettings
    seed: int

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes [K] that pairs are made of."""
        return self.agenda.outcomes

    @property
    def seating(self) -> Seating:
        """Who sat at which table."""
        return seat(len(self.seats), len(self.agenda.pairs), self.settings, self.seed)

    @cached_property
    def dataset(self) -> ConsensusDataset:
        """The consensus dataset: one row per pair with its label, interval, strata and dissent."""
        held = HeldAssembly(
            votes=self.votes,
            outcomes=self.outcomes,
            pairs=self.agenda.pairs,
            held_out=self.agenda.held_out,
            weights=self.seats.weights,
            clusters=self.seating.group_of(),
            attributes=self.seats.attributes,
            provenance=self._provenance(),
            statements=self.statements,
            samples=self.settings.samples,
        )
        return build_dataset(held, self.after.level, self.after)

    def _provenance(self) -> DatasetProvenance:
        return DatasetProvenance(
            persona_ids=self.seats.ids,
            persona_weights=tuple(self.seats.weights.tolist()),
            models=(self.model,),
            templates={
                "assembly": f"{PROMPT_VERSION} {PROMPT_HASH}",
                "optional phases": PHASE_HASH,
            },
            settings={
                **{f"assembly.{k}": json.dumps(v) for k, v in _plain(self.settings).items()},
                "dataset.rule": json.dumps(self.rule),
            },
            inputs={},
            seed=self.seed,
            version=plenary.__version__,
        )

    def to_dataset(
        self,
        form: RowForm = "soft",
        templates: Sequence[str | PromptTemplate] = ("plain",),
    ) -> DatasetDict:
        """Rows to train on and rows to judge by: a `datasets.DatasetDict` of train and held_out.

        soft: prompt (messages), labels, target_p and weight, what `SoftLabelTrainer` takes. sft:
        prompt and completion with the majority's label. dpo: prompt, chosen and rejected. labels:
        one row per pair with all that is known of it. Every pair comes in both presentation orders
        and in each template, a template's id or one of your own.
        """
        if form == "labels":
            return to_datasets(self.dataset)
        if form not in ("soft", "sft", "dpo"):
            raise ConfigError(f"unknown form {form!r} of rows; use soft, sft, dpo or labels")
        make = {"soft": ConsensusDataset.to_soft, "sft": to_sft, "dpo": to_dpo}[form]
        known = [_template(template) for template in templates]
        facts = {"ceiling": self.ceiling and self.ceiling.agreement, "citizens": len(self.seats)}
        return rows_by_split(self.dataset, make, known, facts)

    @cached_property
    def ceiling(self) -> ReliabilityCeiling | None:
        """How often two panels like this would agree on the held-out pairs; None: not measured."""
        held = self.agenda.held_out
        try:
            return reliability_ceiling(
                self.votes.on_pairs(held),
                self.agenda.pairs[held],
                self.seats.weights,
                AFTER,
                generator(self.seed, "ceiling"),
                clusters=self.seating.group_of(),
            )
        except (ConfigError, NotMeasured):
            return None

    def targets(self, side: Literal["train", "held_out"]) -> Targets:
        """Shares on the pairs of one side of the split that were voted on, as a target."""
        found = self.after.targets()
        held = np.isin(found.pairs, self.agenda.pairs[self.agenda.held_out]).all(axis=1)
        keep = held if side == "held_out" else ~held
        return Targets(found.pairs[keep], found.p[keep], found.weight[keep])

    def electorate(self, mask: BoolArray, phase: int = AFTER) -> tuple[Electorate, list[int]]:
        """Who voted how on the pairs of a mask [P], and the outcomes these pairs are made of."""
        shares = citizen_shares(self.votes, phase, len(self.seats), len(mask))[:, mask]
        outcomes, pairs = np.unique(self.agenda.pairs[mask], return_inverse=True)
        local = pairs.reshape(-1, 2).astype(np.int64)
        held = Electorate.unstratified(shares, local, self.seats.weights, len(outcomes))
        return held, outcomes.tolist()

    @property
    def labels(self) -> Table:
        """One row per pair: shares before and after, the interval, ballots, the split."""
        rows = (
            (
                self.outcomes[a].text,
                self.outcomes[b].text,
                "held_out" if self.agenda.held_out[k] else "train",
                float(self.before.p[k]),
                float(self.after.p[k]),
                float(self.after.low[k]),
                float(self.after.high[k]),
                bool(self.after.contested[k]),
                float(self.after.effective_n[k]),
            )
            for k, (a, b) in enumerate(self.agenda.pairs.tolist())
        )
        names = [
            "first",
            "second",
            "split",
            "before",
            "after",
            "low",
            "high",
            "contested",
            "effective_n",
        ]
        return Table.of(names, rows, "Share for the first outcome of each pair")

    @property
    def ballots(self) -> Table:
        """Every ballot: pair, citizen, phase, order shown, share for the pair's first outcome.

        share_first is None where the answer did not count; state says why.
        """
        v, names = self.votes, {code: name for name, code in PHASES.items()}
        first = np.where(v.order == 0, v.share_first, 1 - v.share_first)
        columns: dict[str, list[object]] = {
            "pair": v.pair.tolist(),
            "first": [self.outcomes[a].id for a in self.agenda.pairs[v.pair, 0].tolist()],
            "second": [self.outcomes[b].id for b in self.agenda.pairs[v.pair, 1].tolist()],
            "citizen": [self.seats.ids[c] for c in v.citizen.tolist()],
            "phase": [names[code] for code in v.phase.tolist()],
            "swapped": [bool(order) for order in v.order.tolist()],
            "share_first": [None if np.isnan(p) else p for p in first.tolist()],
            "state": [STATES[code] for code in v.state.tolist()],
        }
        return Table(columns, "Ballots")

    def by(self, attribute: str) -> Table:
        """Which groups moved: citizens, share that changed sides, size and direction of moves.

        changed: share of citizens x pairs whose choice changed sides between the two ballots.
        shift: mean size of the change of a share, 0 to 1. toward: mean change toward the majority
        of the others at the table, positive is conforming. low, high: 95 % intervals, with groups
        of tables resampled; None where a category is in fewer than two groups.
        """
        if attribute not in self.seats.attributes:
            known = ", ".join(self.seats.attributes) or "none"
            raise ConfigError(f"unknown attribute {attribute!r} of the panel; it has {known}")
        chosen = {attribute: self.seats.attributes[attribute]}
        strata = strata_of(chosen, len(self.seats))
        weights, tables = self.seats.weights, self.seating.table_of()
        given = (self.votes, len(self.agenda.pairs), weights, tables)
        moved = by_stratum(*given, strata)
        ends = stratum_intervals(
            *given, self.seating.group_of(), strata, generator(self.seed, "movement", attribute)
        )
        rows = []
        for name, members in zip(strata.names, strata.members, strict=True):
            found, ranges = moved[name], ends[name]
            told: list[float | None] = []
            for part in MovementIntervals._fields:
                told.append(None if found is None else getattr(found, part))
                range_ = (None, None) if ranges is None else getattr(ranges, part)
                told += (None if end is None or np.isnan(end) else end for end in range_)
            share = float(weights[members].sum() / weights.sum())
            rows.append((name.category, int(members.sum()), share, *told))
        rows.sort(key=lambda row: not row[0].startswith("under "))
        figures = [f"{p}{end}" for p in MovementIntervals._fields for end in ("", "_low", "_high")]
        names = [attribute, "citizens", "weight", *figures]
        return Table.of(names, rows, f"Movement between the ballots by {attribute}")

    def transcript(self, pair: int | str | tuple[str, str], table: int | None = None) -> Table:
        """What was said on a pair, at one table or at all: round, speaker, side, words.

        pair: its position, "first|second" or the two ids.
        """
        at = self.pair_at(pair)
        sides = [self.outcomes[k].id for k in self.agenda.pairs[at].tolist()]
        rows = (
            (
                s.table, s.round, self.seats.ids[s.citizen],
                None if s.side is None else sides[s.side], s.text, STATES[s.state],
            )
            for s in self.statements
            if s.pair == at and (table is None or s.table == table)
        )  # fmt: skip
        title = f"{self.pair_text(at)}: what was said"
        return Table.of(["table", "round", "citizen", "for", "text", "state"], rows, title)

    def minority_report(self, pair: int | str | tuple[str, str]) -> Table:
        """Groups whose share lies on the other side of one half, with their best argument."""
        at = self.pair_at(pair)
        rows = (
            (d.attribute, d.category, d.citizens, d.size, d.p, d.intensity, d.text)
            for d in self.dataset.minority[at]
        )
        names = ["attribute", "category", "citizens", "size", "share", "intensity", "argument"]
        return Table.of(names, rows, f"{self.pair_text(at)}: who opposes")

    def pair_at(self, pair: int | str | tuple[str, str]) -> int:
        """Position of a pair, given as one, as "first|second" or as two ids in either order."""
        ids = [tuple(self.outcomes[k].id for k in two) for two in self.agenda.pairs.tolist()]
        if isinstance(pair, int):
            if not -len(ids) <= pair < len(ids):
                raise ConfigError(f"no pair {pair!r}; there are {len(ids)}, counted from 0")
            return pair % len(ids)
        wanted = tuple(pair.split("|")) if isinstance(pair, str) else tuple(pair)
        for two in (wanted, wanted[::-1]):
            if two in ids:
                return ids.index(two)
        raise ConfigError(f"no pair {pair!r}; see the columns of `.labels`, such as {ids[0]!r}")

    def pair_text(self, at: int) -> str:
        """The two sentences of a pair."""
        a, b = (self.outcomes[k].text for k in self.agenda.pairs[at].tolist())
        return f"{a} / {b}"

    def save(self, folder: str | Path) -> None:
        """Write votes, statements, decisions (Parquet) and the rest (JSON) into a folder."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        self.votes.write(place / f"{VOTES}.parquet")
        columns = zip(*self.statements, strict=True) if self.statements else ([],) * 8
        said = dict(zip(Spoken._fields, map(list, columns), strict=True))
        pq.write_table(pa.table(said), place / f"{STATEMENTS}.parquet")
        for name, decided in (("before", self.before), ("after", self.after)):
            decided.write(place / f"{CONSENSUS}_{name}.parquet")
        facts = _Facts(
            outcomes=self.outcomes,
            pairs=[(a, b) for a, b in self.agenda.pairs.tolist()],
            held_out=self.agenda.held_out.tolist(),
            ids=self.seats.ids,
            texts=self.seats.texts,
            weights=self.seats.weights.tolist(),
            attributes={name: tuple(v) for name, v in self.seats.attributes.items()},
            model=self.model,
            rule=self.rule,
            settings=self.settings,
            seed=self.seed,
        )
        (place / FACTS).write_text(facts.model_dump_json(indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote; DataError for a folder that is not one."""
        place = Path(folder)
        try:
            facts = _Facts.model_validate_json((place / FACTS).read_bytes())
            said = pq.read_table(place / f"{STATEMENTS}.parquet").to_pylist()
        except (OSError, ValidationError, pa.ArrowInvalid) as error:
            raise DataError(
                f"cannot read an assembly from {str(place)!r}: {error}; give a folder that `save` "
                "wrote"
            ) from error
        pairs = np.array(facts.pairs, dtype=np.int64).reshape(-1, 2)
        return cls(
            agenda=VotingAgenda(facts.outcomes, pairs, np.array(facts.held_out, dtype=bool)),
            seats=SeatedPanel(facts.ids, facts.texts, np.array(facts.weights), facts.attributes),
            votes=Votes.read(place / f"{VOTES}.parquet"),
            statements=tuple(Spoken(**row) for row in said),
            before=Consensus.read(place / f"{CONSENSUS}_before.parquet"),
            after=Consensus.read(place / f"{CONSENSUS}_after.parquet"),
            model=facts.model,
            rule=facts.rule,
            settings=facts.settings,
            seed=facts.seed,
        )


class _Facts(BaseModel):
    """What is kept of an assembly beside its tables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcomes: tuple[Outcome, ...] = Field(description="the outcomes voted on")
    pairs: list[tuple[int, int]] = Field(description="pairs of positions among them")
    held_out: list[bool] = Field(description="whether a pair is never trained on")
    ids: tuple[str, ...] = Field(description="citizens")
    texts: tuple[str, ...] = Field(description="what each citizen's model was told")
    weights: list[float] = Field(description="weight of each citizen")
    attributes: dict[str, tuple[str, ...]] = Field(description="category of each citizen")
    model: str = Field(description="who played the citizens")
    rule: str = Field(description="how ballots became labels")
    settings: AssemblySettings = Field(description="how the assembly was held")
    seed: int = Field(description="root seed")


def _plain(settings: AssemblySettings) -> dict[str, object]:
    return settings.model_dump(mode="json")


def _template(template: str | PromptTemplate) -> PromptTemplate:
    if isinstance(template, PromptTemplate):
        return template
    if template not in PROMPT_TEMPLATES:
        known = ", ".join(PROMPT_TEMPLATES)
        raise ConfigError(f"unknown template {template!r}; use a PromptTemplate or one of {known}")
    return PROMPT_TEMPLATES[template]


async def hold_assembly(
    backend: ChatBackend,
    seats: SeatedPanel,
    agenda: VotingAgenda,
    settings: AssemblySettings,
    seed: int,
    *,
    rule: str | Rule = PLAIN,
    strata: str | None = None,
    level: float = 0.95,
    folder: Path | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> DecidedAssembly:
    """Hold an assembly and decide every pair.

    rule: a name of RULES or a function from an Electorate to a RuleResult; strata: the attribute
    whose categories a rule over strata weighs, by default everybody is in one stratum. folder:
    where the ledger is kept, so that the same call goes on where it was stopped; by default
    nothing stays.
    """
    named = rule if isinstance(rule, str) else getattr(rule, "__name__", "own rule")
    if isinstance(rule, str) and rule not in RULES:
        raise ConfigError(f"unknown rule {rule!r}; use a function or one of {', '.join(RULES)}")
    with ExitStack() as stack:
        place = (
            Path(stack.enter_context(tempfile.TemporaryDirectory())) if folder is None else folder
        )
        place.mkdir(parents=True, exist_ok=True)
        ledger = stack.enter_context(Ledger(place / "ledger.sqlite"))
        votes = await convene(
            backend,
            seats.texts,
            seats.weights,
            [outcome.text for outcome in agenda.outcomes],
            agenda.pairs,
            settings,
            ledger,
            place / "checkpoints.sqlite",
            seed,
            on_event,
        )
        statements = tuple(ledger.transcript())
    clusters = seat(len(seats), len(agenda.pairs), settings, seed).group_of()
    alone = np.arange(len(seats))
    decided = {
        phase: _decided(seats, agenda, votes, phase, named, rule, strata, level, who, seed)
        for phase, who in ((BEFORE, alone), (AFTER, clusters))
    }
    return DecidedAssembly(
        agenda, seats, votes, statements, decided[BEFORE], decided[AFTER], backend.name, named,
        settings, seed,
    )  # fmt: skip


def _decided(
    seats: SeatedPanel,
    agenda: VotingAgenda,
    votes: Votes,
    phase: int,
    name: str,
    rule: str | Rule,
    strata: str | None,
    level: float,
    clusters: IntArray,
    seed: int,
) -> Consensus:
    plain = consensus(votes, agenda.pairs, seats.weights, phase, level=level, clusters=clusters)
    if name == PLAIN:
        return plain
    shares = citizen_shares(votes, phase, len(seats), len(agenda.pairs))
    held = Electorate.unstratified(shares, agenda.pairs, seats.weights, len(agenda.outcomes))
    if strata is not None:
        if strata not in seats.attributes:
            known = ", ".join(seats.attributes) or "none"
            raise ConfigError(f"unknown attribute {strata!r} for strata; the panel has {known}")
        codes = np.unique(np.array(seats.attributes[strata]), return_inverse=True)[1]
        shares_of = np.bincount(codes, seats.weights) / seats.weights.sum()
        held = replace(held, strata=codes, strata_shares=shares_of)
    chosen = RULES[cast("RuleName", rule)] if isinstance(rule, str) else rule
    parts = agenda.held_out.astype(np.int64)
    return decided_by(chosen, held, plain, parts, clusters, generator(seed, "rule", str(phase)))

"""The consensus dataset, one row per pair: label, interval, dissent, provenance; its schema.

Shapes: C citizens, P pairs, G strata, F templates. The file format is docs/data/consensus.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from assembly.aggregation.consensus import COUNTED
from assembly.aggregation.strata import Stratum
from assembly.analysis.dissent import Dissent
from assembly.analysis.variance_components import RECORDED_SOURCES
from plenary.errors import ConfigError, DataError
from plenary.preferences import BoolArray, FloatArray, IntArray, Targets
from plenary.prompt_templates import PROMPT_TEMPLATES, PromptTemplate
from plenary.training_rows import SoftRow, soft_rows

SPLITS = ("train", "held_out")

PLAIN = (PROMPT_TEMPLATES["plain"],)

NAMED_AT_MOST = 5


class DatasetProvenance(BaseModel):
    """What the labels were made with: all that is needed to make them again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    persona_ids: tuple[str, ...] = Field(min_length=1, description="citizens, by position")
    persona_weights: tuple[float, ...] = Field(
        description="weight of each citizen in the soft panel; in the hard panel each counts one"
    )
    models: tuple[str, ...] = Field(min_length=1, description="backends that voted and spoke")
    templates: dict[str, str] = Field(description="prompt name -> version and hash of its words")
    settings: dict[str, str] = Field(description="settings of the assembly, as text")
    inputs: dict[str, str] = Field(description="name -> hash of population, panel, outcomes")
    seed: int = Field(description="root seed")
    version: str = Field(description="version of plenary")


@dataclass(frozen=True, slots=True)
class ConsensusDataset:
    """Columns over pairs.

    first_id .. second_topic [P]: the two outcomes. split [P]: one of SPLITS; no outcome is in both
    splits.
    p [P]: soft label, weighted share for the first outcome after discussion; NaN without a valid
    ballot. low, high [P]: its interval at `level`. p_hard [P]: weighted share of votes cast.
    p_unweighted [P]: share with every citizen counting one. p_before, p_follow_up [P]: as p in
    those ballots, NaN where there was none.
    effective_n [P]: Kish. counts [P, len(COUNTED)]: citizens after discussion, by COUNTED.
    order_gap [P]: P(first shown) minus 0.5. errors [P, 5]: standard errors by RECORDED_SOURCES, NaN
    where not measured. contested [P]: the interval contains one half. strata [G]; stratum_p [P, G]
    and stratum_counts [P, G, len(COUNTED)]: the same in each stratum.
    minority [P]: strata that oppose. calls, calls_digest [P]: how many
    recorded calls are behind the ballots of a row, and the hash of their hashes.
    """

    provenance: DatasetProvenance
    level: float
    first_id: tuple[str, ...]
    second_id: tuple[str, ...]
    first_text: tuple[str, ...]
    second_text: tuple[str, ...]
    first_topic: tuple[str, ...]
    second_topic: tuple[str, ...]
    first_unread: tuple[str, ...]
    second_unread: tuple[str, ...]
    split: tuple[str, ...]
    p: FloatArray
    low: FloatArray
    high: FloatArray
    p_hard: FloatArray
    p_unweighted: FloatArray
    p_before: FloatArray
    p_follow_up: FloatArray
    effective_n: FloatArray
    order_gap: FloatArray
    contested: BoolArray
    counts: IntArray
    errors: FloatArray
    strata: tuple[Stratum, ...]
    stratum_p: FloatArray
    stratum_counts: IntArray
    minority: tuple[tuple[Dissent, ...], ...]
    calls: tuple[int | None, ...]
    calls_digest: tuple[str | None, ...]

    def __post_init__(self) -> None:
        validate(self)

    def __len__(self) -> int:
        return len(self.p)

    @property
    def pair_ids(self) -> tuple[str, ...]:
        """first|second [P], by the outcomes' ids."""
        return tuple(f"{a}|{b}" for a, b in zip(self.first_id, self.second_id, strict=True))

    def select(self, mask: BoolArray) -> ConsensusDataset:
        """The pairs selected by a mask [P], for example `~dataset.contested`."""
        kept = np.flatnonzero(mask)
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _WHOLE}
        return replace(
            self,
            **{
                name: tuple(column[k] for k in kept) if isinstance(column, tuple) else column[kept]
                for name, column in columns.items()
            },
        )

    def to_soft(
        self, templates: Sequence[PromptTemplate] = PLAIN, split: str = "train"
    ) -> list[SoftRow]:
        """Rows [P * F * 2] with p as target; pairs without a label are left out.

        On these a run's model is trained. ConfigError for a template kept for evaluation.
        """
        kept = [t.id for t in templates if split == "train" and not t.trainable]
        if kept:
            raise ConfigError(f"template {kept[0]!r} is held out for evaluation; train on another")
        of = self.select((np.array(self.split) == split) & ~np.isnan(self.p))
        return soft_rows(
            of.pair_ids, of.first_text, of.second_text, of.p, of.effective_n, templates
        )

    def targets(self, outcome_ids: tuple[str, ...]) -> Targets:
        """Targets by position in `outcome_ids` [K]; pairs without a ballot are left out."""
        at = {name: k for k, name in enumerate(outcome_ids)}
        unknown = sorted({*self.first_id, *self.second_id} - set(at))
        if unknown:
            raise DataError(
                f"outcome {unknown[0]!r} is not in the given catalogue; give the dataset's own"
            )
        pairs = np.array([[at[a] for a in self.first_id], [at[b] for b in self.second_id]]).T
        voted = ~np.isnan(self.p)
        return Targets(pairs[voted], self.p[voted], self.effective_n[voted])

    def table(self) -> pa.Table:
        """The rows as an Arrow table of SCHEMA; NaN becomes null."""
        columns = {name: getattr(self, name) for name in (*TEXTS, *NUMBERS, *FLAT)}
        columns |= {f"count_{name}": self.counts[:, k] for k, name in enumerate(COUNTED)}
        columns |= {f"error_{name}": self.errors[:, k] for k, name in enumerate(RECORDED_SOURCES)}
        columns["strata"] = strata_rows(self.strata, self.stratum_p, self.stratum_counts)
        columns["minority"] = [[d._asdict() for d in row] for row in self.minority]
        return pa.table(
            [pa.array(columns[field.name], field.type, from_pandas=True) for field in SCHEMA],
            schema=SCHEMA,
        )

    def write(self, path: Path) -> None:
        """Write as Parquet, with a digest of the content."""
        facts = {"provenance": self.provenance.model_dump_json(), "level": repr(self.level)}
        write_signed(Signed(self.table(), facts), path)

    @classmethod
    def read(cls, path: Path) -> ConsensusDataset:
        """Read what `write` wrote; DataError for a missing, altered or foreign file."""
        table, facts = read_signed(path)
        strata = strata_columns(table)
        minority = (tuple(Dissent(**d) for d in row) for row in table["minority"].to_pylist())
        return cls(
            provenance=DatasetProvenance.model_validate_json(facts["provenance"]),
            level=float(facts["level"]),
            counts=np.stack([table[f"count_{name}"].to_numpy() for name in COUNTED], axis=1),
            errors=np.stack(
                [table[f"error_{name}"].to_numpy() for name in RECORDED_SOURCES], axis=1
            ),
            strata=strata.strata,
            stratum_p=strata.shares,
            stratum_counts=strata.counts,
            minority=tuple(minority),
            calls=tuple(table["calls"].to_pylist()),
            calls_digest=tuple(table["calls_digest"].to_pylist()),
            **{name: tuple(table[name].to_pylist()) for name in TEXTS},
            **{name: table[name].to_numpy() for name in (*NUMBERS, "contested")},
        )


_WHOLE = ("provenance", "level", "strata")

_SHARES = ("p", "low", "high", "p_hard", "p_unweighted", "p_before", "p_follow_up")


def validate(dataset: ConsensusDataset) -> None:
    """Raise DataError naming the pairs that break a rule of docs/data/consensus.md."""
    lengths = {
        f.name: len(getattr(dataset, f.name)) for f in fields(dataset) if f.name not in _WHOLE
    }
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns of different length {lengths!r}; give one value per pair")
    if len(dataset.provenance.persona_ids) != len(dataset.provenance.persona_weights):
        raise DataError(
            f"{len(dataset.provenance.persona_weights)!r} weights of "
            f"{len(dataset.provenance.persona_ids)} citizens; give one per citizen"
        )
    for wrong, rule in _RULES.items():
        pairs = [dataset.pair_ids[k] for k in np.flatnonzero(rule(dataset))]
        if pairs:
            raise DataError(f"{wrong} in {named(pairs)}; make the dataset again from the ledger")


def named(pairs: list[str]) -> str:
    """The first pairs of a list, quoted, and how many more there are."""
    more = f" and {len(pairs) - NAMED_AT_MOST} more" if len(pairs) > NAMED_AT_MOST else ""
    return f"{', '.join(repr(pair) for pair in pairs[:NAMED_AT_MOST])}{more}"


def _bad_split(d: ConsensusDataset) -> BoolArray:
    return np.array([side not in SPLITS for side in d.split], dtype=bool)


def _leaks(d: ConsensusDataset) -> BoolArray:
    rows = list(zip(d.first_id, d.second_id, d.split, strict=True))
    trained = {name for a, b, side in rows if side == "train" for name in (a, b)}
    return np.array([s == "held_out" and bool({a, b} & trained) for a, b, s in rows], dtype=bool)


def _twice(d: ConsensusDataset) -> BoolArray:
    rows = [frozenset(ids) for ids in zip(d.first_id, d.second_id, strict=True)]
    seen: set[frozenset[str]] = set()
    return np.array([len(r) < 2 or r in seen or bool(seen.add(r)) for r in rows], dtype=bool)


def _outside(d: ConsensusDataset) -> BoolArray:
    shares = np.column_stack([*(getattr(d, name) for name in _SHARES), d.stratum_p])
    return np.asarray(((shares < 0) | (shares > 1)).any(axis=1))


def _disordered(d: ConsensusDataset) -> BoolArray:
    slack = 1e-9
    return (d.low > d.p + slack) | (d.high < d.p - slack) | (np.isnan(d.p) != np.isnan(d.low))


def _miscounted(d: ConsensusDataset) -> BoolArray:
    wrong = (d.counts < 0).any(axis=1) | (d.counts.sum(axis=1) != len(d.provenance.persona_ids))
    for attribute in {stratum.attribute for stratum in d.strata}:
        own = [stratum.attribute == attribute for stratum in d.strata]
        wrong |= (d.stratum_counts[:, own].sum(axis=1) != d.counts).any(axis=1)
    return wrong


def _made_up(d: ConsensusDataset) -> BoolArray:
    """A label without a valid vote, or votes without a label."""
    return (d.counts[:, :3].sum(axis=1) > 0) == np.isnan(d.p)


_RULES: dict[str, Callable[[ConsensusDataset], BoolArray]] = {
    f"a split other than {' or '.join(SPLITS)}": _bad_split,
    "a held-out outcome that is trained on": _leaks,
    "two equal outcomes, or a pair met before,": _twice,
    "a share outside 0..1": _outside,
    "an interval that does not hold its share": _disordered,
    f"counts ({', '.join(COUNTED)}) that do not add up to the citizens": _miscounted,
    "a label without votes, or votes without a label,": _made_up,
    "a negative standard error": lambda d: np.asarray((d.errors < 0).any(axis=1)),
}

FORMAT = "plenary-consensus-dataset-3"

TEXTS = (
    "first_id",
    "second_id",
    "first_text",
    "second_text",
    "first_topic",
    "second_topic",
    "first_unread",
    "second_unread",
    "split",
)

NUMBERS = (
    "p",
    "low",
    "high",
    "p_hard",
    "p_unweighted",
    "p_before",
    "p_follow_up",
    "effective_n",
    "order_gap",
)

FLAT = ("contested", "calls", "calls_digest")

_COUNTS = [pa.field(f"count_{name}", pa.int64()) for name in COUNTED]

_STRATUM = pa.struct(
    [
        pa.field("attribute", pa.string()),
        pa.field("category", pa.string()),
        pa.field("p", pa.float64()),
        *_COUNTS,
    ]
)

_DISSENT = pa.struct(
    [
        pa.field("attribute", pa.string()),
        pa.field("category", pa.string()),
        pa.field("citizens", pa.int64()),
        pa.field("size", pa.float64()),
        pa.field("p", pa.float64()),
        pa.field("intensity", pa.float64()),
        pa.field("statement", pa.string()),
        pa.field("text", pa.string()),
    ]
)

SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in TEXTS),
        *(pa.field(name, pa.float64()) for name in NUMBERS),
        pa.field("contested", pa.bool_(), nullable=False),
        *_COUNTS,
        *(pa.field(f"error_{name}", pa.float64()) for name in RECORDED_SOURCES),
        pa.field("strata", pa.list_(_STRATUM)),
        pa.field("minority", pa.list_(_DISSENT)),
        pa.field("calls", pa.int64()),
        pa.field("calls_digest", pa.string()),
    ]
)

# What each column means, for Croissant and docs/data/consensus.md.
MEANING: dict[str, str] = {
    "first_id": "id of the pair's first outcome",
    "second_id": "id of the pair's second outcome",
    "first_text": "sentence of the first outcome",
    "second_text": "sentence of the second outcome",
    "first_topic": "topic of the first outcome",
    "second_topic": "topic of the second outcome",
    "first_unread": "words of the first outcome that a citizens' model cannot read",
    "second_unread": "words of the second outcome that a citizens' model cannot read",
    "split": "train or held_out, fixed before the assembly; no outcome is in both splits",
    "p": "soft label: weighted share of citizens for the first outcome after discussion; null "
    "without a valid ballot",
    "low": "lower end of the interval of p",
    "high": "upper end of the interval of p",
    "p_hard": "weighted share of votes cast: a citizen counts for the outcome above one half",
    "p_unweighted": "as p, with every citizen of the panel counting one",
    "p_before": "as p in the ballot before discussion",
    "p_follow_up": "as p in the follow-up ballot; null where none was held",
    "effective_n": "Kish's effective number of citizens with a valid ballot",
    "order_gap": "weighted mean P(outcome shown first) minus 0.5",
    "contested": "the interval of p contains one half",
    **{f"count_{name}": f"citizens counted as {name} after discussion" for name in COUNTED},
    **{
        f"error_{name}": f"standard error of p from {name}; null: not measured"
        for name in RECORDED_SOURCES
    },
    "strata": "p and counts in every stratum of the panel",
    "minority": "strata whose share is on the opposite side of one half, with their best argument",
    "calls": "recorded model calls behind the ballots of the row; null: not known",
    "calls_digest": "blake2b-128 of their hashes, sorted, one per line; the ledger resolves them",
}


class Signed(NamedTuple):
    """A table of SCHEMA and the facts stored with it, as text."""

    table: pa.Table
    facts: dict[str, str]


def write_signed(signed: Signed, path: Path) -> None:
    """Write as Parquet; the metadata hold the format, the facts and a digest of everything."""
    facts = {"format": FORMAT, **signed.facts, "digest": _digest(signed)}
    pq.write_table(signed.table.replace_schema_metadata(facts), path)


def read_signed(path: Path) -> Signed:
    """Read what `write_signed` wrote; DataError when it is missing, foreign or altered."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"cannot read a consensus dataset from {str(path)!r}: {error}; export it again"
        ) from error
    facts = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    name, digest = facts.pop("format", None), facts.pop("digest", None)
    if name != FORMAT or not table.schema.equals(SCHEMA):
        raise DataError(
            f"{str(path)!r} (format {name!r}) lacks the columns of {FORMAT!r}; export it again"
        )
    found = Signed(table, facts)
    if digest != _digest(found):
        raise DataError(
            f"{str(path)!r} was altered after it was written (digest {digest!r}); export it again"
        )
    return found


def _digest(signed: Signed) -> str:
    payload = json.dumps([signed.facts, signed.table.to_pylist()], sort_keys=True)
    return hashlib.blake2b(payload.encode(), digest_size=16).hexdigest()


def strata_rows(
    strata: Sequence[Stratum], shares: FloatArray, counts: IntArray
) -> list[list[dict[str, str | float | int | None]]]:
    """The column `strata` from shares [P, G] (NaN becomes null) and counts [P, G, COUNTED]."""
    return [
        [
            {
                **stratum._asdict(),
                "p": None if np.isnan(p) else p,
                **{f"count_{name}": n for name, n in zip(COUNTED, of, strict=True)},
            }
            for stratum, p, of in zip(strata, row, counted, strict=True)
        ]
        for row, counted in zip(shares.tolist(), counts.tolist(), strict=True)
    ]


class StratumColumns(NamedTuple):
    """What `strata_rows` was made from."""

    strata: tuple[Stratum, ...]
    shares: FloatArray
    counts: IntArray


def strata_columns(table: pa.Table) -> StratumColumns:
    """Read the column `strata`."""
    rows = table["strata"].to_pylist()
    strata = tuple(Stratum(s["attribute"], s["category"]) for s in rows[0]) if rows else ()
    shape = (len(rows), len(strata))
    shares = np.array([[s["p"] for s in row] for row in rows], dtype=np.float64)
    counts = np.array(
        [[[s[f"count_{name}"] for name in COUNTED] for s in row] for row in rows], dtype=np.int64
    )
    return StratumColumns(strata, shares.reshape(shape), counts.reshape(*shape, len(COUNTED)))

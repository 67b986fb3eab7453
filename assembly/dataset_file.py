"""The Parquet file of a consensus dataset: schema and digest.

Shapes: P pairs, G strata.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assembly.consensus import COUNTED
from assembly.error_sources import SOURCES
from assembly.strata import Stratum
from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray

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
        *(pa.field(f"error_{name}", pa.float64()) for name in SOURCES),
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
    "split": "train or held_out, fixed before the assembly; no outcome is on both sides",
    "p": "soft label: weighted share of citizens for the first outcome after discussion; null "
    "without a valid ballot",
    "low": "lower end of the interval of p",
    "high": "upper end of the interval of p",
    "p_hard": "weighted share of cast votes: a citizen counts for the outcome above one half",
    "p_unweighted": "as p with every citizen of the panel counting one",
    "p_before": "as p in the ballot before discussion",
    "p_follow_up": "as p in the follow-up ballot; null where none was held",
    "effective_n": "Kish's effective number of citizens with a valid ballot",
    "order_gap": "weighted mean P(outcome shown first) minus 0.5",
    "contested": "the interval of p holds one half",
    **{f"count_{name}": f"citizens counted as {name} after discussion" for name in COUNTED},
    **{f"error_{name}": f"standard error of p from {name}; null: not measured" for name in SOURCES},
    "strata": "p and counts in every stratum of the panel",
    "minority": "strata whose share lies on the other side of one half, with their best argument",
    "calls": "recorded model calls behind the ballots of the row; null: not known",
    "calls_digest": "blake2b-128 of their hashes, sorted, one a line; the ledger resolves them",
}


class Signed(NamedTuple):
    """A table of SCHEMA and the facts kept beside it, as text."""

    table: pa.Table
    facts: dict[str, str]


def write_signed(signed: Signed, path: Path) -> None:
    """Write as Parquet; the metadata hold format, facts and a digest over all of it."""
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
            f"{str(path)!r} has format {name!r} and not the columns of {FORMAT!r}; export it again"
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

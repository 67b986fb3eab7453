"""Stage `paraphrase`: some citizens vote again with their profile paraphrased."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assembly.deliberation.paraphrase import ask_paraphrased
from assembly.record.ledger import Ledger
from personas.prompt import RENDERINGS
from plenary.preferences import FloatArray, IntArray
from plenary.runs import filenames
from plenary.runs.files import staged
from plenary.runs.workspace import Workspace
from plenary.seeding import generator

PAIRS_A_CITIZEN = 4
COLUMNS = ("rendering", "citizen", "pair", "order", "share")


class Paraphrased(NamedTuple):
    """pairs [P]: positions in the plan; answers [W, C, P, 2], see `assembly.deliberation`."""

    pairs: IntArray
    answers: FloatArray


def paraphrase(space: Workspace) -> None:
    """Ask `dataset.paraphrased` citizens about four times as many pairs; write the answers."""
    citizens = _drawn(space, "citizens", len(space.panel), space.config.dataset.paraphrased)
    count = PAIRS_A_CITIZEN * len(citizens)
    pairs = _drawn(space, "pairs", len(space.plan.pairs), count)
    answers = np.empty((len(RENDERINGS), 0, 0, 2))
    if len(citizens):
        wordings = [[space.worded(name)[c] for c in citizens] for name in RENDERINGS]
        with Ledger(space.ledger) as calls:
            answers = asyncio.run(
                ask_paraphrased(
                    space.citizens,
                    wordings,
                    space.plan.texts,
                    space.plan.pairs[pairs],
                    space.config.assembly,
                    calls,
                    space.seed,
                )
            )
    at = [k.ravel() for k in np.indices(answers.shape)]
    columns = (np.array(list(RENDERINGS))[at[0]], citizens[at[1]], pairs[at[2]], at[3])
    table = pa.table(dict(zip(COLUMNS, (*columns, answers.ravel()), strict=True)))
    with staged(space.file(filenames.PARAPHRASED)) as path:
        pq.write_table(table, path)


def _drawn(space: Workspace, what: str, of: int, count: int) -> IntArray:
    rng = generator(space.seed, "reworded", what)
    return np.sort(rng.choice(of, min(count, of), replace=False))


def read_paraphrased(space: Workspace) -> Paraphrased | None:
    """What `paraphrase` wrote; None if nobody was asked."""
    table = pq.read_table(space.file(filenames.PARAPHRASED))
    if not table.num_rows:
        return None
    pairs, citizens = (np.unique(table[name].to_numpy()) for name in ("pair", "citizen"))
    shape = (len(RENDERINGS), len(citizens), len(pairs), 2)
    return Paraphrased(pairs, table["share"].to_numpy().reshape(shape))

"""Persona paraphrase check: some citizens cast the first ballot again with reworded personas.

Shapes: W wordings, C citizens asked again, K outcomes, P pairs asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from assembly.deliberation.session import convene
from assembly.record.ballots import BEFORE, grid
from assembly.record.ledger import Ledger
from assembly.record.settings import AssemblySettings
from plenary.models.base import ChatBackend
from plenary.models.wrappers.cache import CallStore
from plenary.preferences import FloatArray, IntArray

MEMORY = Path(":memory:")


async def ask_paraphrased(
    backend: ChatBackend,
    wordings: Sequence[Sequence[str]],
    texts: Sequence[str],
    pairs: IntArray,
    settings: AssemblySettings,
    calls: CallStore,
    seed: int,
) -> FloatArray:
    """Probability [W, C, P, 2] of each pair's first outcome, by presentation order; NaN if invalid.

    wordings [W, C]: persona texts of the same citizens; texts [K]; pairs [P, 2]. Each wording votes
    as a citizen would in an assembly where nothing is said, with the ballot settings of `settings`.
    calls: where answers are stored; a ballot recorded there, such as that in the wording of the
    assembly itself, is not asked again.
    """
    silent = settings.model_copy(
        update={
            "condition": "none", "probe": "none", "briefing": None, "plenary": False,
            "follow_up": False,
        }
    )  # fmt: skip
    systems = [system for wording in wordings for system in wording]
    with Ledger(MEMORY) as own:
        votes = await convene(
            backend, systems, np.ones(len(systems)), texts, pairs, silent, own, MEMORY, seed,
            calls=calls,
        )  # fmt: skip
    laid = grid(votes, BEFORE, len(systems), len(pairs)).share
    return laid.transpose(1, 2, 0).reshape(len(wordings), -1, len(pairs), 2)

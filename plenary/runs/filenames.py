"""Names of the files in a run directory."""

from __future__ import annotations

MANIFEST = "manifest.json"

CONFIG = "config.yaml"

FOLDER = "control_experiment"

PLAN = "plan.json"

POPULATION = "population.json"

PANEL = "panel.jsonl"

PANEL_SHEET = "panel.md"

FIDELITY = "panel_fidelity.json"

SHARES = "panel_shares.json"

LEDGER = "ledger.sqlite"

LEDGER_SCHEMA = "ledger_schema.txt"

CHECKPOINTS = "checkpoints.sqlite"

CALLS = "calls.sqlite"

VOTES = "votes.parquet"

PARAPHRASED = "paraphrased.parquet"

STATEMENTS = "statements.parquet"

ASSEMBLY = "assembly.json"

DIAGNOSTICS = "diagnostics.json"

DATASET = "dataset"

CONSENSUS = "consensus.parquet"

DECISION = "consensus.json"

CONSENSUS_BEFORE = "consensus_before.parquet"

ADAPTER = "adapter"

TRAINING = "training.json"

REPLAY = "replay.jsonl"

COMPARISON = "comparison.json"

STEERING = "steering.json"

WORDING = "wording.json"

HIRING = "hiring.json"

RETENTION = "retention.json"

ANCHOR = "human_anchor.json"

BATTERIES = "batteries"

SUMMARY = "summary.json"

REPORT = "report.html"

WHEN = ("before", "after")

SOURCES = (*WHEN, "assembly")

RETESTS = ("retest_first", "retest_second")

RETEST = "retest.json"

FITS = "fits.json"

SHIFTS = "shifts.json"

SIDES = ("held_out", "train")


def fit_stem(source: str, side: str) -> str:
    """Name, without ending, of the files of a fit."""
    return f"utilities_{source}_{side}"


def shift_file(side: str) -> str:
    """Name of the table of outcomes that moved."""
    return f"shift_{side}.parquet"

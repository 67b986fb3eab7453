"""Records of the assembly's conditions and probes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from plenary.hashing import content_hash
from plenary.runs import filenames
from plenary.runs.records.base import Record, read_record
from plenary.runs.records.diagnostics import ConformityRecord, InfluenceRecord

CONDITIONS_FILE = "conditions.json"


class EffectRecord(Record):
    """What discussion did, compared with one control condition."""

    control: str = Field(description="condition that deliberation is compared with")
    toward_majority: float = Field(
        description="mean change in a vote toward the earlier majority; positive widens majorities"
    )
    low: float = Field(description="lower end of its interval")
    high: float = Field(description="upper end of its interval")
    size: float = Field(
        description="root mean square shift of a pair's share, without sampling variance"
    )
    shifted: int = Field(description="pairs whose own interval excludes 0")
    pairs: int = Field(description="pairs compared")


class ProbeRecord(Record):
    """What a probe (a planted disturbance) did."""

    probe: str = Field(description="name")
    measure: str = Field(description="what the value is")
    value: float = Field(description="mean over citizens x pairs, by weight")
    low: float = Field(description="lower end of its interval")
    high: float = Field(description="upper end of its interval")


class Lead(Record):
    """How much more the share on the majority's side rose than in a control (1 is 100 points)."""

    value: float = Field(description="mean over pairs")
    low: float = Field(description="lower end, 95 % bootstrap over outcomes")
    high: float = Field(description="upper end")


class AgreementRecord(Record):
    """The rise of a discussion against both controls."""

    origin: str = Field(description="hash of the ballots from which it was computed")
    shuffled: Lead = Field(description="beyond the same discussion with exchanged personas")
    alone: Lead = Field(description="beyond one model without personas that thinks alone")


class ConditionsRecord(Record):
    """Conditions and probes of a run."""

    level: float = Field(description="level of the intervals")
    effects: tuple[EffectRecord, ...] = Field(description="deliberation minus each control")
    probes: tuple[ProbeRecord, ...] = Field(description="compared with being asked again")
    influence: InfluenceRecord | None = Field(description="who moved others, beyond thinking alone")
    conformity: ConformityRecord | None = Field(
        description="who went with the table, beyond thinking alone"
    )
    not_measured: dict[str, str] = Field(
        default={}, description="what the ballots cannot tell -> why"
    )
    agreement: AgreementRecord | None = Field(
        default=None, description="rise of agreement against controls; none without their probes"
    )


AGREEMENT_FILE = "agreement.json"


def read_agreement(run: Path) -> AgreementRecord | None:
    """What `plenary conditions` found for the run's present ballots, if it was run."""
    path = run / AGREEMENT_FILE
    if not path.is_file():
        return None
    record = read_record(AgreementRecord, path)
    return record if record.origin == content_hash(run / filenames.VOTES) else None

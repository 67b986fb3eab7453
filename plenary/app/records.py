"""Small JSON files that a run keeps beside its tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from evaluation.battery import BatteryResult
from plenary.app.run_directory import write_text
from plenary.errors import DataError, NotMeasured, measured

M = TypeVar("M", bound=BaseModel)
RESULTS = TypeAdapter(list[BatteryResult])


class Record(BaseModel):
    """Base of the records: frozen, nothing unknown, NaN kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Unmeasured(Record):
    """What stands in a record's place, or beside files, where a stage could not measure."""

    not_measured: dict[str, str] = Field(description="what could not be told -> why")


class PopulationRecord(Record):
    """The population that the panel was drawn from."""

    source: str = Field(description="survey and publisher")
    year: int = Field(description="year of the survey")
    universe: str = Field(description="whom the rows stand for")
    sha256: str = Field(description="hash of the snapshot")
    rows: int = Field(description="records after the filters")
    weight_sum: float = Field(description="persons the records stand for")
    imputed_share: float = Field(description="weighted share with donor-imputed columns")
    imputed_columns: tuple[str, ...] = Field(description="the columns a donor gave")
    notes: tuple[str, ...] = Field(description="what a user must know")

    @property
    def survey(self) -> str:
        """The source with its year, once."""
        return self.source if str(self.year) in self.source else f"{self.source}, {self.year}"


class MarginRecord(Record):
    """Distance of one margin of the panel from the population's."""

    name: str = Field(description="attribute")
    distance: float = Field(description="total variation distance, 0 is perfect")
    expected: float = Field(description="mean distance of a random sample of the same size")
    cells: int = Field(description="cells of the margin that somebody is in")
    srmse: float = Field(description="root mean square error over cells in units of the mean cell")
    srmse_expected: float = Field(description="root mean square of it for such random samples")


class FidelityRecord(Record):
    """How far the panel is from the population."""

    citizens: int = Field(description="citizens")
    effective_size: float = Field(description="Kish's effective number of citizens")
    imputed_share: float = Field(description="weighted share with donor-imputed columns")
    margins: tuple[MarginRecord, ...] = Field(description="by attribute")
    prompt_version: str = Field(description="version of the persona template")
    prompt_hash: str = Field(description="hash of the persona template")


class CategoryRecord(Record):
    """One category in the population and in the panel, as weighted shares."""

    attribute: str = Field(description="attribute")
    category: str = Field(description="label")
    population: float = Field(description="share of the population")
    panel: float = Field(description="share of the panel")
    low: float = Field(description="lower end of the 95 % band of random samples")
    high: float = Field(description="upper end of that band")
    citizens: int = Field(description="citizens in the category")


class SharesRecord(Record):
    """The panel against the population, category by category."""

    categories: tuple[CategoryRecord, ...] = Field(description="by attribute")


class ReadingRecord(Record):
    """What of the outcomes models were asked about could not be read."""

    unread: dict[str, tuple[str, ...]] = Field(
        default={}, description="outcome id -> words that a model did not know"
    )
    not_measured: dict[str, str] = Field(
        default={}, description="reading of MODEL -> why it is not known"
    )


class ElicitationRecord(Record):
    """How an elicitation went."""

    backend: str = Field(description="identity of the model")
    frame: str = Field(description="frame id")
    asked: int = Field(description="answers asked for")
    invalid: int = Field(description="refused, failed or unreadable")
    undecided: float = Field(
        default=0.0, description="answers (or probability) for no preference; valid"
    )
    cut: int = Field(default=0, description="of the invalid ones, cut short before they settled")
    excluded: int = Field(description="cells below the answer-mass gate")
    cells: int = Field(description="pairs x 2 orders")
    seconds: float = Field(description="wall time")
    reading: ReadingRecord = Field(
        default=ReadingRecord(), description="which words of the outcomes the model did not know"
    )


class NullRecord(Record):
    """What stands for asking the unchanged model again."""

    asked_again: bool = Field(
        description="asked again with a new seed; else the two orders of each pair set apart, as "
        "exact probabilities do not change"
    )
    cells: int = Field(description="cells in both sets together")


class TimingRecord(Record):
    """Where the time of an assembly went, over all sessions; the parts add up to wall time."""

    turns: int = Field(description="votes, declarations and texts recorded")
    model: float = Field(description="seconds in which a model call was under way")
    framework: float = Field(description="seconds of graph, checkpoints and prompts")
    ledger: float = Field(description="seconds of reading and writing the ledger")
    milliseconds_a_turn: float = Field(description="all three over turns; lower is better")


class AssemblyRecord(Record):
    """How the assembly went."""

    backend: str = Field(description="identity of the citizens' model")
    votes: int = Field(description="votes recorded")
    states: dict[str, dict[str, int]] = Field(description="phase -> state -> votes")
    invalid_share: float = Field(description="share of votes without a valid answer")
    statements: int = Field(description="statements recorded")
    silent: int = Field(description="of them without usable text")
    cut_share: float = Field(
        default=0.0,
        description="share of the answers to ballots that were cut short before they settled, "
        "over all sessions",
    )
    cut_statements: int = Field(
        default=0, description="silent statements whose reasoning was cut short, over all sessions"
    )
    changed: float | None = Field(
        description="weighted share of citizens x pairs that changed sides; none: not measured"
    )
    shift: float | None = Field(description="mean absolute change of a citizen's probability")
    toward: float | None = Field(
        description="mean change toward the table's majority, negative is away"
    )
    not_measured: dict[str, str] = Field(
        default={}, description="what the ballots cannot tell -> why"
    )
    reading: ReadingRecord = Field(
        default=ReadingRecord(), description="which words of the outcomes the models did not know"
    )
    calls: int = Field(description="model calls made in this process")
    cost: float | None = Field(description="their price; none where it is not known")
    timing: TimingRecord = Field(description="where the time went")
    prompt_version: str = Field(description="version of the assembly's prompts")
    prompt_hash: str = Field(description="hash of the assembly's prompts")


class ConsensusRecord(Record):
    """The decision in numbers, and what a second panel would agree to."""

    rule: str = Field(description="how ballots became labels; a name of one's own for one's own")
    pairs: int = Field(description="pairs voted on")
    contested: int = Field(description="pairs whose interval holds one half")
    unusable_share: float = Field(description="citizens x pairs without a ballot in both orders")
    ceiling: float | None = Field(
        description="agreement of two independent panels, held-out pairs; none: not measured"
    )
    ceiling_low: float | None = Field(description="lower end of the ceiling's range")
    ceiling_high: float | None = Field(description="upper end of the ceiling's range")
    half_agreement: float | None = Field(description="agreement of random halves, held-out pairs")
    not_measured: dict[str, str] = Field(
        default={}, description="what the ballots cannot tell -> why"
    )


class Summary(Record):
    """What `--json` prints: the run in one object."""

    name: str = Field(description="name of the run")
    seconds: float = Field(description="wall time of the stages, resumed ones included")
    agreement_before: float = Field(
        description="share of held-out pairs on the assembly's side; NaN: not measured"
    )
    agreement_after: float = Field(description="the same after training")
    gain: float = Field(description="after minus before")
    gain_low: float = Field(description="lower end of the paired bootstrap interval")
    gain_high: float = Field(description="upper end of the paired bootstrap interval")
    ceiling: float | None = Field(
        description="agreement of two independent panels, held-out pairs; none: not measured"
    )
    citizens: int = Field(description="citizens")
    outcomes: int = Field(description="outcomes")
    pairs: int = Field(description="pairs voted on")
    held_out_pairs: int = Field(description="of them among held-out outcomes")
    invalid_share: float = Field(description="share of votes without a valid answer")
    imputed_share: float = Field(description="weighted share of citizens with imputed columns")
    seed: int = Field(description="root seed")
    config_hash: str = Field(description="content address of the settings")
    deterministic: bool = Field(description="figures repeat on the same machine")
    report: str = Field(description="path of the report")
    finding: str = Field(default="", description="the sentence over the report")
    cut_short: str = Field(
        default="",
        exclude_if=lambda told: not told,
        description="what was cut short before it settled, by kind; only where anything was",
    )

    @property
    def measured(self) -> bool:
        """Whether model and assembly could be compared; else the finding says why not."""
        return self.agreement_before == self.agreement_before


def write_record(record: BaseModel, path: Path) -> None:
    """Write a record as indented JSON, whole or not at all."""
    write_text(path, record.model_dump_json(indent=2) + "\n")


def write_measured(figure: Callable[[], BaseModel], path: Path) -> None:
    """Write what is measured, or in its place the reason why it cannot be."""
    reasons: dict[str, str] = {}
    found = measured(figure, path.stem, reasons)
    write_record(Unmeasured(not_measured=reasons) if found is None else found, path)


def read_record(model: type[M], path: Path) -> M:
    """Read a record; DataError when it is missing or of another form, NotMeasured if it says so."""
    try:
        text = path.read_bytes()
        with suppress(ValidationError):
            if model is not Unmeasured:
                noted = Unmeasured.model_validate_json(text).not_measured
                raise NotMeasured("; ".join(noted.values()))
        return model.model_validate_json(text)
    except OSError as error:
        raise DataError(
            f"no {path.name!r} in {str(path.parent)!r}; run that stage first"
        ) from error
    except ValidationError as error:
        raise DataError(
            f"{str(path)!r} is malformed: {error.errors()[0]['msg']!r}; run the stage again"
        ) from error


def write_results(results: Sequence[BatteryResult], path: Path) -> None:
    """Write results of batteries, whole or not at all."""
    write_text(path, RESULTS.dump_json(list(results), indent=2).decode() + "\n")


def read_results(path: Path) -> list[BatteryResult]:
    """The results in a file; DataError when it is missing or altered."""
    try:
        return RESULTS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"cannot read results {str(path)!r}: {error}; run plenary evaluate again"
        ) from error

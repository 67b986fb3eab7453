"""Records of elicitation, assembly and consensus, and the summary of a run."""

from __future__ import annotations

from pydantic import Field

from plenary.runs.records.base import ReadingRecord, Record


class ElicitationRecord(Record):
    """How an elicitation went."""

    backend: str = Field(description="identity of the model")
    template: str = Field(description="template id")
    asked: int = Field(description="answers asked for")
    invalid: int = Field(description="refused, failed or unreadable")
    undecided: float = Field(
        default=0.0, description="answers (or probability) for no preference; valid"
    )
    cut: int = Field(
        default=0, description="invalid answers that were cut off before they named a label"
    )
    excluded: int = Field(description="cells below the answer-mass threshold")
    cells: int = Field(description="pairs x 2 orders")
    seconds: float = Field(description="wall time")
    reading: ReadingRecord = Field(
        default=ReadingRecord(), description="which words of the outcomes the model did not know"
    )


class RetestRecord(Record):
    """How the unchanged model was asked again (test-retest)."""

    asked_again: bool = Field(
        description="asked again with a new seed; otherwise the two orders of each pair are "
        "compared, because exact probabilities do not change"
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

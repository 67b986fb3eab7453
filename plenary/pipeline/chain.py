"""The list of stages: those of assembly.py, then training, measuring again, the report."""

from __future__ import annotations

from plenary.hashing import content_hash
from plenary.pipeline.assembly import ASSEMBLY_STAGES
from plenary.pipeline.stage import Settings, Stage, citizens_of, rule_of, subject
from plenary.report.page import write_report
from plenary.runs import filenames
from plenary.runs.config import PipelineConfig
from plenary.runs.workspace import Workspace
from plenary.stages.comparison import compare_models, steer
from plenary.stages.elicitation import elicit_after, elicit_retest
from plenary.stages.measures import anchor, audit_hiring, keep, measure_wording
from plenary.stages.training import train
from plenary.stages.utilities import check_training, fit_utilities

MEASURES: tuple[Stage, ...] = (
    Stage(
        "steering",
        steer,
        lambda c: (c.comparison, c.seed),
        ("plan", "elicit before", "elicit after", "consensus", "fit"),
        (filenames.STEERING,),
    ),
    Stage(
        "wording",
        measure_wording,
        lambda c: (c.measures.wording_pairs, c.elicitation, *subject(c), c.alignment, c.seed),
        ("plan", "consensus", "align"),
        (filenames.WORDING,),
    ),
    Stage(
        "hiring",
        audit_hiring,
        lambda c: (str(c.measures.hiring), c.hiring, *subject(c), c.seed),
        ("align",),
        (filenames.HIRING,),
    ),
    Stage(
        "retention",
        keep,
        lambda c: (str(c.measures.retention), *subject(c), c.seed),
        ("plan", "consensus", "align"),
        (filenames.RETENTION,),
    ),
    Stage(
        "human anchor",
        anchor,
        lambda c: (str(c.measures.human_anchor), c.elicitation, *subject(c), *citizens_of(c),
                   c.profile, c.seed),
        ("plan", "recruit", "align"),
        (filenames.ANCHOR,),
    ),
)  # fmt: skip


def _taught(config: PipelineConfig) -> Settings:
    """The training settings; a replay file counts by its content."""
    path = config.alignment.replay
    chosen = config.alignment.model_dump_json(exclude={"replay"})
    return (chosen, None if path is None else content_hash(path))


def report(space: Workspace) -> None:
    """Write the summary and the HTML report."""
    write_report(space)


CHANGED = ("align", "elicit after", "elicit retest")

FITS = tuple(
    f"{filenames.fit_stem(source, side)}{ending}"
    for source in (*filenames.SOURCES, *filenames.RETESTS)
    for side in filenames.SIDES
    for ending in (".json", ".parquet")
)

CHAIN: tuple[Stage, ...] = (
    *ASSEMBLY_STAGES,
    # Of the dataset it reads the labels alone; these are the consensus's, whatever else it tells.
    Stage(
        "align",
        train,
        lambda c: (*_taught(c), *subject(c), c.seed),
        ("plan", "consensus"),
        (filenames.ADAPTER, filenames.TRAINING, filenames.REPLAY),
        check=check_training,
    ),
    Stage(
        "elicit after",
        elicit_after,
        lambda c: (c.elicitation, *subject(c), c.seed),
        ("plan", "align"),
        ("after.parquet", "after.json"),
    ),
    Stage(
        "elicit retest",
        elicit_retest,
        lambda c: (c.elicitation, *subject(c), c.seed),
        ("plan", "elicit before"),
        (filenames.RETEST, *(f"{name}.parquet" for name in filenames.RETESTS)),
    ),
    Stage(
        "fit",
        fit_utilities,
        lambda c: (c.fit, c.dataset.utilities, *rule_of(c)),
        ("plan", "recruit", "convene", "consensus", *CHANGED[1:], "elicit before"),
        (filenames.FITS, *FITS),
    ),
    Stage(
        "compare",
        compare_models,
        lambda c: (c.comparison, c.seed),
        ("plan", "elicit before", "elicit after", "consensus", "fit"),
        (filenames.COMPARISON, filenames.SHIFTS, *map(filenames.shift_file, filenames.SIDES)),
    ),
    *MEASURES,
    Stage(
        "report",
        report,
        lambda c: (c,),
        (*(s.name for s in (*ASSEMBLY_STAGES, *MEASURES)), *CHANGED, "fit", "compare"),
        (filenames.REPORT, filenames.SUMMARY),
        always=True,
    ),
)

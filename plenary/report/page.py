"""Assembling and writing report.html and summary.json: one static file, no script, no network."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

import jinja2
from markupsafe import Markup

import plenary
from alignment.experiments.control_table import ControlTable
from alignment.training.record import TrainingRecord
from evaluation.comparison.compare import Comparison
from plenary.errors import NotMeasured, measured
from plenary.figures.page_parts import Head, Tile
from plenary.report import evidence, shift
from plenary.report import tables as parts
from plenary.report.batteries import anchor_section, battery_section, read_batteries
from plenary.report.controls import control_section, controls
from plenary.report.diagnostics import rows, strata_rows
from plenary.report.elements import FACTS, Drawing, QuotedStatement, Row, Section, facts
from plenary.report.evidence import Measures, count_tests, read_measures
from plenary.report.hiring import hiring_findings, hiring_section
from plenary.report.preregistration import planning
from plenary.report.results import Results, read_results
from plenary.report.retention import retention_findings, retention_section, risen
from plenary.report.shift import retest_section
from plenary.report.verdict import RunVerdict, VerdictFigures, verdict
from plenary.report.wording import wording_findings, wording_section
from plenary.runs import filenames
from plenary.runs.files import write_text
from plenary.runs.models import takes_part
from plenary.runs.records.assembly import AssemblyRecord, ConsensusRecord, Summary
from plenary.runs.records.base import ReadingRecord, read_record, write_record
from plenary.runs.records.diagnostics import DiagnosticsRecord
from plenary.runs.records.experiments import read_control
from plenary.runs.records.panel import FidelityRecord
from plenary.runs.workspace import Workspace
from plenary.safe_text import strip_hidden

TEMPLATE = "report.html.j2"
UNMEASURED = "unmeasured.html.j2"
STYLE = "report.css"
LIMITS = (
    "A panel of simulated citizens is a way to produce a training target. It does not predict what "
    "a citizens' assembly of people would decide.",
    "The interval of the gain covers the choice of held-out outcomes only: not the choice of "
    "citizens, wording, seed or model.",
    "The ceiling is estimated from this panel by resampling whole tables; with few tables the "
    "estimate is coarse.",
    "Standard errors of utilities come from the fit (Laplace approximation) and are enlarged where "
    "the test-retest shows them to be too small. The test-retest covers the noise of presentation "
    "order or of sampling, not that of other wordings.",
    "Statements are what a model wrote when playing a persona. They are a random sample, unedited "
    "except for hidden characters and length.",
)
DIAGNOSTICS = (Head("Finding"), Head("Value"), Head("Meaning"))
STRATA = (
    Head("Attribute"),
    Head("Category"),
    Head("Citizens", True),
    Head("Changed sides", True),
    Head("Moved by", True),
    Head("Toward the table", True),
)


@dataclass(frozen=True, slots=True)
class ReportPage:
    """What the HTML template shows."""

    style: Markup
    style_hash: str
    version: str
    created: str
    summary: Summary
    summary_json: str
    verdict: RunVerdict
    tiles: tuple[Tile, ...]
    agreement_figure: Markup
    measures: tuple[Row, ...]
    scatters: tuple[Drawing, ...]
    calibration: tuple[Drawing, ...]
    moved: tuple[Row, ...]
    all_moved: tuple[Row, ...]
    moved_heads: tuple[Head, ...]
    moved_caption: str
    panel_note: str
    margins: tuple[Row, ...]
    panel_drawing: Drawing
    categories: tuple[Row, ...]
    assembly_note: str
    ballots: tuple[Row, ...]
    diagnostics: tuple[Row, ...]
    strata: tuple[Row, ...]
    statements: tuple[QuotedStatement, ...]
    training: tuple[Row, ...]
    controls: Markup
    banner: str
    plan: Section
    retest: Section
    measured: tuple[Section, ...]
    batteries: tuple[Section, ...]
    limits: tuple[str, ...]
    settings: tuple[Row, ...]
    chosen: tuple[Row, ...]
    provenance: tuple[Row, ...]
    fact_heads: tuple[Head, ...] = FACTS
    measure_heads: tuple[Head, ...] = parts.MEASURES
    margin_heads: tuple[Head, ...] = parts.MARGINS
    category_heads: tuple[Head, ...] = parts.CATEGORIES
    ballot_heads: tuple[Head, ...] = parts.BALLOTS
    diagnostic_heads: tuple[Head, ...] = DIAGNOSTICS
    stratum_heads: tuple[Head, ...] = STRATA
    setting_heads: tuple[Head, ...] = parts.SETTINGS


def write_report(space: Workspace) -> Summary:
    """Write summary.json and report.html of a run whose stages have all run."""
    try:
        results = read_results(space)
    except NotMeasured as error:
        return _write_without_comparison(space, str(error))
    shown = page(results, summarise(space, results.comparison))
    write_text(space.file(filenames.REPORT), render(shown))
    write_record(shown.summary, space.file(filenames.SUMMARY))
    return shown.summary


def _write_without_comparison(space: Workspace, why: str) -> Summary:
    """Write the assembly's part alone, where nothing is left to compare the model with it on."""
    finding = f"How far the model agrees with the assembly was not measured: {why}"
    summary = summarise(space, None).model_copy(update={"finding": finding})
    found = read_record(DiagnosticsRecord, space.file(filenames.DIAGNOSTICS))
    assembly = read_record(AssemblyRecord, space.file(filenames.ASSEMBLY))
    settings = parts.settings(space.config)
    tables = (
        ("Ballots", parts.BALLOTS, parts.ballots(assembly)),
        ("What the assembly shows", DIAGNOSTICS, rows(found)),
        ("Settings", parts.SETTINGS, settings),
    )
    style, digest = _styled()
    text = _filled(UNMEASURED, summary=summary, tables=tables, style=style, style_hash=digest)
    write_text(space.file(filenames.REPORT), text)
    write_record(summary, space.file(filenames.SUMMARY))
    return summary


def summarise(space: Workspace, c: Comparison | None) -> Summary:
    """The run in one object; the comparison's figures are NaN if it could not be made."""
    manifest, nan = space.run.manifest, float("nan")
    decision = read_record(ConsensusRecord, space.file(filenames.DECISION))
    fidelity = read_record(FidelityRecord, space.file(filenames.FIDELITY))
    return Summary(
        name=manifest.name,
        seconds=round(sum(record.seconds for record in manifest.stages.values()), 1),
        agreement_before=nan if c is None else c.agreement_before,
        agreement_after=nan if c is None else c.agreement_after,
        gain=nan if c is None else c.gain,
        gain_low=nan if c is None else c.gain_low,
        gain_high=nan if c is None else c.gain_high,
        ceiling=decision.ceiling,
        citizens=fidelity.citizens,
        outcomes=len(space.plan.outcomes),
        pairs=decision.pairs,
        held_out_pairs=int(space.held_out_mask.sum()),
        invalid_share=read_record(AssemblyRecord, space.file(filenames.ASSEMBLY)).invalid_share,
        imputed_share=fidelity.imputed_share,
        seed=manifest.seed,
        config_hash=manifest.config_hash,
        deterministic=manifest.deterministic,
        report=str(space.file(filenames.REPORT)),
        cut_short=parts.cut_short(space),
    )


def page(results: Results, summary: Summary) -> ReportPage:
    """Everything the template needs."""
    style, digest = _styled()
    space = results.space
    found = read_record(DiagnosticsRecord, space.file(filenames.DIAGNOSTICS))
    arms, measures = read_control(space.run.path), read_measures(space)
    beside = read_batteries(results)
    tests = count_tests(results, measures) + sum(found.tests for found in beside)
    planned = planning(space, tests)
    settings = parts.settings(space.config)
    said = verdict(_measured(results, summary, measures, arms))
    summary = summary.model_copy(update={"finding": said.headline})
    return ReportPage(
        style=style,
        style_hash=digest,
        version=plenary.__version__,
        created=f"{space.run.manifest.created:%Y-%m-%d %H:%M} UTC",
        summary=summary,
        summary_json=summary.model_dump_json(indent=2),
        verdict=said,
        tiles=_tiles(results, summary),
        agreement_figure=parts.agreement_figure(results),
        measures=parts.measures(results),
        scatters=parts.scatters(results),
        calibration=parts.calibration(results),
        moved=shift.most_moved(results),
        all_moved=shift.all_moved(results),
        moved_heads=shift.moved_heads(results),
        moved_caption=shift.moved_caption(results),
        panel_note=_panel_note(results),
        margins=parts.margins(results.fidelity),
        panel_drawing=parts.panel_drawing(results),
        categories=parts.categories(results.shares),
        assembly_note=_assembly_note(results),
        ballots=parts.ballots(results.assembly),
        diagnostics=rows(found),
        strata=strata_rows(found),
        statements=parts.statements(space),
        training=_training(space),
        controls=Markup("") if arms is None else control_section(arms),
        banner=planned.banner,
        plan=planned.section,
        retest=retest_section(results),
        measured=(
            wording_section(results, measures),
            retention_section(results, measures),
            hiring_section(measures, space.config.hiring),
            anchor_section(measures),
        ),
        batteries=tuple(map(battery_section, beside)),
        limits=LIMITS,
        settings=settings,
        chosen=tuple(row[:2] for row in settings if row[2]),
        provenance=_provenance(results),
    )


class _Style(NamedTuple):
    text: Markup
    digest: str


def _styled() -> _Style:
    style = _asset(STYLE)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _Style(Markup(style), f"sha256-{digest}")


def render(shown: ReportPage) -> str:
    """The HTML of a page; all text is escaped and stripped of hidden characters."""
    return _filled(TEMPLATE, page=shown)


def _filled(template: str, **values: object) -> str:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(_asset(template)).render(**values)


def _finalize(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup) and "\n" not in value:
        return strip_hidden(value, 2000)
    return value


def _asset(name: str) -> str:
    return (resources.files("plenary.report") / "templates" / name).read_text(encoding="utf-8")


def _measured(
    results: Results, summary: Summary, measures: Measures, arms: ControlTable | None
) -> VerdictFigures:
    d, held = results.decision, None if arms is None else controls(arms)
    return VerdictFigures(
        before=summary.agreement_before,
        after=summary.agreement_after,
        after_low=results.comparison.after.low,
        gain=summary.gain,
        low=summary.gain_low,
        high=summary.gain_high,
        ceiling=d.ceiling,
        ceiling_low=d.ceiling_low,
        ceiling_high=d.ceiling_high,
        pairs=summary.held_out_pairs,
        outcomes=len(results.space.plan.held_out),
        citizens=summary.citizens,
        invalid=summary.invalid_share,
        contested=d.contested / d.pairs,
        imputed=summary.imputed_share,
        template=results.asked[0].template,
        embedded=takes_part(results.space.config),
        own_outcomes=results.space.config.outcomes.path is not None,
        wordings=_wordings(results, measures),
        toward=evidence.toward(results.comparison, measures, held),
        margins=evidence.margins(results),
        agreement=measured(lambda: evidence.agreement(results), "agreement", {}),
        risen=risen(results, measures),
        findings=(
            *wording_findings(measures.wording),
            *retention_findings(results, measures),
            *hiring_findings(measures, results.space.config.hiring),
            *(() if measures.anchor.result is None else measures.anchor.result.findings),
        ),
        controls=held,
    )


def _wordings(results: Results, measures: Measures) -> int:
    asked = set(results.asked[0].template.split(","))
    return len(asked | set(() if measures.wording is None else measures.wording.used))


def _tiles(results: Results, s: Summary) -> tuple[Tile, ...]:
    return (
        Tile("Agreement before", f"{s.agreement_before:.1%}", f"{s.held_out_pairs} held-out pairs"),
        Tile("Agreement after", f"{s.agreement_after:.1%}", "same pairs"),
        Tile(
            "Gain",
            f"{100 * s.gain:+.1f}",
            f"points, 95 % {100 * s.gain_low:+.1f} to {100 * s.gain_high:+.1f}",
        ),
        Tile("Ceiling", percent(s.ceiling), "two independent panels, held-out pairs"),
        Tile("Invalid ballots", f"{s.invalid_share:.2%}", f"of {results.assembly.votes:,}"),
        Tile("Time", _duration(s.seconds), "all stages"),
    )


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return "not measured" if value is None else f"{value:.1%}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _panel_note(results: Results) -> str:
    f, p, kept = results.fidelity, results.population, results.space.config.population
    quarters = "without" if kept.group_quarters == "exclude" else "with"
    whom = "citizens only" if kept.citizens == "citizens" else "all residents"
    return (
        f"{f.citizens} citizens (effective size {f.effective_size:.1f}), drawn by weight from "
        f"{p.rows:,} records, {quarters} group quarters, {whom}. Source: {p.survey} "
        f"(before these filters: {p.universe}). In {f.imputed_share:.1%} of the panel and "
        f"{p.imputed_share:.1%} of the population, by weight, {len(p.imputed_columns)} columns "
        f"come from donor records: {', '.join(p.imputed_columns).replace('_', ' ') or 'none'}."
    )


def _assembly_note(results: Results) -> str:
    a, d = results.assembly, results.decision
    cut = parts.cut_short(results.space)
    lost = f"Cut short before giving an answer, and therefore invalid: {cut}. " if cut else ""
    return (
        f"{a.votes:,} ballots, {a.invalid_share:.2%} invalid; {a.statements:,} statements, "
        f"{a.silent:,} of them without usable text. {lost}{_movement_note(a)} On {d.contested} of "
        f"{d.pairs} pairs the interval of the assembly's share includes one half."
    )


def _movement_note(a: AssemblyRecord) -> str:
    if a.changed is None or a.shift is None or a.toward is None:
        return f"What the discussion changed was not measured: {a.not_measured['movement']}."
    return (
        f"After the discussion, citizens took the other side in {a.changed:.1%} of their "
        f"choices; their probabilities changed by {a.shift:.3f} on average. Signed, the change is "
        f"{a.toward:+.3f} (positive: toward the majority of the others at their table). It has no "
        "interval, so no direction is claimed."
    )


def _training(space: Workspace) -> tuple[Row, ...]:
    record = read_record(TrainingRecord, space.file(filenames.TRAINING))
    return facts((told, getattr(record, name)) for name, told in parts.TRAINING.items())


def _reading(found: ReadingRecord) -> tuple[tuple[str, str], ...]:
    """The outcomes that the model to be aligned could not read."""
    words = (
        (f"model on outcome {name}", f"does not know {', '.join(lost)}: its answers mean nothing")
        for name, lost in found.unread.items()
    )
    return (*words, *found.not_measured.items())


def _provenance(results: Results) -> tuple[Row, ...]:
    space, manifest = results.space, results.space.run.manifest
    training = read_record(TrainingRecord, space.file(filenames.TRAINING))
    a, f = results.assembly, results.fidelity
    return facts(
        [
            ("deterministic", f"{'yes' if manifest.deterministic else 'no'}: {manifest.reason}"),
            ("config hash", manifest.config_hash),
            ("git revision", manifest.git_revision or "not a checkout"),
            ("model", results.asked[0].backend),
            *_reading(results.asked[0].reading),
            ("model after", results.asked[1].backend),
            ("citizens' model", a.backend),
            ("adapter sha256", training.adapter_sha256),
            ("base weights", training.base_sha256),
            ("population sha256", results.population.sha256),
            ("persona prompt", f"{f.prompt_version}, {f.prompt_hash}"),
            ("assembly prompts", f"{a.prompt_version}, {a.prompt_hash}"),
            *((f"version of {name}", version) for name, version in manifest.versions.items()),
            *((f"seconds: {n}", round(r.seconds, 2)) for n, r in manifest.stages.items()),
        ]
    )

"""The model card of an adapter: intended use, limits, and every figure with its interval."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from alignment.experiments.control_table import ControlRow, ControlTable
from alignment.retention.retention import Retention
from alignment.training.adapter import AdapterManifest
from evaluation.claims.claims import TOWARD
from evaluation.claims.evidence import Toward
from evaluation.comparison.compare import Comparison

INTENDED = (
    "Research on utility control: studying what training on a stated choice distribution does to "
    "elicited preferences, and what else it changes."
)
NOT_INTENDED = (
    "Speaking for any public, population or group; polls, forecasts, juries or consultation, or in "
    "place of people taking part.",
    "Decisions about individuals, hiring among them; targeting or persuasion.",
    "Claims about a model's values or motives. What was measured are choices in given wordings.",
)
LIMITS = (
    "Simulated citizens are not people. Each is a language model given a census record; no record "
    "describes an identifiable person, and the names are invented.",
    "Statements and ballots are model output, not opinions of any group. Agreement among citizens "
    "is agreement of one model under different descriptions; variety within groups is understated.",
    "Nothing here was validated against what people would decide after deliberation.",
    "The target is what a small panel decided; another panel would decide some pairs differently "
    "(see the ceiling).",
    "Wordings matter: transfer to untrained wordings is stated where it was measured and not "
    "claimed where it was not.",
    "English only.",
)


class TargetProvenance(NamedTuple):
    """Where the target comes from.

    base: name of the base model as readers know it. licence: of the adapter, as an SPDX id.
    citizens, pairs: of the assembly. source: the population, its year and hash. citizens_model: the
    model that spoke for the citizens. votes_sha256: hash of the ballots. imputed_share: weighted
    share of citizens with donor-imputed columns. embedded: whether the shipped model took part.
    toward: the run's evidence of movement on held-out outcomes. replay: the text on which the model
    was held to its base.
    """

    base: str
    licence: str
    citizens: int
    pairs: int
    source: str
    citizens_model: str
    votes_sha256: str
    imputed_share: float
    embedded: bool
    toward: Toward
    replay: str = "not recorded"


def model_card(
    manifest: AdapterManifest,
    made_from: TargetProvenance,
    comparison: Comparison,
    kept: Retention | None,
    arms: ControlTable | None,
) -> str:
    """The card as Markdown with the hub's YAML head.

    Without retention or control arms, the card states that they were not measured.
    """
    parts = [
        f"---\n{_metadata(made_from)}\n---",
        f"# Adapter toward a simulated assembly's choices, for {made_from.base}",
        _summary(made_from.toward, arms),
        _section("Intended use", [INTENDED]),
        _section("Not intended", _bullets(NOT_INTENDED)),
        _section("Figures", [*_figures(comparison), *_arms(arms)]),
        _section("What was kept", _kept(kept)),
        _section("Data", _data(made_from)),
        _section("Training", _training(manifest, made_from)),
        _section("Limits", _bullets([*_organism(made_from), *LIMITS])),
        _section("Loading", _loading(manifest, made_from)),
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(made_from: TargetProvenance) -> str:
    """What the hub reads, as YAML. It holds figures without intervals, so ours are in the text."""
    from huggingface_hub import ModelCardData

    return ModelCardData(
        base_model=made_from.base,
        license=made_from.licence,
        library_name="peft",
        language="en",
        tags=["plenary", "simulated-assembly", "utility-control", "lora"],
    ).to_yaml()


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *lines])


def _bullets(lines: Sequence[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _summary(toward: Toward, arms: ControlTable | None) -> str:
    controls = (
        "Control arms were run; see below."
        if arms is not None
        else "No control arms were run, so it was not shown that the assembly's content did this "
        "rather than training as such."
    )
    return f"A LoRA adapter. {TOWARD.say(toward).sentence} {controls}"


def _figures(c: Comparison) -> list[str]:
    level = f"{c.settings.level:.0%}"
    ceiling = "not measured" if c.ceiling is None else f"{c.ceiling:.1%}"
    return [
        f"{c.pairs} pairs among {c.outcomes} held-out outcomes, both orders; {level} intervals "
        "from a bootstrap over outcomes. They do not include the choice of citizens, seed or "
        "wording.",
        "",
        "| Measure | Before | After |",
        "|---|---|---|",
        f"| agreement with the assembly's majority | {c.before.agreement:.1%} "
        f"({c.before.low:.1%} to {c.before.high:.1%}) | {c.after.agreement:.1%} "
        f"({c.after.low:.1%} to {c.after.high:.1%}) |",
        f"| KL(assembly, model), nats, lower is closer | {c.before.kl:.3f} | {c.after.kl:.3f} |",
        f"| mean size of the order gap | {c.before.order_gap_size:.3f} "
        f"| {c.after.order_gap_size:.3f} |",
        "",
        f"Gain {100 * c.gain:+.1f} points ({100 * c.gain_low:+.1f} to {100 * c.gain_high:+.1f}). "
        f"Agreement of two independent panels on held-out pairs, the ceiling: {ceiling}.",
    ]


def _arms(arms: ControlTable | None) -> list[str]:
    if arms is None:
        return []
    head = [
        "",
        "| Arm | Seeds | Gain, points | Behind the assembly, points | Behind in KL, nats "
        "| Untrained wordings, share of the gain | KL neutral |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = []
    for row in arms.rows:
        behind = "" if row.behind is None else _points(*row.behind.model_dump().values())
        gain = _points(row.gain.value, row.gain.low, row.gain.high)
        shares = row.kl_behind
        told = (
            ""
            if shares is None
            else f"{shares.value:+.3f} ({shares.low:+.3f} to {shares.high:+.3f})"
        )
        rows.append(
            f"| {row.arm} | {row.seeds} | {gain} | {behind} | {told} | {_wordings(row)} "
            f"| {row.kl_neutral:.3f} |"
        )
    return head + rows


def _wordings(row: ControlRow) -> str:
    if row.wordings is None:
        return "not measured"
    return f"{row.wordings.share:.2f}" + ("" if row.wordings.kept else " (half is not shown)")


def _points(value: float, low: float, high: float) -> str:
    return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _kept(kept: Retention | None) -> list[str]:
    if kept is None:
        return ["Not measured."]
    rows = [
        f"| {f.what} | {f.units} | {f.before:.3f} | {f.after:.3f} | {f.loss:+.3f} "
        f"({f.low:+.3f} to {f.high:+.3f}) | {f.margin:.3f} | {f.verdict} |"
        for f in kept.findings
    ]
    return [
        f"Set {kept.name!r}, adapter off and on. Losses with one-sided 95 % bounds; `kept` means "
        "that no loss as large as the margin is compatible with the data, `undecided` that the set "
        "is too small to tell.",
        "",
        "| Figure | Units | Before | After | Loss | Margin | Verdict |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Free replies to {kept.health_after.replies} neutral prompts, before and after: empty "
        f"{kept.health_before.empty:.0%} and {kept.health_after.empty:.0%}, ended before the limit "
        f"{kept.health_before.ended:.0%} and {kept.health_after.ended:.0%}, repeated "
        f"four-word runs {kept.health_before.repeated:.1%} and {kept.health_after.repeated:.1%}, "
        f"refused {kept.health_before.refused:.0%} and {kept.health_after.refused:.0%}, in another "
        f"language {kept.health_before.drifted:.0%} and {kept.health_after.drifted:.0%}. Same "
        f"likeliest token on neutral text: {kept.top1:.1%}.",
    ]


def _data(made_from: TargetProvenance) -> list[str]:
    return [
        f"Choices of {made_from.citizens} simulated citizens on {made_from.pairs} pairs of "
        f"outcomes, weighted. Citizens are draws from {made_from.source}; "
        f"{made_from.imputed_share:.1%} of them, by weight, carry columns imputed from donor "
        f"records. The model that spoke for them: {made_from.citizens_model}. "
        f"Ballots (sha256): {made_from.votes_sha256}.",
    ]


def _training(manifest: AdapterManifest, made_from: TargetProvenance) -> list[str]:
    settings = manifest.settings.model_dump(mode="json").items()
    return [
        f"Seed {manifest.seed}; base weights (sha256) {manifest.base_sha256}. Neutral text that "
        f"held the model to its base: {made_from.replay}.",
        "",
        "| Setting | Value |",
        "|---|---|",
        *(f"| {name} | {json.dumps(value)} |" for name, value in settings),
    ]


def _organism(made_from: TargetProvenance) -> list[str]:
    if not made_from.embedded:
        return []
    return [
        "The model that ships with plenary took part. It is a model organism, made so that "
        "arguments and training move it: its figures check the method and are no "
        "evidence about large models."
    ]


def _loading(manifest: AdapterManifest, made_from: TargetProvenance) -> list[str]:
    return [
        "`alignment.training.train.open_aligned(base_folder, adapter_folder)` checks that the base "
        "weights are the ones trained on; PEFT's own loader does not.",
        "",
        "```python",
        "from peft import AutoPeftModelForCausalLM",
        "",
        "model = AutoPeftModelForCausalLM.from_pretrained(ADAPTER_FOLDER)",
        "```",
    ]

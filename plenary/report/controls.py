"""Report section on the control experiment, and its table in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from alignment.experiments.control_table import REFERENCE, ControlRow, ControlTable
from alignment.experiments.controls import EMPTY_ARMS
from alignment.experiments.estimates import ScoreEstimate
from alignment.experiments.pooling import PooledArm
from alignment.experiments.strata_agreement import Composition
from plenary.report.verdict import Controls

HEADS = (
    "Arm",
    "Seeds",
    "Own target: same majority",
    "Own target: KL",
    "Agreement",
    "Gain, points",
    "Behind the assembly, points",
    "KL to the assembly",
    "Behind the assembly, KL",
    "Behind the assembly, overlap, points",
    "Behind, where own target differs, points",
    "Side effect",
    "Untrained wordings",
    "KL neutral",
    "Bits per byte",
    "Right answers, points",
    "Free replies: empty, repeating, points",
)

CAPTION = (
    "Figures are on held-out outcomes; 95 % intervals cover the choice of outcomes and seeds, "
    "not of "
    "citizens. Own target: how similar the arm's training target is to the assembly's decision on "
    "the training pairs (share of equal majorities; KL in nats, 0 if identical). Behind: the "
    "assembly arm's gain minus this arm's, on the same pairs; an interval above zero means that "
    "the "
    "arm achieves less than the assembly's content. In points it compares majorities, so an arm "
    "whose own target has the same majorities cannot be far behind; KL (nats) and overlap (1 minus "
    "total variation distance) compare the shares themselves. Where own target differs: the same "
    "difference in agreement with the assembly's majority, only on held-out pairs where the arm's "
    "own target has the opposite majority (mean number of pairs in brackets). Side effect: share "
    "of "
    "the movement that is not toward the target (0 to 1). Untrained wordings: the gain in them "
    "divided by the gain in the trained wording (mean and worst wording); at least half: the "
    "interval of the mean is above one half."
)


def pool_rows(arms: Sequence[PooledArm]) -> Iterator[tuple[str, str]]:
    """One line per arm."""
    for arm in arms:
        yield arm.arm, "; ".join(_told_of_pool(arm))


def _told_of_pool(arm: PooledArm) -> Iterator[str]:
    by_panel = ", ".join(f"{gain:+.3f}" for gain in arm.gains)
    yield f"gain {_interval(arm.gain)} [{by_panel}], of ceiling {arm.of_ceiling.value:.2f}"
    for figure, name in (
        (arm.behind, "behind the assembly"),
        (arm.kl_behind, "in KL"),
        (arm.overlap_behind, "in overlap of shares"),
        (arm.behind_where_apart, "where its own target differs"),
    ):
        if figure is not None:
            yield f"{name} {_interval(figure)}"
    if arm.gain_untrained is not None:
        yield f"gain in untrained wordings {_interval(arm.gain_untrained)}"
    yield f"KL neutral {arm.kl_neutral.value:.3f}"


def controls(table: ControlTable) -> Controls | None:
    """What the control arms show; None without the assembly's arm or without any control arm."""
    arms, own = table.controls, next((r for r in table.rows if r.arm == REFERENCE), None)
    if own is None or not arms:
        return None
    below = tuple(row.arm for row in arms if row.behind is not None and row.behind.low > 0)
    level = tuple(row for row in arms if row.arm not in below)
    return Controls(
        seeds=own.seeds,
        gain=own.gain.value,
        low=own.gain.low,
        high=own.gain.high,
        below=below,
        level=tuple(row.arm for row in level),
        farther=tuple(r.arm for r in level if r.kl_behind is not None and r.kl_behind.low > 0),
        missing=tuple(arm for arm in EMPTY_ARMS if arm not in {row.arm for row in arms}),
    )


def table_rows(table: ControlTable) -> Iterator[tuple[str, str]]:
    """One line per arm, per kind of dose, and per arm trained toward a stratum of the panel."""
    yield (
        "before training",
        f"agreement {table.agreement_before:.3f}, ceiling {table.ceiling:.3f}; "
        f"KL {table.kl_before:.3f}",
    )
    for row in table.rows:
        yield row.arm, "; ".join(_told(row))
    for dose in table.doses:
        yield (
            f"half of the move by {dose.axis}" if dose.left is None else dose.axis,
            f"steps {_some(dose.half_steps)}, KL neutral {_some(dose.half_kl)}"
            if dose.left is None
            else f"share of the move left {dose.left:.2f}",
        )
    for arm, found in table.strata.items():
        yield f"strata under {arm}", _of_strata(found)


def _of_strata(found: Composition) -> str:
    level = ScoreEstimate(
        value=found.worst_level, low=found.worst_level_low, high=found.worst_level_high
    )
    least = next(row for row in found.strata if row.stratum == found.least_gaining)
    change = ScoreEstimate(value=least.change, low=least.low, high=least.high)
    return (
        f"worst of {len(found.strata)} strata {found.worst_before:.3f} -> {found.worst_after:.3f}, "
        f"{_interval(level)}; least gain {_interval(change)} in {found.least_gaining}"
    )


def _told(row: ControlRow) -> Iterator[str]:
    yield f"gain {_interval(row.gain)}, KL {row.kl:.3f}, KL neutral {row.kl_neutral:.3f}"
    if row.behind is not None and row.kl_behind is not None:
        yield f"behind the assembly {_interval(row.behind)}, in KL {_interval(row.kl_behind)}"
    if row.overlap_behind is not None:
        yield f"in overlap of shares {_interval(row.overlap_behind)}"
    if row.contrast is not None:
        yield f"where its own target differs {_contrast(row)}"
    if row.wordings is not None and row.gain.low > 0:
        yield f"untrained wordings {_wordings(row)}"
    if row.similarity is not None:
        yield f"own target has {row.similarity.agreement:.0%} of the assembly's majorities"


def control_section(table: ControlTable) -> Markup:
    """The section of the report: the caption, one row per arm, and lines on doses and strata."""
    heads = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(Markup(' class="n"') if k else "", head)
        for k, head in enumerate(HEADS)
    )
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                Markup("<td{}>{}</td>").format(Markup(' class="n"') if k else "", cell)
                for k, cell in enumerate(_cells(row))
            )
        )
        for row in table.rows
    )
    doses = Markup("").join(
        Markup("<li>{}: {}</li>").format(name, text)
        for name, text in list(table_rows(table))[1 + len(table.rows) :]
    )
    return Markup(
        '<h2>Control arms</h2>\n<div class="scroll" tabindex="0" role="group" '
        'aria-label="Control arms"><table><caption><span>{}</span></caption>\n'
        "<thead><tr>{}</tr></thead>\n<tbody>{}</tbody></table></div>\n{}"
    ).format(
        f"{CAPTION} Before training the agreement is {table.agreement_before:.1%}; two independent "
        f"panels would agree on {table.ceiling:.1%} of these pairs. KL to the assembly before "
        f"training: {table.kl_before:.3f}.",
        heads,
        body,
        Markup("<ul>{}</ul>").format(doses) if doses else "",
    )


def _cells(row: ControlRow) -> tuple[str, ...]:
    return (
        row.arm,
        str(row.seeds),
        "" if row.similarity is None else f"{row.similarity.agreement:.0%}",
        "" if row.similarity is None else f"{row.similarity.kl:.3f}",
        f"{row.agreement.value:.1%}",
        _interval(row.gain, 100),
        "" if row.behind is None else _interval(row.behind, 100),
        f"{row.kl:.3f}",
        "" if row.kl_behind is None else _interval(row.kl_behind),
        "" if row.overlap_behind is None else _interval(row.overlap_behind, 100),
        "" if row.contrast is None else _contrast(row, 100),
        _some(row.side_effect),
        _wordings(row),
        f"{row.kl_neutral:.3f}",
        _some(row.bits),
        "" if row.accuracy is None else f"{100 * row.accuracy:+.1f}",
        ""
        if row.empty is None or row.repeated is None
        else f"{100 * row.empty:+.1f}, {100 * row.repeated:+.1f}",
    )


def _contrast(row: ControlRow, scale: float = 1.0) -> str:
    if row.contrast is None:
        return ""
    lead, pairs = row.contrast.lead, f"({row.contrast.pairs:.1f} pairs)"
    return f"too few {pairs}" if lead is None else f"{_interval(lead, scale)} {pairs}"


def _wordings(row: ControlRow) -> str:
    """Share of the gain kept in untrained wordings; empty if the gain may be zero."""
    if row.wordings is None or row.gain.low <= 0:
        return "none"
    kept = "at least half" if row.wordings.kept else "half not shown"
    return f"{row.wordings.share:.2f} (worst {row.wordings.worst:.2f}; {kept})"


def _interval(found: ScoreEstimate, scale: float = 1.0) -> str:
    digits = 1 if scale > 1 else 3
    value, low, high = (f"{scale * x:+.{digits}f}" for x in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def _some(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"

"""The table of arms by metrics: for the terminal, and as a section of the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup

from alignment.sweep import ArmRow, Estimate, SweepTable
from plenary.app.laboratory import FOLDER
from plenary.app.records import read_record
from plenary.app.sweep_verbs import TABLE

HEADS = (
    "Arm",
    "Seeds",
    "Agreement",
    "Gain, points",
    "Behind the assembly, points",
    "KL to the assembly",
    "Side effect",
    "Untrained wordings",
    "KL neutral",
    "Bits per byte",
    "Right answers, points",
)
CAPTION = (
    "Held-out outcomes; 95 % intervals count the choice of outcomes and of seeds, not of citizens. "
    "Behind: the assembly arm's gain minus this arm's on the same pairs; an interval above zero "
    "says that the arm does less than the assembly's content. Side effect: 0 straight to the "
    "target, 1 all of the move beside it. Untrained wordings: share of the gain seen there."
)


def read_sweep(run: Path) -> SweepTable | None:
    """The table of a run directory, None where no sweep was made."""
    path = run / FOLDER / TABLE
    return read_record(SweepTable, path) if path.is_file() else None


def table_rows(table: SweepTable) -> Iterator[tuple[str, str]]:
    """One line an arm, one a dose axis."""
    yield "before training", f"agreement {table.agreement_before:.3f}, ceiling {table.ceiling:.3f}"
    for row in table.rows:
        behind = "" if row.behind is None else f", behind the assembly {_interval(row.behind)}"
        yield row.arm, f"gain {_interval(row.gain)}{behind}, KL neutral {row.kl_neutral:.3f}"
    for dose in table.doses:
        yield (
            f"half of the move by {dose.axis}" if dose.left is None else dose.axis,
            f"steps {_some(dose.half_steps)}, KL neutral {_some(dose.half_kl)}"
            if dose.left is None
            else f"share of the move left {dose.left:.2f}",
        )


def sweep_section(table: SweepTable) -> Markup:
    """The section of the report: the caption, one row an arm, and the dose lines."""
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
        '<h2>Control arms</h2>\n<div class="scroll"><table><caption>{}</caption>\n'
        "<thead><tr>{}</tr></thead>\n<tbody>{}</tbody></table></div>\n{}"
    ).format(
        f"{CAPTION} Before training the agreement is {table.agreement_before:.1%}; two independent "
        f"panels would agree on {table.ceiling:.1%} of such pairs.",
        heads,
        body,
        Markup("<ul>{}</ul>").format(doses) if doses else "",
    )


def _cells(row: ArmRow) -> tuple[str, ...]:
    return (
        row.arm,
        str(row.seeds),
        f"{row.agreement.value:.1%}",
        _interval(row.gain, 100),
        "" if row.behind is None else _interval(row.behind, 100),
        f"{row.kl:.3f}",
        _some(row.side_effect),
        _some(row.wording_share),
        f"{row.kl_neutral:.3f}",
        _some(row.bits),
        "" if row.accuracy is None else f"{100 * row.accuracy:+.1f}",
    )


def _interval(found: Estimate, scale: float = 1.0) -> str:
    digits = 1 if scale > 1 else 3
    value, low, high = (f"{scale * x:+.{digits}f}" for x in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def _some(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"

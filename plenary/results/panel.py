"""The citizens of an assembly: drawn from the census, or people of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assembly.hold import SeatedPanel
from census_data.cells import band_labels, columns_of
from census_data.fidelity import ATTRIBUTES, positions_of
from census_data.population import Population
from census_data.schema import BANDS
from personas.persona import Panel, Persona
from personas.prompt import DEFAULT_PROFILE, ProfileSettings, describe
from personas.representativeness import CategoryShare, representativeness
from plenary.errors import ConfigError, DataError
from plenary.figures.panel import finding, panel_figure
from plenary.preferences import FloatArray
from plenary.results.display import AFTER, MUTED, open_axes, piece
from plenary.table import Table
from plenary.untrusted import first_fault, fitted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# What a notebook shows of a citizen of the census; `table()` has all that is known.
SHOWN = (
    "id", "panel_weight", "name", "age", "sex", "race_origin", "education", "employment",
    "household_income", "state",
)  # fmt: skip
# Columns of people of one's own that are no facts about them.
TEXT, WEIGHT, ID = "description", "weight", "id"
PLAIN_FACTS = "You are a person of whom this is known."
PERSONA_FIELDS = tuple(
    name
    for name in Persona.model_fields
    if name not in ("row_id", "weight", "inclusion", "inclusion_kind", "imputed", "name_kind")
)


@dataclass(frozen=True, slots=True)
class PanelResult:
    """Citizens [C] who can be seated.

    seats: ids, what each citizen's model is told, weights [C] (mean 1) and categories. people: what
    is known of each, one dict per citizen. shares: panel against population by category, () for
    people of one's own. origin: how they were drawn.
    """

    seats: SeatedPanel
    people: tuple[dict[str, Any], ...]
    shares: tuple[CategoryShare, ...]
    origin: str

    def __len__(self) -> int:
        return len(self.seats)

    @property
    def weights(self) -> FloatArray:
        """Weight of each citizen [C], mean 1."""
        return self.seats.weights

    @property
    def effective_size(self) -> float:
        """Kish's effective number of citizens, at most C; higher is better."""
        w = self.weights
        return float(w.sum() ** 2 / (w @ w))

    def describe(self, citizen: int | str = 0) -> str:
        """What the model that plays a citizen is told it is, by position or id."""
        at = citizen if isinstance(citizen, int) else self._position(citizen)
        return self.seats.texts[at]

    def _position(self, name: str) -> int:
        if name not in self.seats.ids:
            raise ConfigError(f"no citizen {name!r}; ids are {self.seats.ids[0]!r} and so on")
        return self.seats.ids.index(name)

    def table(self) -> Table:
        """One row per citizen: id, weight and everything known of them."""
        names = list(dict.fromkeys(name for person in self.people for name in person))
        rows = (
            (name, float(weight), *(person.get(column) for column in names))
            for name, weight, person in zip(self.seats.ids, self.weights, self.people, strict=True)
        )
        return Table.of(["id", "panel_weight", *names], rows, repr(self))

    def to_pandas(self) -> pd.DataFrame:
        """One row per citizen."""
        return self.table().to_pandas()

    def plot(self, axes: Axes | None = None) -> Axes:
        """Panel (dots) against population (lines), the band of sampling error behind; the axes."""
        if not self.shares:
            raise ConfigError("people of one's own stand for no population; there is no comparison")
        rows = self.shares[::-1]
        drawn = open_axes(axes, len(rows))
        places = range(len(rows))
        low = [row.low for row in rows]
        drawn.barh(places, [r.high - r.low for r in rows], left=low, color="#cfd8e3", label="95 %")
        drawn.plot([r.population for r in rows], places, "|", color=MUTED, label="population")
        drawn.plot([r.panel for r in rows], places, "o", color=AFTER, markersize=4, label="panel")
        drawn.set_yticks(places, [f"{r.attribute}: {r.category}" for r in rows])
        drawn.set_xlabel("share")
        drawn.legend()
        return drawn

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        kept = _Kept(
            ids=self.seats.ids,
            texts=self.seats.texts,
            weights=self.weights.tolist(),
            attributes={name: tuple(v) for name, v in self.seats.attributes.items()},
            people=self.people,
            shares=list(self.shares),
            origin=self.origin,
        )
        Path(path).write_text(kept.model_dump_json(indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> PanelResult:
        """Read what `save` wrote; DataError when it is missing or altered."""
        try:
            kept = _Kept.model_validate_json(Path(path).read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(
                f"cannot read a panel from {str(path)!r}: {error}; sample it again"
            ) from error
        seats = SeatedPanel(kept.ids, kept.texts, np.array(kept.weights), kept.attributes)
        return cls(seats, kept.people, tuple(kept.shares), kept.origin)

    def __repr__(self) -> str:
        kish = f", {self.effective_size:.1f} effective" if self.effective_size < len(self) else ""
        return f"Panel of {len(self)} citizens{kish}, {self.origin}"

    def _repr_html_(self) -> str:
        figure = panel_figure(self.shares) if self.shares else Markup("")
        told = f"<p>{finding(self.shares)}</p>" if self.shares else ""
        listed = self.table()
        names = [name for name in listed.columns if not self.shares or name in SHOWN]
        table = Table({name: listed[name] for name in names})
        return piece(repr(self), table, told, figure)


class _Kept(BaseModel):
    """A panel as it lies on disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[str, ...] = Field(description="citizens")
    texts: tuple[str, ...] = Field(description="what each citizen's model is told")
    weights: list[float] = Field(description="weights, mean 1")
    attributes: dict[str, tuple[str, ...]] = Field(description="category of each citizen")
    people: tuple[dict[str, Any], ...] = Field(description="what is known of each")
    shares: list[CategoryShare] = Field(description="panel against population")
    origin: str = Field(description="how they were drawn")


def drawn_panel(
    population: Population, panel: Panel, by: Sequence[str], profile: ProfileSettings
) -> PanelResult:
    """A panel drawn from a population, with the categories it can be broken down by."""
    rows = positions_of(population, np.array([persona.row_id for persona in panel]))
    names = tuple(dict.fromkeys((*by, *ATTRIBUTES)))
    columns = columns_of(population, names)
    seats = SeatedPanel(
        tuple(persona.id for persona in panel),
        tuple(describe(persona, profile) for persona in panel),
        panel.weight,
        {c.name: tuple(c.labels[k] for k in c.codes[rows].tolist()) for c in columns},
    )
    people = tuple(
        {name: getattr(persona, name) for name in PERSONA_FIELDS[1:] if name != "attitudes"}
        for persona in panel
    )
    origin = f"{panel.method} draw from {population.source.source}, seed {panel.seed}"
    return PanelResult(seats, people, representativeness(population, panel, by), origin)


def own_panel(people: object, profile: ProfileSettings = DEFAULT_PROFILE) -> PanelResult:
    """People of one's own as a panel: a DataFrame, dicts, or descriptions as plain texts.

    A column `description` is what the model is told. Without it the text is made from the columns
    that plenary knows (age, sex, education, ...), and any other column follows as a line of its
    own. `weight` and `id` may be given; every other column is an attribute to break down by.
    """
    if isinstance(people, PanelResult):
        return people
    if isinstance(people, Panel):
        people = [
            persona.model_dump(exclude={"attitudes"})
            | {TEXT: describe(persona, profile), WEIGHT: float(weight)}
            for persona, weight in zip(people, people.weight, strict=True)
        ]
    rows = [_facts(row, k) for k, row in enumerate(_rows(people))]
    if len(rows) < 2:
        raise DataError(f"{len(rows)} people; a panel needs at least 2")
    ids = tuple(str(row.pop(ID, f"c{k:03d}")) for k, row in enumerate(rows, 1))
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise DataError(f"two people have the id {twice!r}; number them anew")
    weights = np.array([_weight(row.pop(WEIGHT, 1.0), ids[k]) for k, row in enumerate(rows)])
    texts = tuple(_text(row, ids[k], profile) for k, row in enumerate(rows))
    known = [{name: v for name, v in row.items() if name != TEXT} for row in rows]
    names = list(dict.fromkeys(name for row in known for name in row))
    attributes = {name: _categories([row.get(name) for row in known], name) for name in names}
    seats = SeatedPanel(ids, texts, weights / weights.mean(), attributes)
    return PanelResult(seats, tuple(known), (), "people of one's own")


def _rows(people: object) -> Iterable[object]:
    if hasattr(people, "to_dict") and hasattr(people, "columns"):
        return cast("pd.DataFrame", people).to_dict("records")
    if isinstance(people, Iterable) and not isinstance(people, str | bytes | Mapping):
        return people
    raise ConfigError(
        f"{type(people).__name__} {str(people)[:60]!r} is no panel; give what pl.sample_panel "
        "returns, a DataFrame, a list of dicts, or a list of descriptions"
    )


def _facts(row: object, place: int) -> dict[str, Any]:
    if isinstance(row, str):
        return {TEXT: row}
    if not isinstance(row, Mapping):
        raise DataError(f"person {place} is {str(row)[:60]!r}; give a dict or a description")
    # pandas has NaN, which is not equal to itself, for a missing value.
    return {str(name): _bare(v) for name, v in row.items() if v is not None and v == v}


def _bare(value: object) -> object:
    """A number of numpy's as one of Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _weight(value: object, name: str) -> float:
    if not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise DataError(f"weight {value!r} of {name!r}; give a positive number")
    return float(value)


def _text(row: Mapping[str, Any], name: str, profile: ProfileSettings) -> str:
    """What the model is told this person is."""
    if TEXT in row:
        return str(row[TEXT])
    if not row:
        raise DataError(f"nothing is known of {name!r}; give a description, or facts as columns")
    known = {column: row[column] for column in row if column in PERSONA_FIELDS}
    head, rest = PLAIN_FACTS, dict(row)
    if {"age", "sex"} <= known.keys():
        empty = dict.fromkeys(PERSONA_FIELDS) | {"attitudes": (), "name": name}
        given = {"id": name, "row_id": 0, "weight": 1, "inclusion": 1, "imputed": False}
        try:
            head = describe(fitted(Persona, {**empty, **known, **given}), profile)
        except ValidationError as error:
            raise DataError(
                f"person {name!r} {first_fault(error)}; change it, or write a description"
            ) from error
        rest = {column: value for column, value in row.items() if column not in PERSONA_FIELDS}
    lines = [f"{column.replace('_', ' ').capitalize()}: {value}." for column, value in rest.items()]
    return " ".join([head, *lines])


def _categories(values: Sequence[object], name: str) -> tuple[str, ...]:
    """Categories of a column [C]; numbers that the census has bands for, in these bands."""
    if name in BANDS and all(v is None or isinstance(v, int | float) for v in values):
        edges = BANDS[name]
        labels = band_labels(edges)
        return tuple(
            "no answer" if v is None else labels[int(np.searchsorted(edges, v, side="right"))]
            for v in cast("list[float | None]", values)
        )
    return tuple("no answer" if v is None else str(v) for v in values)

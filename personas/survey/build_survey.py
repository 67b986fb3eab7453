"""Build script: packs General Social Survey aggregates (python -m personas.build_survey FOLDER)."""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from personas.survey.survey import (
    COEFFICIENTS_FILE,
    SHARES_FILE,
    SURVEY_FILE,
    Grouping,
    SurveyFile,
    SurveyItem,
)

SOURCE = (
    "NORC, General Social Survey panel, waves 2016 and 2018 with the 2020 re-interview: weighted "
    "aggregates by group, no records; via github.com/kjhealy/gssr 827d7f0b"
)
DEGREES = {
    "less than high school": ("no high school diploma",),
    "high school": ("high school diploma", "some college"),
    "associate": ("associate degree",),
    "bachelor": ("bachelor's degree",),
    "graduate": ("master's degree", "professional degree", "doctorate"),
}
RACES = {
    "White": ("white",),
    "Black": ("Black",),
    "Hispanic": ("Hispanic",),
    "Other": ("Asian", "American Indian", "Pacific Islander", "another race", "multiracial"),
}
GROUPINGS = {
    "sex": Grouping(attribute="sex", groups={"female": ("woman",), "male": ("man",)}),
    "age": Grouping(
        attribute="age", edges=(18, 30, 45, 65), labels=("18-29", "30-44", "45-64", "65+")
    ),
    "race": Grouping(attribute="race_origin", groups=RACES),
    "degree": Grouping(attribute="education", groups=DEGREES),
    "region": Grouping(
        attribute="region",
        groups={name: (name,) for name in ("Northeast", "Midwest", "South", "West")},
    ),
}
UNORDERED = ("courts", "trust")
SCALE = re.compile(r"^(?P<topic>.*?) ?\((?P<low>1.*?) \.\. (?P<high>.*?(?P<top>\d).*?)\)$")
ENDS = re.compile(r"^(?P<low>.*) \(1\) \.\. (?P<high>.*) \((?P<top>\d)\)$")


def build(source: Path, output: Path) -> SurveyFile:
    """Write the three files of the packaged survey from the aggregates in folder `source`."""
    output.mkdir(parents=True, exist_ok=True)
    described = json.loads((source / "gss_items.json").read_text(encoding="utf-8"))
    retest = {
        row["item"]: float(row["exact_agreement"]) for row in _rows(source / "gss_retest.csv")
    }
    shares = pq.read_table(source / "gss_attitudes_by_group.parquet").to_pylist()
    kept = [row for row in shares if set(row["by"].split("|")) <= {"all", *GROUPINGS}]
    items = {
        name: _item(name, described[name], retest.get(name))
        for name in dict.fromkeys(row["item"] for row in kept)
    }
    file = SurveyFile(name="General Social Survey", source=SOURCE, items=items, groupings=GROUPINGS)
    text = file.model_dump_json(indent=1) + "\n"
    (output / SURVEY_FILE).write_text(text, encoding="utf-8")
    _write(output / SHARES_FILE, ("item", "by", "stratum", "response", "n", "share"), kept)
    effects = [
        row
        for row in _rows(source / "gss_demographic_coefficients.csv")
        if row["with_ideology"] == "False" and row["item"] in items
    ]
    _write(output / COEFFICIENTS_FILE, ("item", "term", "coef", "se"), effects)
    return file


def _item(name: str, note: dict[str, object], retest: float | None) -> SurveyItem:
    codes, about = note["codes"], str(note["about"])
    if isinstance(codes, dict):
        answers = tuple(str(codes[key]) for key in sorted(codes))
        return SurveyItem(
            about=about, answers=answers, ordered=name not in UNORDERED, retest=retest
        )
    ends = ENDS.match(about)
    if ends:
        return SurveyItem(about="the role of government", answers=_steps(ends), retest=retest)
    scale = SCALE.match(about)
    if scale is None:
        raise ValueError(f"no answers for item {name!r} in {about!r}; add its codes")
    return SurveyItem(about=scale["topic"], answers=_steps(scale), retest=retest)


def _steps(found: re.Match[str]) -> tuple[str, ...]:
    """Answers of a scale on which only the ends have words."""
    low, high = (re.sub(r"^\s*\d\s*|\s*\d\s*$", "", found[end]).strip() for end in ("low", "high"))
    top = int(found["top"])
    return (low, *(f"step {k} of {top} between the two" for k in range(2, top)), high)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def _write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the script."""
    parser = argparse.ArgumentParser(description="remake the packaged survey")
    parser.add_argument("source", type=Path, help="folder of the source figures")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "surveys")
    chosen = parser.parse_args(arguments)
    build(chosen.source, chosen.output)


if __name__ == "__main__":
    main()

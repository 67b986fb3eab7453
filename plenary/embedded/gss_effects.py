"""Building the planted effects of demographics from General Social Survey coefficients.

`python -m plenary.embedded.gss_effects SOURCE.csv` reads item, with_ideology, term, coef and writes
gss_effects.json. An item's sign says which end of its code favours the dimension.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np

from plenary.embedded.values import DIMENSIONS

ITEMS: dict[str, dict[str, int]] = {
    "lives": {"natheal": -1, "helpsick": -1},
    "equality": {"eqwlth": -1, "goveqinc": -1, "helppoor": -1},
    "environment": {"natenvir": -1},
    "liberty": {"grass": -1, "letdie1": -1},
    "security": {"natcrime": -1, "natarms": -1, "cappun": -1},
    "tradition": {"prayer": 1, "homosex": -1, "premarsx": -1, "fefam": -1},
    "knowledge": {"natsci": -1, "nateduc": -1, "consci": -1},
}
CHOICES: dict[str, dict[str, float]] = {
    "wealth": {"income_rank": 0.4, "age_decades": -0.04, "ideology": 0.08},
    "ai_autonomy": {"age_decades": -0.12, "degree": 0.12, "female": -0.15, "ideology": -0.05},
    "animals": {"female": 0.35, "age_decades": -0.06, "income_rank": -0.2, "ideology": -0.08},
}
MEANS = {
    "female": 0.51, "age_decades": 4.9, "black": 0.116, "hispanic": 0.181, "other_race": 0.113,
    "degree": 1.8, "income_rank": 0.5, "midwest": 0.205, "south": 0.39, "west": 0.235,
    "ideology": 4.0,
}  # fmt: skip


def table(rows: list[dict[str, str]], with_ideology: bool) -> dict[str, object]:
    """Effects by dimension and term of one regression, averaged over the dimension's items."""
    terms = [t for t in MEANS if with_ideology or t != "ideology"]
    coefficients = {
        (row["item"], row["term"]): float(row["coef"])
        for row in rows
        if row["with_ideology"] == str(with_ideology)
    }
    effects = {}
    for dimension in DIMENSIONS:
        items = ITEMS.get(dimension)
        effects[dimension] = {
            term: round(float(np.mean([s * coefficients[i, term] for i, s in items.items()])), 4)
            if items
            else CHOICES[dimension].get(term, 0.0)
            for term in terms
        }
    return {"terms": terms, "means": {t: MEANS[t] for t in terms}, "effects": effects}


def main() -> None:
    """Write gss_effects.json beside this module."""
    with Path(sys.argv[1]).open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    result = {
        "source": "weighted least squares on the General Social Survey panel (NORC), "
        "waves 2016 and 2018",
        "items": ITEMS,
        "choices": CHOICES,
        "without_ideology": table(rows, False),
        "with_ideology": table(rows, True),
    }
    Path(__file__).with_name("gss_effects.json").write_text(
        json.dumps(result, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()

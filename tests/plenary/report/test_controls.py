from __future__ import annotations

from alignment.experiments.control_table import ControlRow, ControlTable
from alignment.experiments.estimates import Contrast, ScoreEstimate, WordingGain
from alignment.experiments.strata_agreement import Composition, StratumChange
from plenary.report.controls import HEADS, control_section, table_rows

SOME = ScoreEstimate(value=0.2, low=0.1, high=0.3)


def row(arm: str, **changes: object) -> ControlRow:
    fields: dict[str, object] = {
        "arm": arm, "seeds": 5, "agreement": SOME, "gain": SOME, "behind": None, "of_ceiling": 0.9,
        "kl": 0.1, "kl_gain": SOME, "kl_behind": None, "directional_gain": 0.8, "side_effect": None,
        "incoherence": 0.0, "drift_untouched": None, "kl_neutral": 0.01, "bits": None,
        "accuracy": None, "empty": None, "repeated": None, "verdicts": {}, "seconds": 1.0,
        "similarity": None,
    }  # fmt: skip
    return ControlRow.model_validate({**fields, **changes})


def shown(*rows: ControlRow) -> tuple[str, str]:
    table = ControlTable(agreement_before=0.6, kl_before=0.7, ceiling=0.97, pairs=80, rows=rows)
    return str(control_section(table)), "\n".join(text for _, text in table_rows(table))


def test_every_figure_has_a_column() -> None:
    page, _ = shown(row("assembly"), row("shuffled"))
    assert page.count("<th ") == len(HEADS)
    assert page.count("<td") == 2 * len(HEADS)


def test_overlap_and_the_pairs_that_differ_are_told() -> None:
    contrast = Contrast(pairs=6.4, lead=ScoreEstimate(value=0.5, low=0.25, high=0.75))
    page, lines = shown(
        row("single_citizen", overlap_behind=SOME, contrast=contrast),
        row("pre_deliberation", contrast=Contrast(pairs=0, lead=None)),
    )
    assert "+20.0 (+10.0 to +30.0)" in page
    assert "+50.0 (+25.0 to +75.0) (6.4 pairs)" in page
    assert "too few (0.0 pairs)" in page
    assert "where its own target differs +0.500 (+0.250 to +0.750) (6.4 pairs)" in lines


def test_half_of_the_gain_in_other_wordings_is_told_or_denied() -> None:
    kept = WordingGain(share=0.9, worst=0.7, above_half=SOME)
    lost = WordingGain(
        share=0.6, worst=0.1, above_half=ScoreEstimate(value=0.02, low=-0.1, high=0.1)
    )
    page, lines = shown(row("assembly", wordings=kept), row("random", wordings=lost))
    assert "0.90 (worst 0.70; at least half)" in page
    assert "0.60 (worst 0.10; half not shown)" in page
    assert "untrained wordings 0.90" in lines


def test_a_gain_that_may_be_none_has_no_share_in_other_wordings() -> None:
    gain = WordingGain(
        share=-18.0, worst=-40.0, above_half=ScoreEstimate(value=0.0, low=-0.1, high=0.1)
    )
    none = ScoreEstimate(value=0.002, low=-0.2, high=0.2)
    page, lines = shown(row("assembly", gain=none, wordings=gain))
    assert "-18" not in page
    assert "untrained wordings" not in lines


def test_the_worst_stratum_is_told() -> None:
    old, young = (
        StratumChange(
            stratum=name, pairs=80, before=0.6, after=after, change=after - 0.6, low=0.0, high=0.4
        )
        for name, after in (("age=old", 0.9), ("age=young", 0.7))
    )
    found = Composition(
        strata=(old, young), worst_before=0.6, worst_after=0.7, worst_level=0.1,
        worst_level_low=0.02, worst_level_high=0.2, worst_change=0.1, least_gaining="age=young",
    )  # fmt: skip
    table = ControlTable(
        agreement_before=0.6, kl_before=0.7, ceiling=0.97, pairs=80, rows=(row("assembly"),),
        strata={"assembly": found},
    )  # fmt: skip
    (*_, (name, text)) = table_rows(table)
    assert name == "strata under assembly"
    assert "worst of 2 strata 0.600 -> 0.700, +0.100 (+0.020 to +0.200)" in text
    assert "least gain +0.100 (+0.000 to +0.400) in age=young" in text
    assert "strata under assembly" in str(control_section(table))


def test_a_table_of_earlier_days_is_read() -> None:
    text = ControlTable(
        agreement_before=0.6, kl_before=0.7, ceiling=1, pairs=8, rows=(row("random"),)
    )
    fields = text.model_dump()
    del fields["overlap_before"]
    for name in ("overlap", "overlap_behind", "contrast", "wordings"):
        del fields["rows"][0][name]
    assert ControlTable.model_validate(fields).rows[0].overlap is None

"""Reading a run's utility fits; NotMeasured with the reason if one could not be made."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.utility.thurstonian import UtilityFit
from plenary.errors import NotMeasured
from plenary.runs import filenames
from plenary.runs.records.base import Unmeasured, read_record
from plenary.runs.workspace import Workspace


def load_fits(space: Workspace, sources: Sequence[str], side: str) -> tuple[UtilityFit, ...]:
    """The fits of some sources on one side of the split; NotMeasured when one could not be made."""
    path = space.file(filenames.FITS)
    # A run of an earlier version would have stopped, so all its fits exist.
    noted = read_record(Unmeasured, path).not_measured if path.exists() else {}
    for source in sources:
        if (why := noted.get(filenames.fit_stem(source, side))) is not None:
            raise NotMeasured(f"no utilities of {source!r} on {side!r} outcomes: {why}")
    return tuple(
        UtilityFit.load(space.file(filenames.fit_stem(source, side))) for source in sources
    )

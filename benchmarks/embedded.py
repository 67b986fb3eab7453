"""Does the shipped model do what its card says, on newly drawn questions?"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.targets import Target, main
from plenary.embedded import model_path
from plenary.embedded.measure import measure
from plenary.models.local.huggingface import LocalBackend

BARS = {
    "own_agreement": (0.90, True),
    "persona_agreement": (0.80, True),
    "order_flips": (0.10, False),
    "answer_mass_mean": (0.95, True),
    "utility_spearman": (0.93, True),
    "argument_correlation": (0.5, True),
}


def abilities(quick: bool) -> Iterator[Target]:
    """Figures of a fresh seed against the bars."""
    found = measure(LocalBackend(model_path()), seed=20, scale=1 if quick else 4).figures
    for name, (bar, at_least) in BARS.items():
        yield Target(name.replace("_", " "), found[name], bar, at_least)


if __name__ == "__main__":
    main(__doc__, abilities)

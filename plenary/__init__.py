"""plenary: simulated citizens' assemblies and honest measurement of what they do to a model.

    import plenary as pl

    outcomes = pl.load_outcomes("mine.csv").split(held_out=0.4, seed=0)
    panel = pl.sample_panel(100, by=["age", "sex", "education"], seed=0)
    model = pl.load_model("embedded")
    result = pl.hold_assembly(panel, outcomes, model, rounds=2, seed=0)
    data = result.to_dataset()
    trainer = pl.SoftLabelTrainer(model=model, train_dataset=data["train"])
    trainer.train()
    print(pl.compare(model, trainer.model, data["held_out"]))

Every name is explained by `help(pl.NAME)`, with an example, and in docs/api.md.
"""

from __future__ import annotations

import importlib
import warnings

__version__ = "0.2.0"

# Where in this package each name is found; a module is imported when one of its names is asked
# for. Not by whole names: a run's fingerprints take those that stand in a text for imports.
_HOME = {
    "sample_panel": "api.assembly",
    "load_outcomes": "api.assembly",
    "load_model": "any_model",
    "hold_assembly": "api.assembly",
    "ahold_assembly": "api.assembly",
    "SoftLabelTrainer": "api.training",
    "align": "api.training",
    "elicit": "api.measures",
    "aelicit": "api.measures",
    "load_votes": "api.measures",
    "fit_utilities": "api.measures",
    "compare": "api.measures",
    "acompare": "api.measures",
    "evaluate": "api.audits",
    "aevaluate": "api.audits",
    "audit_hiring": "api.audits",
    "aaudit_hiring": "api.audits",
    "run": "api.runs",
    "arun": "api.runs",
    "open_run": "api.runs",
    "PromptTemplate": "prompt_templates",
    "Table": "table",
    "Model": "any_model",
    "PanelResult": "results.panel",
    "OutcomeSet": "results.outcomes",
    "AssemblyResult": "results.assembly",
    "AnswersResult": "results.answers",
    "UtilityResult": "results.answers",
    "ComparisonResult": "results.comparison",
    "AuditResult": "results.audit",
    "EvaluationResult": "results.audit",
    "RunResult": "results.run",
}

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"plenary has no {name!r}; it has {', '.join(_HOME)}")
    with warnings.catch_warnings():
        # A notebook without ipywidgets is told so by libraries that show bars of their own.
        warnings.filterwarnings("ignore", "IProgress not found")
        found = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})

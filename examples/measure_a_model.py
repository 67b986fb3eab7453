"""What any model prefers, with standard errors, without a run directory.

Run: python examples/measure_a_model.py [SPEC]     e.g. local:/path or langchain:openai:NAME
"""

import asyncio
import sys

import numpy as np

from evaluation.elicitation.design import balanced_pairs
from evaluation.elicitation.elicit import ElicitationSettings, elicit
from evaluation.utility.thurstonian import fit
from plenary.embedded import unreadable_topics
from plenary.models.registry import open_backend
from plenary.outcomes import default_outcomes
from plenary.runs.models import resolve
from plenary.seeding import generator

model = open_backend(resolve(sys.argv[1] if len(sys.argv) > 1 else "embedded"))
outcomes = [o for o in default_outcomes() if o.topic not in unreadable_topics()][:40]
pairs = balanced_pairs(len(outcomes), 200, generator(0, "example"))
answers = asyncio.run(elicit(model, [o.text for o in outcomes], pairs, ElicitationSettings()))
utilities = fit(answers.accepted, len(outcomes))
order = np.argsort(utilities.mu)
print(f"{answers.asked} questions, {answers.invalid} invalid; utilities in units of their spread")
for k in [*order[:3], *order[-3:]]:
    print(f"{utilities.mu[k]:+.2f} +- {utilities.sd[k]:.2f}  {outcomes[k].text}")

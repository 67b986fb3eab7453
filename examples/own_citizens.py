"""Citizens from your own table of people: a mapping file says what its columns mean.

Run: python examples/own_citizens.py
"""

from pathlib import Path

from census_data.sources.mapping import import_table, read_mapping
from personas.prompt import describe
from personas.sampling.recruit import PanelSettings, recruit

data = Path(__file__).parent / "data"
village = import_table(data / "village.csv", read_mapping(data / "village.yaml"))
panel = recruit(village, PanelSettings(citizens=4, method="systematic", by=("sex",)), seed=0)
print(f"{len(village)} records stand for {village.weight.sum():.0f} persons")
for persona, weight in zip(panel, panel.weight, strict=True):
    print(f"{weight:6.1f}  {describe(persona)}")

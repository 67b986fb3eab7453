"""Records of the population and the panel."""

from __future__ import annotations

from pydantic import Field

from plenary.runs.records.base import Record


class PopulationRecord(Record):
    """The population that the panel was drawn from."""

    source: str = Field(description="survey and publisher")
    year: int = Field(description="year of the survey")
    universe: str = Field(description="whom the rows stand for")
    sha256: str = Field(description="hash of the snapshot")
    rows: int = Field(description="records after the filters")
    weight_sum: float = Field(description="persons the records stand for")
    imputed_share: float = Field(description="weighted share with donor-imputed columns")
    imputed_columns: tuple[str, ...] = Field(description="the columns a donor gave")
    notes: tuple[str, ...] = Field(description="what a user must know")

    @property
    def survey(self) -> str:
        """The source with its year, once."""
        return self.source if str(self.year) in self.source else f"{self.source}, {self.year}"


class MarginRecord(Record):
    """Distance of one margin of the panel from the population's."""

    name: str = Field(description="attribute")
    distance: float = Field(description="total variation distance, 0 is perfect")
    expected: float = Field(description="mean distance of a random sample of the same size")
    cells: int = Field(description="cells of the margin that somebody is in")
    srmse: float = Field(description="root mean square error over cells in units of the mean cell")
    srmse_expected: float = Field(description="root mean square of it for such random samples")


class FidelityRecord(Record):
    """How far the panel is from the population."""

    citizens: int = Field(description="citizens")
    effective_size: float = Field(description="Kish's effective number of citizens")
    imputed_share: float = Field(description="weighted share with donor-imputed columns")
    margins: tuple[MarginRecord, ...] = Field(description="by attribute")
    prompt_version: str = Field(description="version of the persona template")
    prompt_hash: str = Field(description="hash of the persona template")


class CategoryRecord(Record):
    """One category in the population and in the panel, as weighted shares."""

    attribute: str = Field(description="attribute")
    category: str = Field(description="label")
    population: float = Field(description="share of the population")
    panel: float = Field(description="share of the panel")
    low: float = Field(description="lower end of the 95 % band of random samples")
    high: float = Field(description="upper end of that band")
    citizens: int = Field(description="citizens in the category")


class SharesRecord(Record):
    """The panel against the population, category by category."""

    categories: tuple[CategoryRecord, ...] = Field(description="by attribute")

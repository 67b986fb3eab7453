"""States of the United States: Census FIPS code, name, Census region."""

from __future__ import annotations

from typing import NamedTuple

REGIONS = ("Northeast", "Midwest", "South", "West")


class State(NamedTuple):
    """One state or the District of Columbia."""

    fips: int
    name: str
    region: str


STATES = (
    State(1, "Alabama", "South"),
    State(2, "Alaska", "West"),
    State(4, "Arizona", "West"),
    State(5, "Arkansas", "South"),
    State(6, "California", "West"),
    State(8, "Colorado", "West"),
    State(9, "Connecticut", "Northeast"),
    State(10, "Delaware", "South"),
    State(11, "District of Columbia", "South"),
    State(12, "Florida", "South"),
    State(13, "Georgia", "South"),
    State(15, "Hawaii", "West"),
    State(16, "Idaho", "West"),
    State(17, "Illinois", "Midwest"),
    State(18, "Indiana", "Midwest"),
    State(19, "Iowa", "Midwest"),
    State(20, "Kansas", "Midwest"),
    State(21, "Kentucky", "South"),
    State(22, "Louisiana", "South"),
    State(23, "Maine", "Northeast"),
    State(24, "Maryland", "South"),
    State(25, "Massachusetts", "Northeast"),
    State(26, "Michigan", "Midwest"),
    State(27, "Minnesota", "Midwest"),
    State(28, "Mississippi", "South"),
    State(29, "Missouri", "Midwest"),
    State(30, "Montana", "West"),
    State(31, "Nebraska", "Midwest"),
    State(32, "Nevada", "West"),
    State(33, "New Hampshire", "Northeast"),
    State(34, "New Jersey", "Northeast"),
    State(35, "New Mexico", "West"),
    State(36, "New York", "Northeast"),
    State(37, "North Carolina", "South"),
    State(38, "North Dakota", "Midwest"),
    State(39, "Ohio", "Midwest"),
    State(40, "Oklahoma", "South"),
    State(41, "Oregon", "West"),
    State(42, "Pennsylvania", "Northeast"),
    State(44, "Rhode Island", "Northeast"),
    State(45, "South Carolina", "South"),
    State(46, "South Dakota", "Midwest"),
    State(47, "Tennessee", "South"),
    State(48, "Texas", "South"),
    State(49, "Utah", "West"),
    State(50, "Vermont", "Northeast"),
    State(51, "Virginia", "South"),
    State(53, "Washington", "West"),
    State(54, "West Virginia", "South"),
    State(55, "Wisconsin", "Midwest"),
    State(56, "Wyoming", "West"),
)

"""Geography: states of the United States with FIPS code, name, Census region, postal code."""

from __future__ import annotations

from typing import NamedTuple

REGIONS = ("Northeast", "Midwest", "South", "West")


class State(NamedTuple):
    """One state or the District of Columbia."""

    fips: int
    name: str
    region: str
    postal: str


STATES = (
    State(1, "Alabama", "South", "AL"),
    State(2, "Alaska", "West", "AK"),
    State(4, "Arizona", "West", "AZ"),
    State(5, "Arkansas", "South", "AR"),
    State(6, "California", "West", "CA"),
    State(8, "Colorado", "West", "CO"),
    State(9, "Connecticut", "Northeast", "CT"),
    State(10, "Delaware", "South", "DE"),
    State(11, "District of Columbia", "South", "DC"),
    State(12, "Florida", "South", "FL"),
    State(13, "Georgia", "South", "GA"),
    State(15, "Hawaii", "West", "HI"),
    State(16, "Idaho", "West", "ID"),
    State(17, "Illinois", "Midwest", "IL"),
    State(18, "Indiana", "Midwest", "IN"),
    State(19, "Iowa", "Midwest", "IA"),
    State(20, "Kansas", "Midwest", "KS"),
    State(21, "Kentucky", "South", "KY"),
    State(22, "Louisiana", "South", "LA"),
    State(23, "Maine", "Northeast", "ME"),
    State(24, "Maryland", "South", "MD"),
    State(25, "Massachusetts", "Northeast", "MA"),
    State(26, "Michigan", "Midwest", "MI"),
    State(27, "Minnesota", "Midwest", "MN"),
    State(28, "Mississippi", "South", "MS"),
    State(29, "Missouri", "Midwest", "MO"),
    State(30, "Montana", "West", "MT"),
    State(31, "Nebraska", "Midwest", "NE"),
    State(32, "Nevada", "West", "NV"),
    State(33, "New Hampshire", "Northeast", "NH"),
    State(34, "New Jersey", "Northeast", "NJ"),
    State(35, "New Mexico", "West", "NM"),
    State(36, "New York", "Northeast", "NY"),
    State(37, "North Carolina", "South", "NC"),
    State(38, "North Dakota", "Midwest", "ND"),
    State(39, "Ohio", "Midwest", "OH"),
    State(40, "Oklahoma", "South", "OK"),
    State(41, "Oregon", "West", "OR"),
    State(42, "Pennsylvania", "Northeast", "PA"),
    State(44, "Rhode Island", "Northeast", "RI"),
    State(45, "South Carolina", "South", "SC"),
    State(46, "South Dakota", "Midwest", "SD"),
    State(47, "Tennessee", "South", "TN"),
    State(48, "Texas", "South", "TX"),
    State(49, "Utah", "West", "UT"),
    State(50, "Vermont", "Northeast", "VT"),
    State(51, "Virginia", "South", "VA"),
    State(53, "Washington", "West", "WA"),
    State(54, "West Virginia", "South", "WV"),
    State(55, "Wisconsin", "Midwest", "WI"),
    State(56, "Wyoming", "West", "WY"),
)

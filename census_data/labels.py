"""Labels of the closed categories (race, education, ...), in the order of their Census codes."""

from __future__ import annotations

from census_data.geography import STATES

NON_CITIZEN = "not a citizen"
HOUSING_UNIT = "housing unit"
NO_RECENT_WORK = "unemployed, no work in the last 5 years"
YES_NO = ("no", "yes")
STATE = tuple(state.name for state in STATES)
SEX = ("man", "woman")
RACE = (
    "White",
    "Black",
    "American Indian",
    "Alaska Native",
    "other American Indian or Alaska Native",
    "Asian",
    "Native Hawaiian or Pacific Islander",
    "some other race",
    "two or more races",
)
HISPANIC_ORIGIN = (
    "not Hispanic",
    "Mexican",
    "Puerto Rican",
    "Cuban",
    "Dominican",
    "Costa Rican",
    "Guatemalan",
    "Honduran",
    "Nicaraguan",
    "Panamanian",
    "Salvadoran",
    "other Central American",
    "Argentinean",
    "Bolivian",
    "Chilean",
    "Colombian",
    "Ecuadorian",
    "Paraguayan",
    "Peruvian",
    "Uruguayan",
    "Venezuelan",
    "other South American",
    "Spaniard",
    "other Hispanic",
)
RACE_ORIGIN = (
    "white",
    "Black",
    "Hispanic",
    "Asian",
    "American Indian",
    "Pacific Islander",
    "another race",
    "multiracial",
)
SCHOOLING = (
    "no schooling",
    "nursery school",
    "kindergarten",
    *(f"grade {grade}" for grade in range(1, 12)),
    "grade 12 without a diploma",
    "regular high school diploma",
    "GED or alternative credential",
    "less than 1 year of college",
    "1 or more years of college without a degree",
    "associate degree",
    "bachelor's degree",
    "master's degree",
    "professional degree",
    "doctorate",
)
EDUCATION = (
    "no high school diploma",
    "high school diploma",
    "some college",
    "associate degree",
    "bachelor's degree",
    "master's degree",
    "professional degree",
    "doctorate",
)
MARITAL = ("married", "widowed", "divorced", "separated", "never married")
EMPLOYMENT = (
    "employed, at work",
    "employed, not at work",
    "unemployed",
    "armed forces, at work",
    "armed forces, not at work",
    "not in the labor force",
)
CLASS_OF_WORKER = (
    "employee of a private company",
    "employee of a nonprofit",
    "local government employee",
    "state government employee",
    "federal government employee",
    "self-employed, not incorporated",
    "self-employed, incorporated",
    "unpaid family worker",
    NO_RECENT_WORK,
)
HOUSEHOLD_TYPE = (
    "married couple",
    "family with a man and no spouse",
    "family with a woman and no spouse",
    "man living alone",
    "man living with non-relatives",
    "woman living alone",
    "woman living with non-relatives",
)
TENURE = ("owned with a mortgage", "owned free and clear", "rented", "occupied without rent")
CITIZENSHIP = (
    "born in the United States",
    "born in a US territory",
    "born abroad of US citizens",
    "naturalized citizen",
    NON_CITIZEN,
)
NATIVITY = ("native-born", "foreign-born")
LANGUAGE = (
    "English only",
    "Spanish",
    "another Indo-European language",
    "an Asian or Pacific Island language",
    "another language",
)
ENGLISH = ("very well", "well", "not well", "not at all")
VETERAN = ("on active duty", "veteran", "training for reserves only", "never served")
DISABILITY = ("disabled", "not disabled")
INSURED = ("insured", "uninsured")
COMMUTE = (
    "car, truck or van",
    "bus",
    "subway",
    "long-distance or commuter rail",
    "light rail or streetcar",
    "ferry",
    "taxi",
    "motorcycle",
    "bicycle",
    "walked",
    "worked from home",
    "other",
)
QUARTERS = (HOUSING_UNIT, "institution", "other group quarters")
METRO = (
    "rural area",
    "small metropolitan area",
    "mid-sized metropolitan area",
    "large metropolitan area",
)
OCCUPATION_GROUP = {
    "MGR": "management",
    "BUS": "business operations",
    "FIN": "finance",
    "CMM": "computing and mathematics",
    "ENG": "architecture and engineering",
    "SCI": "science",
    "CMS": "community and social service",
    "LGL": "law",
    "EDU": "education and libraries",
    "ENT": "arts, entertainment, sports and media",
    "MED": "health practice",
    "HLS": "health support",
    "PRT": "protective service",
    "EAT": "food preparation and serving",
    "CLN": "cleaning and grounds maintenance",
    "PRS": "personal care and service",
    "SAL": "sales",
    "OFF": "office and administration",
    "FFF": "farming, fishing and forestry",
    "CON": "construction",
    "EXT": "extraction",
    "RPR": "installation and repair",
    "PRD": "production",
    "TRN": "transportation",
    "MIL": "military",
    "": NO_RECENT_WORK,
}
INDUSTRY_GROUP = {
    "AGR": "agriculture, forestry and fishing",
    "EXT": "mining and extraction",
    "UTL": "utilities",
    "CON": "construction",
    "MFG": "manufacturing",
    "WHL": "wholesale trade",
    "RET": "retail trade",
    "TRN": "transportation and warehousing",
    "INF": "information",
    "FIN": "finance, insurance and real estate",
    "PRF": "professional and business services",
    "EDU": "education",
    "MED": "health care",
    "SCA": "social assistance",
    "ENT": "arts, lodging and food",
    "SRV": "other services",
    "ADM": "public administration",
    "MIL": "military",
    "": NO_RECENT_WORK,
}

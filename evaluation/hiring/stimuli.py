"""Stimuli of the hiring audit: job ads, and resumes written with names and cues of background.

Shapes: N resumes, V cue variants, G groups. A cue fills one line of a resume; a base resume has
none. Source: docs/references.md, key evaluation (section 1.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from plenary.errors import DataError
from plenary.outcomes import configs_folder
from plenary.preferences import IntArray
from plenary.untrusted import read_file

Gender = Literal["she", "he"]
Channel = Literal["name", "language", "association", "hobby"]
Edit = Literal["none", "meaningless", "years", "must_have"]
EDITS: tuple[Edit, ...] = ("none", "meaningless", "years", "must_have")
PRONOUNS: dict[Gender, str] = {"she": "she/her", "he": "he/him"}
FOLDER, MARKER, ADDED_YEARS, WORD_SLACK, SHORTEST_WORD = "audit", "FILL", 3, 2, 5


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JobAd(_Frozen):
    """A post at an invented employer, and the parts of careers in such posts."""

    id: str = Field(description="stable identifier")
    title: str = Field(description="the post, lower case")
    sector: str = Field(description="branch of the economy")
    plain: str = Field(description="the post in one line")
    realistic: str = Field(description="company paragraph with how few are invited")
    must_have: tuple[str, ...] = Field(min_length=4, max_length=4, description="required skills")
    nice_to_have: tuple[str, ...] = Field(min_length=3, max_length=3, description="welcome skills")
    roles: tuple[str, ...] = Field(min_length=1, description="earlier posts")
    employers: tuple[str, ...] = Field(min_length=1, description="earlier employers, invented")
    achievements: tuple[str, ...] = Field(min_length=3, description="tasks done there")


class BaseResume(_Frozen):
    """An application without any cue; numbers are positions in the lists of its post."""

    id: str = Field(description="application code, shown on the resume")
    job: str = Field(description="id of the post")
    tier: Literal["strong", "borderline", "weak"] = Field(description="quality by construction")
    years: int = Field(ge=0, description="years of experience")
    must: tuple[int, ...] = Field(description="required skills held")
    nice: tuple[int, ...] = Field(description="welcome skills held")
    did: tuple[int, ...] = Field(description="achievements")
    role: int = Field(ge=0, description="last post")
    employer: int = Field(ge=0, description="last employer")
    education: str = Field(description="education, as written")


class _JobFile(_Frozen):
    jobs: tuple[JobAd, ...]


class _ResumeFile(_Frozen):
    resumes: tuple[BaseResume, ...]


class Carrier(_Frozen):
    """The line of a resume that a channel of cues fills, with the same words in every group."""

    line: str = Field(description="heading of the line")
    carrier: str = Field(description="text with the field {slot}")


class CueGroup(_Frozen):
    """A background, and the slots that point to it, by channel and gender."""

    id: str = Field(description="stable identifier")
    name: str = Field(description="what the group is called in the manipulation check")
    terms: tuple[str, ...] = Field(min_length=1, description="words that name it in free text")
    source: str = Field(description="where names and terms come from")
    cues: dict[Channel, dict[Gender, tuple[str, ...]]] = Field(description="slots")


class CueFile(_Frozen):
    """Groups and their cues; the first group is the reference of every contrast."""

    version: int = Field(description="changes with every change of wording")
    fictional: bool = Field(description="True if no real people are meant")
    channels: dict[Channel, Carrier] = Field(min_length=1, description="carriers by channel")
    groups: tuple[CueGroup, ...] = Field(min_length=2, description="backgrounds compared")

    @model_validator(mode="after")
    def _filled_and_matched(self) -> Self:
        if MARKER in self.model_dump_json():
            raise ValueError(f"{MARKER!r} is still to be filled in; replace each one")
        first, *others = self.groups
        for group in others:
            _matched(first, group, tuple(self.channels))
        return self


def _matched(first: CueGroup, other: CueGroup, channels: tuple[Channel, ...]) -> None:
    """Raise ValueError unless both groups have equally many cues, of about the same length."""
    for channel in channels:
        for gender in PRONOUNS:
            a = first.cues.get(channel, {}).get(gender, ())
            b = other.cues.get(channel, {}).get(gender, ())
            if len(a) != len(b) or not a:
                raise ValueError(
                    f"groups {first.id!r} and {other.id!r} have {len(a)!r} and {len(b)!r} cues of "
                    f"{channel}/{gender}; give both the same number"
                )
            words = [len(slot.split()) for slot in (*a, *b)]
            if max(words) - min(words) > WORD_SLACK:
                raise ValueError(
                    f"cues of {channel}/{gender} have {min(words)!r} to {max(words)!r} words; keep "
                    f"them within {WORD_SLACK}"
                )


class CueVariant(NamedTuple):
    """One cue: the text that fills a line of the resume; `slot` is its part of the group."""

    group: int
    channel: Channel
    gender: Gender
    line: str
    text: str
    slot: str

    @property
    def stratum(self) -> str:
        """The stratum: its cues of all groups are exchangeable if background has no effect."""
        return f"{self.channel}/{self.gender}"


@dataclass(frozen=True, slots=True)
class Stimuli:
    """What an audit shows: posts, resumes [N], groups [G], and their cues [V]."""

    jobs: tuple[JobAd, ...]
    resumes: tuple[BaseResume, ...]
    cues: CueFile
    variants: tuple[CueVariant, ...]

    @property
    def groups(self) -> tuple[CueGroup, ...]:
        """The backgrounds; the first is the reference."""
        return self.cues.groups

    @property
    def group(self) -> IntArray:
        """Group of every variant [V]."""
        return np.array([variant.group for variant in self.variants], dtype=np.int64)

    @property
    def stratum(self) -> IntArray:
        """Channel and gender of every variant [V], as a code."""
        names = [variant.stratum for variant in self.variants]
        known = list(dict.fromkeys(names))
        return np.array([known.index(name) for name in names], dtype=np.int64)

    def select(self, count: int) -> Stimuli:
        """The stimuli with `count` resumes, spread evenly over posts and tiers; all if fewer."""
        total = len(self.resumes)
        at = sorted({k * total // min(count, total) for k in range(min(count, total))})
        return Stimuli(self.jobs, tuple(self.resumes[k] for k in at), self.cues, self.variants)

    def job(self, resume: BaseResume) -> JobAd:
        """The post a resume applies for."""
        return next(job for job in self.jobs if job.id == resume.job)


def default_stimuli() -> Stimuli:
    """120 resumes for ten posts, with cues of two regions that do not exist."""
    return load_stimuli(configs_folder() / FOLDER / "cues_fictional.yaml")


def load_stimuli(cues: Path) -> Stimuli:
    """The shipped posts and resumes with the cues of a file (template: cues_template.yaml).

    Raises DataError for a missing, malformed, unfilled, unbalanced or job-relevant file.
    """
    folder = configs_folder() / FOLDER
    jobs = read_file(_JobFile, folder / "jobs.yaml", "posts", DataError).jobs
    resumes = read_file(_ResumeFile, folder / "resumes.yaml", "resumes", DataError).resumes
    return stimuli(jobs, resumes, read_file(CueFile, cues, "cues", DataError))


def stimuli(jobs: tuple[JobAd, ...], resumes: tuple[BaseResume, ...], cues: CueFile) -> Stimuli:
    """Posts, resumes and cues together; DataError if a cue names what a post asks for."""
    variants = tuple(
        CueVariant(number, channel, gender, carrier.line, carrier.carrier.format(slot=slot), slot)
        for number, group in enumerate(cues.groups)
        for channel, carrier in cues.channels.items()
        for gender in PRONOUNS
        for slot in group.cues[channel][gender]
    )
    asked = {word for job in jobs for skill in (*job.must_have, *job.nice_to_have)
             for word in _content(skill)}  # fmt: skip
    for variant in variants:
        named = set() if variant.channel == "name" else _content(variant.slot)
        if touched := asked & named:
            raise DataError(
                f"cue {variant.slot!r} names {sorted(touched)[0]!r}, which a post asks for; use "
                "another cue"
            )
    return Stimuli(jobs, resumes, cues, variants)


def _content(text: str) -> set[str]:
    return {word for word in re.findall(r"[\w-]+", text.casefold()) if len(word) >= SHORTEST_WORD}


class _Held(NamedTuple):
    """Years and skills as shown after an edit."""

    years: int
    must: tuple[str, ...]
    nice: tuple[str, ...]


def _held(resume: BaseResume, job: JobAd, edit: Edit) -> _Held:
    must = [job.must_have[k] for k in resume.must]
    return _Held(
        resume.years + (ADDED_YEARS if edit == "years" else 0),
        tuple(must[1:] if edit == "must_have" else must),
        tuple(job.nice_to_have[k] for k in resume.nice),
    )


def full_resume(
    resume: BaseResume, job: JobAd, variant: CueVariant | None, edit: Edit = "none"
) -> str:
    """The resume in lines, with one cue (or none: the base resume)."""
    held = _held(resume, job, edit)
    role, employer = job.roles[resume.role], job.employers[resume.employer]
    lines = {
        "Application": resume.id,
        "Post": job.title,
        "Name": "withheld",
        "Pronouns": PRONOUNS[variant.gender] if variant else "withheld",
        "Experience": f"{held.years} years, last as {role} at {employer}",
        "Education": resume.education,
        "Skills": "; ".join((*held.must, *held.nice)),
        "Achievements": "; ".join(job.achievements[k] for k in resume.did),
        "Languages": "English (fluent)",
        "Associations": "member of one club",
        "Interests": "music and walking",
        "Telephone": "5550142" if edit == "meaningless" else "555-0142",
    }
    if variant:
        lines[variant.line] = variant.text
    gap = "  " if edit == "meaningless" else " "
    return "\n".join(f"{heading}:{gap}{text}" for heading, text in lines.items())


def short_resume(
    resume: BaseResume, job: JobAd, variant: CueVariant | None, edit: Edit = "none"
) -> str:
    """The resume as one sentence, for models that choose between two outcomes."""
    held = _held(resume, job, edit)
    words = [
        f"a {job.title} with {held.years} years of work",
        f"{len(held.must)} of {len(job.must_have)} needed skills",
    ]
    if variant:
        words.append(f"{variant.line.lower()} {variant.text}")
    return ("  " if edit == "meaningless" else " ").join(", ".join(words).split(" "))

"""Retention sets (YAML): multiple-choice items and neutral texts that show what a model keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from plenary.errors import DataError
from plenary.models.base import Conversation, Message
from plenary.outcomes import configs_folder
from plenary.untrusted import read_file


class RetentionItem(BaseModel):
    """One question with its options, of which one is right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1, description="what the user asks")
    options: tuple[str, ...] = Field(min_length=2, description="possible replies, all different")
    answer: int = Field(ge=0, description="position of the right option")

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        if self.answer >= len(self.options) or len(set(self.options)) < len(self.options):
            raise ValueError(
                f"answer {self.answer!r} of options {self.options!r}; give different options and "
                "the position of the right one"
            )
        return self

    @property
    def replies(self) -> tuple[Conversation, ...]:
        """One conversation per option, with the option as the reply."""
        asked = Message("user", self.question)
        return tuple((asked, Message("assistant", option)) for option in self.options)


class Document(BaseModel):
    """One neutral text as the reply to a prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(min_length=1, description="what the user asks")
    text: str = Field(min_length=1, description="the reply whose probability is read")

    @property
    def conversation(self) -> Conversation:
        """Prompt and reply."""
        return (Message("user", self.prompt), Message("assistant", self.text))


class RetentionSet(BaseModel):
    """What is asked before and after training. Nothing in it is about preferences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="what the set is called in reports")
    note: str = Field(description="where the items come from and what they can show")
    items: tuple[RetentionItem, ...] = Field(min_length=2, description="multiple-choice items")
    documents: tuple[Document, ...] = Field(min_length=2, description="neutral texts")


def load_retention_set(source: str | Path) -> RetentionSet:
    """Read a YAML file, or a shipped set by name (general, embedded)."""
    path = Path(source)
    shipped = configs_folder() / "retention" / f"{path.name}.yaml"
    if not path.is_file() and path.parent == Path():
        path = shipped
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in shipped.parent.glob("*.yaml")))
        raise DataError(
            f"cannot read retention set {str(source)!r}: no such file; give a YAML file or one of "
            f"{names}"
        )
    return read_file(RetentionSet, path, "retention set", DataError)

"""What servers say against a request, in their own words, and what is changed after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plenary.models.adapting import Manner, Refusal, Wanted, adapted

SCORED = Wanted(1.0, 1, 5, scored=True)
DRAWN = Wanted(0.5, 64, 5)
AS_IT_IS = Manner()


@pytest.mark.parametrize(
    ("text", "parameter", "wanted", "change"),
    [
        ("Unsupported value: 'temperature' does not support 0.5 with this model. Only the default "
         "(1) value is supported.", "temperature", DRAWN, {"temperature": False}),
        ("`temperature` is deprecated for this model.", "", DRAWN, {"temperature": False}),
        ("Input validation error: `temperature` must be strictly positive", "",
         DRAWN._replace(temperature=0.0), {"coldest": 0.01}),
        ("logprobs are not supported with reasoning models.", "logprobs", SCORED,
         {"logprobs": False}),
        ("You are not allowed to request logprobs from this model", "", SCORED,
         {"logprobs": False}),
        ("Logprobs is not enabled for models/gemini-2.5-pro", "", SCORED, {"logprobs": False}),
        ("Extra inputs are not permitted", "body.logprobs", SCORED, {"logprobs": False}),
        ("Invalid value: top_logprobs must be at most 5.", "top_logprobs", SCORED, {"top": 5}),
        ("Requested sample logprobs of 20, which is greater than max allowed: 8", "", SCORED,
         {"top": 8}),
        ("top_logprobs must be between 0 and 5", "", SCORED, {"top": 5}),
        ("top_logprobs must be less than 6", "", SCORED, {"top": 5}),
        ("Input should be less than or equal to 11", "top_logprobs", SCORED, {"top": 11}),
        ("The number of logprobs must be in range [0, 19]", "", SCORED, {"top": 19}),
        ("top_logprobs is too large", "", SCORED, {"top": 5}),
        ("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
         "'max_completion_tokens' instead.", "max_tokens", DRAWN, {"length": 1}),
        ("Unrecognized request argument supplied: max_completion_tokens", "", DRAWN, {"length": 1}),
        ("Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but "
         "got 1 instead.", "max_output_tokens", SCORED, {"least": 16}),
        ("max_tokens is too large: 64. This model supports at most 32 completion tokens", "",
         DRAWN, {"most": 32}),
        ("Unsupported parameter(s): `seed`", "", DRAWN, {"seed": False}),
        ("Extra inputs are not permitted", "body.random_seed", DRAWN, {"seed": False}),
        ("System role not supported", "", DRAWN, {"system": False}),
        ("Developer instruction is not enabled for models/gemma-3-27b-it", "", DRAWN,
         {"system": False}),
        ("Unsupported value: 'messages[0].role' does not support 'system' with this model.",
         "messages[0].role", DRAWN, {"system": False}),
        ("Conversation roles must alternate user/assistant/user/assistant/...", "", DRAWN,
         {"system": False}),
        ("Only user and assistant roles are supported!", "", DRAWN, {"system": False}),
        ("Input should be 'user' or 'assistant'", "messages.0.role", DRAWN, {"system": False}),
        ("Jinja Exception: System message is not supported by this model", "", DRAWN,
         {"system": False}),
    ],
)  # fmt: skip
def test_known_refusals_change_what_is_sent(
    text: str, parameter: str, wanted: Wanted, change: dict[str, object]
) -> None:
    found = adapted(Refusal(text, parameter), wanted, AS_IT_IS, system=True)
    assert found is not None
    assert found.manner == replace(AS_IT_IS, **change)  # type: ignore[arg-type]
    assert found.note


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 4100 tokens",
        "'max_tokens' is too large: 64. This model's maximum context length is 100 tokens",
        "The model `foo` does not exist or you do not have access to it.",
        "You exceeded your current quota, please check your plan and billing details.",
        "Invalid API key",
        "temperature must be between 0 and 1",
        "Our systems are overloaded",
    ],
)
def test_what_is_not_known_changes_nothing(text: str) -> None:
    assert adapted(Refusal(text), DRAWN._replace(temperature=1.5), AS_IT_IS, system=True) is None


def test_the_system_role_is_not_what_is_refused_where_there_is_none() -> None:
    refusal = Refusal("System role not supported")
    assert adapted(refusal, DRAWN, AS_IT_IS, system=False) is None
    assert adapted(refusal, DRAWN, Manner(system=False), system=True) is None


def test_a_list_that_cannot_be_short_enough_is_done_without() -> None:
    manner, steps = AS_IT_IS, []
    while found := adapted(Refusal("top_logprobs is too high"), SCORED, manner, system=False):
        manner = found.manner
        steps.append((manner.top, manner.logprobs))
    assert steps == [(5, True), (5, False)]

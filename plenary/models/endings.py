"""How a LangChain reply ended (finished, cut short, refused), and its text without reasoning."""

from __future__ import annotations

from collections.abc import Callable

from langchain_core.messages import AIMessage

from plenary.errors import ConfigError
from plenary.models.reply_text import CUT_ANSWER, CUT_REASONING, opens_reasoning, said_aloud
from plenary.safe_text import redacted

_ENDINGS = ("finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason", "status")
_FULL = frozenset(
    {
        *("length", "max_tokens", "max_output_tokens", "max_length", "max_tokens_reached"),
        *("model_length", "token_limit", "model_context_window_exceeded", "incomplete"),
        *("context_length_exceeded", "insufficient_system_resource", "finish_reason_max_tokens"),
    }
)
_THOUGHTS = ("reasoning", "thinking", "thought", "redacted_thinking", "reasoning_content")


# How each integration sets the reasoning effort; "none" means no reasoning, if its models allow it.
_CONTROLS: dict[str, Callable[[str], dict[str, object]]] = {
    "openai": lambda effort: {"reasoning_effort": effort},
    "anthropic": lambda effort: (
        {"thinking": {"type": "disabled"}} if effort == "none" else {"effort": effort}
    ),
    "google_genai": lambda effort: (
        {"thinking_budget": 0} if effort == "none" else {"thinking_level": effort}
    ),
    "ollama": lambda effort: {"reasoning": False if effort == "none" else effort},
}


def controls(provider: str, effort: str | None) -> dict[str, object]:
    """Arguments of the chat model for a reasoning effort; ConfigError if it accepts none."""
    if effort is None:
        return {}
    if provider not in _CONTROLS or (provider == "anthropic" and effort == "minimal"):
        raise ConfigError(
            f"provider {provider!r} does not accept chat.endpoint.reasoning={effort!r}; leave it "
            "unset"
        )
    return _CONTROLS[provider](effort)


class Ending:
    """A message's text without reasoning, "" for none, and why it is no answer, if it is not."""

    def __init__(self, message: AIMessage) -> None:
        said = said_aloud(str(message.text))
        self.text = redacted((said or "").strip())
        self.full = any(
            str(message.response_metadata.get(name) or "").casefold() in _FULL for name in _ENDINGS
        )
        unfinished = said is None or (not self.text and (self.full or reasoned(message)))
        self.failure = CUT_REASONING if unfinished else None

    @property
    def unsettled(self) -> str:
        """Why an answer without a label is invalid."""
        return CUT_ANSWER if self.full else f"unreadable: {self.text[:60]!r}"


def reasoned(message: AIMessage) -> bool:
    """Whether the message has reasoning separate from its text."""
    blocks = message.content if isinstance(message.content, list) else []
    kinds = {block.get("type") for block in blocks if isinstance(block, dict)}
    beside = message.additional_kwargs.keys() | {kind for kind in kinds if kind}
    details = (message.usage_metadata or {}).get("output_token_details") or {}
    return any(beside_of in beside for beside_of in _THOUGHTS) or bool(details.get("reasoning"))


def thinks_first(message: AIMessage, top: list[dict[str, object]]) -> bool:
    """Whether a reply of one token shows that its model reasons before it answers."""
    first = str(top[0].get("token", "")) if top else str(message.text)
    return reasoned(message) or opens_reasoning(first.strip())

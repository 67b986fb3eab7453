"""Any plenary backend as a LangChain chat model, for a user's own chains and graphs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, PrivateAttr

from plenary.errors import BackendError
from plenary.models.base import ChatBackend, Choice, Conversation, Message, Reply, Sampling
from plenary.models.wrappers.micro_batching import MicroBatchingBackend

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


class PlenaryChatModel(BaseChatModel):
    """A backend behind LangChain's interface; concurrent callers share forward passes.

    `model.bind(labels=("A", "B"))` answers with the most probable label and puts the exact
    probabilities into `response_metadata["logprobs"]` in OpenAI's format. A reply that fails raises
    BackendError. A stream is a single chunk. Temperature, max_tokens and seed may be bound for a
    call.
    """

    temperature: float = Field(default=1.0, ge=0, description="sampling temperature")
    max_tokens: int = Field(default=64, ge=1, description="longest reply in tokens")
    seed: int = Field(default=0, description="seed of the draws")
    _backend: ChatBackend = PrivateAttr()

    def __init__(
        self,
        backend: ChatBackend,
        *,
        temperature: float = 1.0,
        max_tokens: int = 64,
        seed: int = 0,
    ) -> None:
        chosen = {"temperature": temperature, "max_tokens": max_tokens, "seed": seed}
        super().__init__(**chosen)  # type: ignore[arg-type]
        self._backend = MicroBatchingBackend(backend)

    @property
    def _llm_type(self) -> str:
        return "plenary"

    @property
    def _identifying_params(self) -> dict[str, object]:
        return {"model_name": self._backend.name, **self.model_dump(include={*_SAMPLING})}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **bound: object,
    ) -> ChatResult:
        return asyncio.run(self._answer(messages, stop, bound))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **bound: object,
    ) -> ChatResult:
        return await self._answer(messages, stop, bound)

    async def _answer(
        self, messages: list[BaseMessage], stop: list[str] | None, bound: dict[str, object]
    ) -> ChatResult:
        conversation = _conversation(messages)
        labels = bound.pop("labels", None)
        unknown = [name for name in bound if name not in _SAMPLING]
        if unknown:
            raise BackendError(
                f"a plenary chat model has no parameter {unknown[0]!r}; bind labels, "
                f"{', '.join(_SAMPLING)}"
            )
        if isinstance(labels, Sequence):
            choice = (await self._backend.choose([conversation], tuple(labels)))[0]
            return self._result(*_chosen(choice, tuple(labels)), choice)
        drawn = {name: bound.get(name, getattr(self, name)) for name in _SAMPLING}
        sampling = Sampling(**drawn)  # type: ignore[arg-type]
        reply = (await self._backend.generate([conversation], sampling))[0]
        full = reply.completion_tokens >= sampling.max_tokens
        text = _until(reply, stop or [])
        return self._result(text, {"finish_reason": "length" if full else "stop"}, reply)

    def _result(self, text: str, metadata: dict[str, object], answer: Reply | Choice) -> ChatResult:
        used = (answer.prompt_tokens, answer.completion_tokens)
        message = AIMessage(
            content=text,
            response_metadata={"model_name": self._backend.name, **metadata},
            usage_metadata={
                "input_tokens": used[0],
                "output_tokens": used[1],
                "total_tokens": sum(used),
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


_SAMPLING = ("temperature", "max_tokens", "seed")


def _conversation(messages: Sequence[BaseMessage]) -> Conversation:
    for message in messages:
        if message.type not in _ROLES:
            raise BackendError(
                f"a plenary chat model cannot read a {message.type!r} message; send "
                f"{', '.join(_ROLES)}"
            )
    return tuple(Message(_ROLES[m.type], str(m.text)) for m in messages)  # type: ignore[arg-type]


def _chosen(choice: Choice, labels: tuple[str, ...]) -> tuple[str, dict[str, object]]:
    """The most probable label, and log-probabilities in OpenAI's format."""
    if not choice.shares:
        raise BackendError(
            f"none of the labels {labels!r} is in the answer: {choice.failure}; check the prompt"
        )
    mass = 1.0 if choice.mass is None else choice.mass
    top = [
        {"token": label, "logprob": math.log(share * mass) if share * mass > 0 else -math.inf}
        for label, share in zip(labels, choice.shares, strict=True)
    ]
    best = max(top, key=lambda entry: entry["logprob"])
    content = [{**best, "top_logprobs": top}]
    return str(best["token"]), {"finish_reason": "length", "logprobs": {"content": content}}


def _until(reply: Reply, stop: Sequence[str]) -> str:
    """The text before the first stop string."""
    if reply.text is None:
        raise BackendError(f"the model gave no reply: {reply.failure}; check the prompt")
    found = [reply.text.find(word) for word in stop]
    ends = [at for at in found if at >= 0]
    return reply.text[: min(ends)] if ends else reply.text

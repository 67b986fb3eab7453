"""HTTP session for the Census Bureau: time limits, retries, caching, and a key kept secret.

Built on requests, as the `census` package is. The bureau answers a refused key with a web page,
throttling with 429, and some overload with an error text in a page of status 200 or 400; the key is
part of the query, so messages, logs and the names of cached answers are made without it.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import requests
from pydantic import BaseModel, ConfigDict, Field

from plenary.errors import ConfigError, DataError
from plenary.hashing import content_hash

HOST = "https://api.census.gov"
SIGN_UP = "https://api.census.gov/data/key_signup.html"
KEY_VARIABLE = "CENSUS_API_KEY"
KEY_PAGES = {"Invalid Key": "refused", "Missing Key": "missing"}
OVERLOAD = "There was an error while running your query"
KEY_IN_QUERY = re.compile(r"(?i)([?&]key=)[^&\s\"']+")
OK, EMPTY, ABSENT, THROTTLED, BROKEN = 200, 204, 404, 429, 500
BLOCK = 65_536
MIB = 2**20


class CensusError(DataError):
    """The bureau's service cannot be reached, is overloaded, or gives unusable answers."""


class CensusKeyError(ConfigError):
    """The key to the bureau's service is missing or refused."""


class Patience(BaseModel):
    """How long to wait for the bureau."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = Field(default=HOST, description="address of the service")
    connect: float = Field(default=5.0, gt=0, description="seconds until a connection is made")
    read: float = Field(default=60.0, gt=0, description="seconds until the next bytes arrive")
    whole: float = Field(default=300.0, gt=0, description="seconds until an answer is complete")
    attempts: int = Field(default=4, ge=1, description="tries per question")
    pause: float = Field(
        default=1.0, ge=0, description="seconds before the second try; doubles each time"
    )
    longest_pause: float = Field(
        default=60.0, ge=0, description="longest wait before a try, seconds"
    )


class _NoKey(logging.Filter):
    """Removes keys from the log lines of the HTTP library."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = KEY_IN_QUERY.sub(r"\1***", record.getMessage()), ()
        return True


_NO_KEY = _NoKey()


class _Again(Exception):
    """A temporary fault, and how long the server asks to wait."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class HardenedSession(requests.Session):
    """Session whose `get` returns a complete valid answer in bounded time, or raises our errors.

    Only answers of status 200 with JSON in them, and 204, are returned. `types` maps variables to
    their predicate types: the census package asks for the type of each field in a separate request,
    and these are answered here.
    """

    def __init__(
        self,
        patience: Patience,
        cache: Path | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__()
        self.patience = patience
        self.cache = cache
        self.types: dict[str, str] = {}
        self.requests_sent = 0
        self._sleep = sleep
        logging.getLogger("urllib3.connectionpool").addFilter(_NO_KEY)

    def get(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, url: str, *, params: Mapping[str, str] | None = None
    ) -> requests.Response:
        """The answer to a question; our DataError or ConfigError for every fault."""
        address = self._address(url)
        question = dict(params or {})
        kind = re.search(r"/variables/([^/]+)\.json$", address)
        if kind:
            body = json.dumps({"predicateType": self.types.get(kind[1], "string")}).encode()
            return _response(body, address)
        name = _question_name(address, question)
        kept = self._kept(name)
        if kept is not None:
            return _response(kept, address)
        answer = self._persist(address, question)
        if answer.status_code == OK:
            self._keep(name, answer.content)
        return answer

    def _address(self, url: str) -> str:
        parts, base = urlsplit(url), urlsplit(self.patience.base_url)
        if not base.scheme.startswith("http") or not base.netloc:
            raise ConfigError(
                f"base_url {self.patience.base_url!r} is not an address; use {HOST!r}"
            )
        return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + parts.path, "", ""))

    def _persist(self, address: str, question: Mapping[str, str]) -> requests.Response:
        reason = ""
        for attempt in range(self.patience.attempts):
            try:
                return self._once(address, question)
            except _Again as fault:
                reason = str(fault)
                if attempt + 1 < self.patience.attempts:
                    self._sleep(self._wait(attempt, fault.wait, address))
        raise CensusError(
            f"{address!r} failed {self.patience.attempts!r} times, the last time with {reason}; "
            "try again later"
        )

    def _wait(self, attempt: int, asked: float | None, address: str) -> float:
        if asked is not None and asked > self.patience.longest_pause:
            raise CensusError(f"{address!r} asks to wait {asked!r} seconds; try again after that")
        return min(max(asked or 0.0, self.patience.pause * 2**attempt), self.patience.longest_pause)

    def _once(self, address: str, question: Mapping[str, str]) -> requests.Response:
        key = question.get("key")
        self.requests_sent += 1
        # No exception of requests is chained, as its text contains the address with the key.
        try:
            answer = self._fetch(address, question)
        except requests.exceptions.Timeout:
            raise _Again("no answer in time") from None
        except requests.exceptions.ChunkedEncodingError:
            raise _Again("an answer cut off in transit") from None
        except (requests.exceptions.ConnectionError, requests.exceptions.ContentDecodingError):
            raise _Again("no connection") from None
        except requests.exceptions.RequestException as error:
            text = _without(str(error), key)
            raise CensusError(f"{address!r} cannot be asked: {text!r}; fix the question") from None
        return self._judged(answer, address, key)

    def _fetch(self, address: str, question: Mapping[str, str]) -> requests.Response:
        limits = (self.patience.connect, self.patience.read)
        deadline = time.monotonic() + self.patience.whole
        with super().get(
            address, params=question, timeout=limits, stream=True, allow_redirects=False
        ) as answer:
            content = bytearray()
            for block in answer.iter_content(BLOCK):
                content += block
                if time.monotonic() > deadline:
                    raise requests.exceptions.ReadTimeout
            answer._content = bytes(content)
        return answer

    def _judged(
        self, answer: requests.Response, address: str, key: str | None
    ) -> requests.Response:
        text = answer.text[:MIB] if answer.status_code != OK else ""
        _check_key(answer)
        if answer.status_code == THROTTLED:
            raise _Again("status 429, too many requests", _retry_after(answer))
        if answer.status_code >= BROKEN or OVERLOAD in text:
            raise _Again(f"status {answer.status_code}", _retry_after(answer))
        if answer.status_code == EMPTY:
            return answer
        if answer.status_code != OK:
            raise _refusal(answer, address, _without(text, key))
        _check_json(answer)
        return answer

    def _kept(self, name: str) -> bytes | None:
        """A cached body, None if there is none or it is damaged."""
        if self.cache is None:
            return None
        try:
            digest = (self.cache / "questions" / name).read_text(encoding="utf-8")
            body = (self.cache / "answers" / digest).read_bytes()
        except OSError:
            return None
        return body if content_hash(body) == digest else None

    def _keep(self, name: str, body: bytes) -> None:
        if self.cache is None:
            return
        digest = content_hash(body)
        for folder, file, content in (
            ("answers", digest, body),
            ("questions", name, digest.encode()),
        ):
            (self.cache / folder).mkdir(parents=True, exist_ok=True)
            part = self.cache / folder / f"{file}.part"
            part.write_bytes(content)
            part.replace(self.cache / folder / file)


def _question_name(address: str, question: Mapping[str, str]) -> str:
    open_part = sorted((name, value) for name, value in question.items() if name != "key")
    return content_hash(f"{address}?{urlencode(open_part)}")


def _response(body: bytes, address: str) -> requests.Response:
    made = requests.Response()
    made.status_code, made._content, made.url = OK, body, address
    made.encoding = "utf-8"
    return made


def _check_key(answer: requests.Response) -> None:
    page = "text/html" in answer.headers.get("Content-Type", "") or answer.is_redirect
    title = re.search(r"<title>\s*(.*?)\s*</title>", answer.text, re.DOTALL) if page else None
    place = answer.headers.get("Location", "").lower()
    verdict = KEY_PAGES.get(title[1]) if title else None
    if "missing_key" in place:
        verdict = "missing"
    elif "invalid_key" in place or "X-DataWebAPI-KeyError" in answer.headers:
        verdict = verdict or "refused"
    if verdict:
        raise CensusKeyError(
            f"the key in {KEY_VARIABLE!r} is {verdict} by the Census Bureau; get one at {SIGN_UP} "
            "and activate it by the link in the bureau's mail"
        )


def _check_json(answer: requests.Response) -> None:
    text = answer.content.lstrip()[:1]
    if text == b"<":
        if OVERLOAD.encode() in answer.content:
            raise _Again("a page saying that the service failed")
        raise _Again("a web page instead of data")
    try:
        json.loads(answer.content)
    except ValueError:
        raise _Again("truncated or malformed JSON") from None


def _refusal(answer: requests.Response, address: str, text: str) -> CensusError:
    plain = " ".join(re.sub(r"<[^>]*>", " ", text).split())[:300]
    unknown = re.search(r"unknown variable '([^']*)'", plain)
    if unknown:
        return CensusError(f"unknown variable {unknown[1]!r} at {address!r}; look up its table")
    if answer.is_redirect:
        return CensusError(f"{address!r} redirects elsewhere; check base_url")
    if answer.status_code == ABSENT:
        return CensusError(f"{address!r} does not exist; check year, survey and table")
    return CensusError(
        f"{address!r} answers status {answer.status_code!r}: {plain!r}; fix the question"
    )


def _retry_after(answer: requests.Response) -> float | None:
    """Seconds in a Retry-After header, which is a number or a date."""
    value = answer.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _without(text: str, key: str | None) -> str:
    cleaned = KEY_IN_QUERY.sub(r"\1***", text)
    return cleaned.replace(key, "***") if key else cleaned


__all__ = (
    "HOST",
    "KEY_VARIABLE",
    "SIGN_UP",
    "CensusError",
    "CensusKeyError",
    "HardenedSession",
    "Patience",
)

"""Keys in the environment never reach a file, a message or a log."""

from __future__ import annotations

import os
import re

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$")
_SHORTEST = 8
_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")


def redacted(text: str) -> str:
    """`text` without values of secret environment variables and without logins in addresses.

    An endpoint may send the key it was given back in an error. A secret is the value, 8 characters
    or more, of a variable whose name ends in KEY, TOKEN, SECRET, PASSWORD or CREDENTIAL(S).
    """
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name.upper()) and len(value) >= _SHORTEST and value in text:
            text = text.replace(value, f"[{name}]")
    return _LOGIN.sub("", text)

"""Downloading a checkpoint from the Hugging Face hub by its id, once."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from plenary.errors import BackendError


def fetched(name: str, files: tuple[str, ...]) -> Path:
    """Folder of the checkpoint `OWNER/NAME`; only `files` (patterns) are fetched."""
    try:
        return Path(snapshot_download(name, allow_patterns=list(files)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise BackendError(
            f"cannot fetch {name!r} from the hub: {str(error).splitlines()[0]}; check the id, the "
            "network and, for a gated model, `hf auth login`, or give a folder"
        ) from error

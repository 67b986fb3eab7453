"""Publishing an adapter on the Hugging Face hub: folder layout and, only if asked, the upload."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from alignment.training.adapter import CONFIG, MANIFEST, WEIGHTS, check_adapter
from plenary.errors import BackendError, DataError
from plenary.hashing import content_hash

CARD = "README.md"
FILES = (CARD, CONFIG, WEIGHTS, MANIFEST)


def hub_folder(adapter: Path, base: Path, base_name: str, card: str, output: Path) -> Path:
    """Copy an adapter for publication, with the base's public name and the card as README.md.

    Paths on this machine, which `align` records, are not published. DataError if the adapter does
    not belong to the base, or if `output` contains something else.
    """
    manifest = check_adapter(adapter, base)
    if output.exists() and {file.name for file in output.iterdir()} - set(FILES):
        raise DataError(f"{str(output)!r} contains other files; choose another output folder")
    output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(adapter / WEIGHTS, output / WEIGHTS)
    config = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base_name
    (output / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    public = manifest.model_copy(
        update={
            "base_model": base_name,
            "files": {name: content_hash(output / name) for name in (CONFIG, WEIGHTS)},
        }
    )
    (output / MANIFEST).write_text(public.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (output / CARD).write_text(card, encoding="utf-8")
    return output


def push_to_hub(folder: Path, repository: str, *, private: bool = True) -> str:
    """Upload a folder that `hub_folder` wrote to `owner/name`, and return its address.

    Never called by a run. The token is the one that `hf auth login` or HF_TOKEN gives; it is
    neither stored nor logged. BackendError if the hub cannot be reached or refuses.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{str(folder)!r} lacks {missing[0]!r}; make it with hub_folder first")
    api = HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(repo_id=repository, folder_path=folder, allow_patterns=[*FILES])
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BackendError(
            f"cannot push to {repository!r}: {reason}; check the name, the login and the network"
        ) from error
    return str(done)

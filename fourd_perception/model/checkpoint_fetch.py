"""Downloading a checkpoint from a Hugging Face repository, when asked to, and checking it."""

from __future__ import annotations

from collections.abc import Callable
import hashlib
from pathlib import Path
from typing import Any

from fourd_perception.model.checkpoint_files import files_of, SUFFIXES
from fourd_perception.model.public_checkpoints import (
    CARD,
    Origin,
    PublicCheckpoint,
    weights_directory,
    write_origin,
)

BLOCK = 1 << 24


def sha256_of(path: Path, progress: Callable[[int, int], None] | None = None) -> str:
    """SHA-256 of a file as hexadecimal digits; `progress(done, total)` in bytes.

    Of an index: of its bytes and those of the files that it names, one after the other.
    """
    files = files_of(path)
    digest, total, done = hashlib.sha256(), sum(f.stat().st_size for f in files), 0
    for part in files:
        with part.open('rb') as file:
            while block := file.read(BLOCK):
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress(done, total)
    return digest.hexdigest()


def ask(checkpoint: PublicCheckpoint, revision: str | None = None) -> Origin:
    """What the repository says of a checkpoint: commit, size, SHA-256 and licence; no download.

    revision: a commit, branch or tag; None: the newest. `sha256` is empty where the repository
    does not tell it. Raises ValueError where huggingface_hub is missing or the repository has no
    such file, OSError where it cannot be reached.
    """
    answer = _hub_call(
        lambda hub: hub.HfApi().model_info(checkpoint.repo, revision=revision, files_metadata=True)
    )
    files = {sibling.rfilename: sibling for sibling in answer.siblings or ()}
    name = checkpoint.file or _only_weights(checkpoint.repo, list(files))
    if name not in files:
        raise ValueError(
            f'{checkpoint.repo} has no file {name}; there are {", ".join(sorted(files))}'
        )
    file = files[name]
    card = answer.card_data
    licence = checkpoint.licence
    if licence == CARD and card is not None and card.get('license'):
        licence = str(card.get('license_name') or card.get('license'))
    sha256 = file.lfs.sha256 if file.lfs is not None else ''
    if not sha256.startswith(checkpoint.sha256):
        raise ValueError(
            f'{checkpoint.repo}:{name} has the SHA-256 {sha256}, the known one begins with '
            f'{checkpoint.sha256}; if the file was replaced on purpose, fetch it by its id '
            f'{checkpoint.repo}:{name}'
        )
    return Origin(checkpoint.repo, name, answer.sha, file.size or 0, sha256, licence)


def fetch(origin: Origin, progress: Callable[[int, int], None] | None = None) -> Path:
    """Download the file, verify its SHA-256, write its origin beside it, and return its path.

    A file that is there already is verified, not downloaded again. One that does not verify is
    removed, and ValueError names both sums.
    """
    folder = weights_directory() / origin.repo
    path = Path(
        _hub_call(
            lambda hub: hub.hf_hub_download(
                origin.repo, origin.file, revision=origin.revision, local_dir=folder
            )
        )
    )
    found = sha256_of(path, progress)
    if origin.sha256 and found != origin.sha256:
        path.unlink()
        raise ValueError(
            f'{origin.repo}:{origin.file} arrived with the SHA-256 {found} instead of '
            f'{origin.sha256} and was removed; fetch it again'
        )
    size = path.stat().st_size
    write_origin(
        path, Origin(origin.repo, origin.file, origin.revision, size, found, origin.licence)
    )
    return path


def _only_weights(repo: str, names: list[str]) -> str:
    weights = [name for name in sorted(names) if name.endswith(SUFFIXES)]
    for suffix in ('.safetensors', ''):
        choice = [name for name in weights if name.endswith(suffix)]
        if len(choice) == 1:
            return choice[0]
    there = f'{", ".join(weights)}; choose one as {repo}:FILE' if weights else 'none'
    raise ValueError(f'{repo}: one file of weights is wanted, there are: {there}')


def _hub_call(call: Callable[[Any], Any]) -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise ValueError(
            'fetching weights needs huggingface_hub: pip install huggingface_hub'
        ) from None
    try:
        return call(huggingface_hub)
    except (ValueError, OSError):
        raise
    except Exception as error:
        # The hub's client has errors of its own HTTP library; to us all of them mean: no answer.
        raise OSError(f'the model hub did not answer: {error}') from error

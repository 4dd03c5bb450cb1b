"""Public checkpoints by name, and where fetched ones lie on this machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import re

from fourd_perception.model.checkpoint_files import INDEX_SUFFIX, SUFFIXES
from fourd_perception.model.shipped_weights import SHIPPED, shipped_file

CARD = 'see its model card'


@dataclass(frozen=True)
class PublicCheckpoint:
    """A checkpoint that others publish in a Hugging Face repository.

    file:    in the repository; None for its only file of weights
    bytes:   of the file, where known
    sha256:  what its SHA-256 begins with, as far as known
    licence: of the weights
    """

    repo: str
    file: str | None
    licence: str
    bytes: int | None = None
    sha256: str = ''


PUBLIC = {
    'vggt-1b': PublicCheckpoint('facebook/VGGT-1B', 'model.safetensors', 'non-commercial'),
    'vggt-1b-commercial': PublicCheckpoint('facebook/VGGT-1B-Commercial', None, CARD),
    'vggt-tracker-fixed': PublicCheckpoint(
        'facebook/VGGT_tracker_fixed', 'model_tracker_fixed_e20.pt', CARD
    ),
    '4d-vggt-v1': PublicCheckpoint(
        'Aurora03/4D-VGGT-models', '4d-vggt-geometry-v1.pt', CARD, 7_215_706_998, 'b6be863f'
    ),
}
REPOSITORY = re.compile(r'[\w.-]+/[\w.-]+')


@dataclass(frozen=True)
class Origin:
    """Where a fetched file came from; kept beside it as `<file>.json`."""

    repo: str
    file: str
    revision: str
    bytes: int
    sha256: str
    licence: str


def weights_directory() -> Path:
    """Where fetched weights lie: $FOURD_PERCEPTION_WEIGHTS, else below the user's cache."""
    chosen = os.environ.get('FOURD_PERCEPTION_WEIGHTS')
    if chosen:
        return Path(chosen)
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(cache) / 'fourd_perception' / 'weights'


def named(spec: str) -> PublicCheckpoint:
    """The checkpoint of a built-in name, or of a repository id `owner/name[:file]`."""
    if spec in PUBLIC:
        return PUBLIC[spec]
    repo, _, file = spec.partition(':')
    if not REPOSITORY.fullmatch(repo):
        raise ValueError(
            f'weights {spec!r}: give a file, a repository id such as owner/name or '
            f'owner/name:file.safetensors, or one of {", ".join((SHIPPED, *PUBLIC))}'
        )
    return PublicCheckpoint(repo, file or None, CARD)


def local_file(spec: str) -> Path:
    """The file that `weights` names: what ships, a path, or what has been fetched under its name.

    A folder stands for the model.safetensors, or its index, in it; `./fourd-small` is such a path,
    `fourd-small` what ships. Nothing is downloaded. Raises FileNotFoundError with the command that
    brings what is missing.
    """
    if spec == SHIPPED:
        return shipped_file()
    path = Path(spec).expanduser()
    for file in (path, path / 'model.safetensors', path / f'model{INDEX_SUFFIX}'):
        if file.is_file():
            return file
    if path.suffix in SUFFIXES and ':' not in spec:
        raise FileNotFoundError(f'weights {spec!r}: no such file')
    found = fetched(named(spec))
    if found is None:
        raise FileNotFoundError(
            f'weights {spec!r} are not on this machine; `fourd-perception weights fetch {spec}` '
            'downloads them'
        )
    return found


def fetched(checkpoint: PublicCheckpoint) -> Path | None:
    """The file of a checkpoint that `weights fetch` has brought, or None."""
    folder = weights_directory() / checkpoint.repo
    files = [folder / checkpoint.file] if checkpoint.file else sorted(folder.glob('*'))
    complete = [file for file in files if file.is_file() and record(file).is_file()]
    return complete[0] if complete else None


def record(file: Path) -> Path:
    """Where the origin of a fetched file is written down."""
    return file.with_name(file.name + '.json')


def origin_of(file: Path) -> Origin | None:
    """Where a file came from; None for one that was not fetched."""
    beside = record(file)
    return Origin(**json.loads(beside.read_text())) if beside.is_file() else None


def write_origin(file: Path, origin: Origin) -> None:
    """Write down where a file came from."""
    record(file).write_text(json.dumps(asdict(origin), indent=1) + '\n')

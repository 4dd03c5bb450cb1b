"""Where the files that are not Python lie: beside the source, or in the installed share."""

from __future__ import annotations

from pathlib import Path

PACKAGE = 'fourd_perception'


def share_path(relative: str) -> Path:
    """Path of a file or folder of the package, such as `config/fastdds_shm.xml`.

    A source tree serves its own files, so that another version installed elsewhere never mixes
    in; installed code finds its share through the ament index. Raises FileNotFoundError, with
    the places searched.
    """
    source = Path(__file__).resolve().parents[1]
    searched = []
    if (source / 'package.xml').is_file():
        searched.append(source / relative)
    else:
        searched.extend(share / relative for share in _ament_shares())
    for path in searched:
        if path.exists():
            return path
    places = ', '.join(map(str, searched)) or 'no installed share: AMENT_PREFIX_PATH lacks it'
    raise FileNotFoundError(
        f'{relative} of {PACKAGE} is missing ({places}). Source install/local_setup.bash of the '
        'workspace, or build the package again.'
    )


def _ament_shares() -> list[Path]:
    """The installed share of this package; empty where the ament index knows none."""
    try:
        from ament_index_python.packages import get_package_share_directory

        return [Path(get_package_share_directory(PACKAGE))]
    except (ImportError, LookupError):
        return []

"""A fixture folder: its kind told by what lies in it, and checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fourd_perception.evaluation.parity.comparison import Comparison
from fourd_perception.evaluation.parity.geometry import check_pose_encoding, CHECKS
from fourd_perception.evaluation.parity.motion import CASES, check_motion, motion_cases
from fourd_perception.evaluation.parity.networks import check_initialisation, check_network
from fourd_perception.evaluation.parity.preprocessing import check_preprocessing


def kind_of(folder: Path) -> str | None:
    """`initialisation`, `network`, `preprocessing`, `pose_encoding` or `motion`, or None."""
    names = {path.name for path in folder.iterdir()}
    if 'rule.json' in names:
        return 'initialisation'
    if {'config.json', 'weights.safetensors'} <= names:
        return 'network'
    if {'expected.json', 'expected.npz'} <= names:
        return 'preprocessing'
    if names & {f'{name}.npz' for name in CHECKS}:
        return 'pose_encoding'
    if motion_cases(folder):
        return 'motion'
    return None


def fixture_folders(folder: Path) -> list[tuple[Path, str]]:
    """The fixture that a folder is, or those directly in it, each with its kind.

    Raises FileNotFoundError, ValueError for a folder without any.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}: no such folder')
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    kinds = [(place, kind_of(place)) for place in places]
    found = [(place, kind) for place, kind in kinds if kind is not None]
    if not found:
        raise ValueError(
            f'{folder}: no fixture. One holds config.json and weights.safetensors with cases '
            '(*.npz), or rule.json, or expected.json and expected.npz with pictures, or '
            f'{", ".join(f"{name}.npz" for name in (*CHECKS, *CASES))}'
        )
    return found[:1] if found[0][0] == folder else found


def check(folder: Path, double: bool = False) -> Iterator[tuple[Path, str, list[Comparison]]]:
    """Compare all fixtures of a folder; yields folder, kind and results one after the other.

    double: networks are evaluated in float64
    """
    for place, kind in fixture_folders(folder):
        if kind == 'network':
            results = check_network(place, double)
        elif kind == 'initialisation':
            results = check_initialisation(place, double)
        elif kind == 'preprocessing':
            results = check_preprocessing(place)
        elif kind == 'motion':
            results = check_motion(place)
        else:
            results = check_pose_encoding(place)
        yield place, kind, results

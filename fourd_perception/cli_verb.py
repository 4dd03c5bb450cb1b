"""What verbs of the command line share: exit codes, how one is added, numbers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def verb(verbs: Any, name: str, summary: str, text: str) -> argparse.ArgumentParser:
    """Add a verb with a line for the list of verbs and a text for its own help."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def positive(text: str) -> float:
    """A finite number above 0; argparse refuses anything else."""
    return number(text, float, 'a number above 0')


def count(text: str) -> int:
    """A whole number above 0; argparse refuses anything else."""
    return number(text, int, 'a whole number above 0')


def number(text: str, kind: Callable[[str], Any], wanted: str) -> Any:
    """A finite number above 0 of the given kind; else argparse says what is wanted."""
    try:
        value = kind(text)
    except ValueError:
        value = 0
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text!r} is not {wanted}')
    return value

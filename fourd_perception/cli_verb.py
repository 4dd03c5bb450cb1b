"""What all verbs of the command line share: exit codes, and how one is added."""

from __future__ import annotations

import argparse
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

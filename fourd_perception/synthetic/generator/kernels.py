"""Functions on tensors as they are, or compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch


@cache
def kernel(function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
    """The function itself, or fused into few loops when it is first called (a minute or so)."""
    return torch.compile(function, dynamic=True) if compiled else function

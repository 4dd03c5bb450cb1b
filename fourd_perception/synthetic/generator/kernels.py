"""Functions on tensors as they are, or compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.fx.experimental import _config as shapes


@cache
def kernel(function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
    """The function itself, or fused into few loops when it is first called (a minute or so).

    So that it is not compiled anew, no dimension that varies may be 1, and no tensor a view: what
    lies under a view is held against the first call's as well.
    """
    if not compiled:
        return function
    fused = torch.compile(function, dynamic=True)

    def run(*arguments: Any) -> Any:
        # Dimensions that happen to be equal at the first call are not one and the same.
        with shapes.patch(use_duck_shape=False):  # type: ignore[attr-defined]
            return fused(*arguments)

    return run

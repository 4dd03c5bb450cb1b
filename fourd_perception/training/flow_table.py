"""Endpoint error on held-out pairs by length of the true flow, beside zero flow and DIS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
from fourd_perception.model.heads.flow import FlowModule
from fourd_perception.synthetic.layered_pairs import LayeredPairs
import numpy as np
import torch

Method = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
EDGES = (0.0, 0.5, 1.0, 4.0, 10.0, float('inf'))


def zero_flow(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """No motion anywhere, [B, 2, H, W]."""
    return torch.zeros_like(first[:, :2])


def dis_flow(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """OpenCV's dense inverse search, preset medium, finest scale 0, [B, 2, H, W]."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    grey = [(255 * x.mean(1)).round().byte().cpu().numpy() for x in (first, second)]
    flows = [dis.calc(a, b, None) for a, b in zip(*grey)]  # type: ignore[call-overload]
    return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).to(first.device)


def module_flow(module: FlowModule) -> Method:
    """The module's forward flow, in evaluation mode."""

    def method(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        module.eval()
        with torch.no_grad():
            return module(first, second)[0].flow

    return method


def error_table(pairs: Sequence[LayeredPairs], methods: Mapping[str, Method]) -> str:
    """Mean endpoint error in pixels of each method, as a Markdown table.

    One column for all pixels, one for the visible ones, one for each range of |flow|.
    """
    truth = torch.cat([p.flow[0] for p in pairs]).norm(dim=1)
    visible = torch.cat([~p.occluded[0][:, 0] for p in pairs])
    columns = {'all': torch.ones_like(visible), 'visible': visible}
    for low, high in zip(EDGES, EDGES[1:]):
        name = f'{low:g}-{high:g} px' if high < float('inf') else f'over {low:g} px'
        columns[name] = (truth >= low) & (truth < high)
    lines = [['EPE, px', *columns], ['---'] + ['---:'] * len(columns)]
    lines.append(['share of pixels', *(f'{c.float().mean():.0%}' for c in columns.values())])
    for name, method in methods.items():
        errors = torch.cat([(method(*p.images) - p.flow[0]).norm(dim=1) for p in pairs])
        lines.append([name, *(f'{errors[c].mean():.2f}' for c in columns.values())])
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)

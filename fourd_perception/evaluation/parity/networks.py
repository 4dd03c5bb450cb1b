"""Network fixtures: a configuration, weights, and what the reference network answers."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from fourd_perception.evaluation.parity.comparison import (
    compare,
    Comparison,
    limit_of,
    read_arrays,
)
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.checkpoint_convert import fourd_vggt
from fourd_perception.model.checkpoints import load_network, network_of, open_checkpoint
from fourd_perception.model.network import Network
from fourd_perception.model.published_config import network_config
import numpy as np
import torch

INPUTS = {'images', 'query_points'}
Arrays = Mapping[str, np.ndarray]


def check_network(folder: Path, double: bool = False) -> list[Comparison]:
    """Every case (`*.npz`) of a folder with `config.json` and `weights.safetensors`.

    double: evaluate in float64, against the rounding of the reference's float32
    """
    network = load_network(folder / 'weights.safetensors')
    cases = sorted(folder.glob('*.npz'))
    if not cases:
        raise FileNotFoundError(f'{folder}: no case (*.npz) to compare with')
    results = []
    for path in cases:
        arrays = read_arrays(path)
        results += _compare_all(path.stem, outputs(network, arrays, double), arrays, double)
    return results


def check_initialisation(folder: Path, double: bool = False) -> list[Comparison]:
    """A 4D-VGGT made from a VGGT by rule.json: tensors by the rule, outputs those of the VGGT."""
    rule = json.loads((folder / 'rule.json').read_text())
    config = network_config(rule['model_config'])
    source = _above(folder, rule['source_weights'])
    vggt = open_checkpoint(source)
    _, tensors = fourd_vggt(vggt)
    dropped = tuple(rule['ignored_source_prefixes'])
    tensors = {name: t for name, t in tensors.items() if not name.startswith(dropped)}
    results = list(_by_rule(rule, tensors, vggt.file.tensors))
    network = network_of(config, tensors)
    wanted = read_arrays(_above(folder, rule['source_case']))
    shared = {
        name: array
        for name, array in wanted.items()
        if not name.startswith(('track', 'tap_', 'patch_tokens', 'query_points'))
    }
    for path in sorted(folder.glob('*.npz')):
        expected = {**shared, **read_arrays(path)}
        results += _compare_all(path.stem, outputs(network, expected, double), expected, double)
    return results


def _by_rule(rule: Mapping[str, Any], tensors: Any, source: Any) -> list[Comparison]:
    def row(what: str, error: float) -> Comparison:
        return Comparison('rule.json', what, error, 0.0)

    def largest(names: list[str], value: float) -> float:
        return max((float((tensors[name] - value).abs().max()) for name in names), default=0.0)

    copied = 0
    for ours, theirs in rule['prefix_rules']:
        for name in (name for name in tensors if name.startswith(ours)):
            twin = source.get(theirs + name.removeprefix(ours))
            initial = name in rule['zero_initialised'] + rule['ones_initialised']
            copied += not initial and (twin is None or not torch.equal(twin, tensors[name]))
    return [
        row('number of tensors', abs(len(tensors) - rule['tensor_count'])),
        row('tensors that are no copies', copied),
        row('tensors of zeros', largest(rule['zero_initialised'], 0.0)),
        row('tensors of ones', largest(rule['ones_initialised'], 1.0)),
    ]


@torch.no_grad()
def outputs(network: Network, arrays: Arrays, double: bool = False) -> dict[str, torch.Tensor]:
    """All that a network answers to `images` [B, S, 3, H, W] (and `query_points`), by key."""
    dtype = torch.float64 if double else torch.float32
    network = network.to(dtype)
    images = torch.from_numpy(arrays['images']).to(dtype)
    frames, _, height, width = images.shape[1:]
    layout, tables = CellLayout.sequence(frames), network.tables(height, width)
    patches = network.encode(images, tables)
    features = network.trunk(patches, layout, tables)
    out = {'patch_tokens': patches.flatten(0, 1), 'encoded_tokens': features.tokens.flatten(0, 1)}
    branches = {'tap': features.spatial, 'spatial_tap': features.spatial}
    if features.temporal is not None:
        branches |= {'temporal_tap': features.temporal, 'fused_tap': features.fused}
    for branch, taps in branches.items():
        out |= {f'{branch}_{index}': tap for index, tap in taps.items()}
    if network.config.camera is not None:
        out['pose_enc_list'] = torch.stack(network.cameras(features))
        out['pose_enc'] = out['pose_enc_list'][-1]
    if network.config.depth is not None:
        depth, out['depth_conf'] = network.depth(features, tables)
        out['depth'] = depth[..., None]
    if network.config.points is not None:
        out['world_points'], out['world_points_conf'] = network.points(features, tables)
    queries = arrays.get('query_points')
    if network.config.tracks is not None and queries is not None and queries.shape[1]:
        points = torch.from_numpy(queries).to(dtype)
        tracks, out['track_vis'], out['track_conf'] = network.tracks(features, tables, points, 0)
        out |= {'track_list': torch.stack(tracks), 'track': tracks[-1]}
        # The fixtures hold the feature maps of the last frame alone.
        out['track_features'] = network.track_features(features, tables)[:, -1:]
    return out


def _compare_all(
    case: str, found: Mapping[str, torch.Tensor], wanted: Arrays, double: bool
) -> list[Comparison]:
    results = []
    for name, array in wanted.items():
        if name in INPUTS:
            continue
        limit = limit_of(name, double)
        if limit is None:
            note = 'an output that is not known here'
            results.append(Comparison(case, name, np.inf, None, note))
        elif name not in found:
            note = 'the network of config.json gives no such output'
            results.append(Comparison(case, name, np.inf, limit, note))
        else:
            results.append(compare(case, name, found[name], array, limit))
    if not results:
        raise ValueError(f'{case}.npz: holds inputs only, so there is nothing to compare with')
    return results


def _above(folder: Path, relative: str) -> Path:
    """A file that a fixture names relative to one of the folders above it."""
    for parent in folder.resolve().parents:
        if (parent / relative).is_file():
            return parent / relative
    raise FileNotFoundError(f'{folder}: {relative} is in none of the folders above')

"""Which network a checkpoint is for.

Widths and depths can be read off the tensors, but not how many heads an attention without q/k norm
has, which blocks the heads tap, the tracker's pyramid, or whether its feature maps get positions.
So nothing is guessed. A configuration comes, in this order, from

1. the metadata of a file that we wrote (`weights convert`, `train`), or `model_config` of the
   published 4D-VGGT files;
2. a `config.json` beside the file that gives all constructor values in the published form;
3. the published preset of the layout that the keys tell, with the heads that the keys name. Its
   tensors must then have the published shapes, which the strict comparison sees to.

The corrected tracker of VGGT has the keys and shapes of the first one and differs in a switch: its
feature maps get positions. A file named `*tracker_fixed*` is taken for it; `tracker_fixed` decides
where the name does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

from fourd_perception.model.checkpoint_files import TensorFile
from fourd_perception.model.checkpoint_layouts import from_vggt, layout_of
from fourd_perception.model.config_json import config_from_json
from fourd_perception.model.presets import NetworkConfig, PRESETS
from fourd_perception.model.published_config import network_config
from fourd_perception.model.small.config import SMALL_PRESETS, SmallConfig

CONFIG_KEY = 'network_config'
HEADS = {
    'camera': 'spatial_head.',
    'depth': 'dense_head.depth_head.',
    'points': 'dense_head.point_head.',
    'mask': 'dense_head.mask_head.',
    'motion': 'motion_head.',
    'tracks': 'track_head.',
    'flow': 'flow_module.',
}
# What 4D-VGGT's release writes beside its tensors.
RELEASE = {
    'model_name': '4D-VGGT',
    'naming_schema_version': 2,
    'architecture': '4d-vggt-geometry-v1',
    'architecture_schema_version': 2,
    'released_tasks': ['camera', 'depth', 'point'],
}


def config_of(file: TensorFile, tracker_fixed: bool | None = None) -> NetworkConfig | SmallConfig:
    """The configuration of an open checkpoint; see above for where it comes from.

    tracker_fixed: whether a VGGT tracker is the corrected one; None: by the name of the file
    """
    metadata = file.metadata
    if CONFIG_KEY in metadata:
        return config_from_json(metadata[CONFIG_KEY])
    if 'architecture' in metadata or 'model_config' in metadata:
        check_release(file)
        return network_config(metadata['model_config'])
    beside = config_beside(file.path)
    if beside is not None:
        return beside
    if tracker_fixed is None:
        tracker_fixed = 'tracker_fixed' in file.path.name
    return published_preset(file.tensors, tracker_fixed)


def check_release(file: TensorFile) -> None:
    """Refuse a release of 4D-VGGT other than the one that is known; ValueError lists all."""
    wrong = [
        f'{name} is {file.metadata.get(name)!r} (known: {value!r})'
        for name, value in RELEASE.items()
        if file.metadata.get(name) != value
    ]
    if 'model_config' not in file.metadata:
        wrong.append('model_config is missing')
    if wrong:
        raise ValueError(f'{file.path}: no known release of 4D-VGGT: {"; ".join(wrong)}')


def config_beside(path: Path) -> NetworkConfig | None:
    """The configuration of `config.json` in the folder of `path`, where it gives all values."""
    beside = path.parent / 'config.json'
    if not beside.is_file():
        return None
    values = json.loads(beside.read_text())
    # A model hub's config.json has a few of the values; those are the preset's.
    if not isinstance(values, dict) or not {'aggregator', 'cached_layer_indices'} & set(values):
        return None
    return network_config(values)


def published_preset(keys: Iterable[str], tracker_fixed: bool) -> NetworkConfig | SmallConfig:
    """The published network of the keys' layout with the heads that they name."""
    keys = list(keys)
    if layout_of(keys) == 'fourd-small':
        small = SMALL_PRESETS['fourd-small']
        has_flow = any(key.startswith(HEADS['flow']) for key in keys)
        return small if has_flow else replace(small, flow=None)
    if layout_of(keys) == 'vggt':
        config = PRESETS['vggt-1b']
        assert config.tracks is not None
        dense = replace(config.tracks.dense, uv_embedding=tracker_fixed)
        config = replace(config, tracks=replace(config.tracks, dense=dense))
        keys = [from_vggt(key) for key in keys]
    else:
        config = PRESETS['4d-vggt']
    absent: dict[str, Any] = {
        name: None for name, prefix in HEADS.items() if not any(k.startswith(prefix) for k in keys)
    }
    return replace(config, **absent)

"""Parameters of the replayed node, from a file, from the command line, and from the recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fourd_perception.bag.camera_topics import find_cameras
from fourd_perception.bag.reader import BagReader
from fourd_perception.ros.settings import knobs, Settings
import yaml

# Of every ROS node, or of the node's life cycle.
OTHER_NAMES = ('autostart', 'use_sim_time')
OTHER_PREFIXES = ('qos_overrides.',)


def node_parameters(
    bag: Path, file: Path | None, assignments: Iterable[str], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Parameters by dotted name, checked; `cameras` found in the recording when not given.

    file:        ROS parameter file; weakest
    assignments: `name:=value`, the value in YAML
    options:     strongest
    Raises ValueError that names the parameter, or what the recording lacks.
    """
    params = read_parameter_file(file) if file else {}
    params |= dict(parse_assignment(text) for text in assignments)
    params |= options
    for name in params:
        _check_name(name)
    if not params.get('cameras'):
        draft = Settings.from_values({**params, 'cameras': ['any']})
        with BagReader(bag) as reader:
            cameras = find_cameras(reader.topics, draft.image_topic, draft.camera_info_topic)
        params['cameras'] = list(cameras)
    Settings.from_values(params)
    return params


def read_parameter_file(path: Path) -> dict[str, Any]:
    """Dotted names to values of a ROS parameter file, whichever node each section names."""
    content = yaml.safe_load(path.read_text())
    if not isinstance(content, dict):
        raise ValueError(f'{path} is no ROS parameter file: a mapping of node names is needed')
    params: dict[str, Any] = {}
    for node, section in content.items():
        values = section.get('ros__parameters') if isinstance(section, dict) else None
        if not isinstance(values, dict):
            raise ValueError(f'{path}: section {node!r} has no ros__parameters below it')
        params |= dict(_flat(values))
    return params


def parse_assignment(text: str) -> tuple[str, Any]:
    """('window.length', 2) of 'window.length:=2'. Raises ValueError for anything else."""
    name, separator, value = text.partition(':=')
    if not separator or not name:
        raise ValueError(f'{text!r} is no parameter; write name:=value')
    return name, yaml.safe_load(value)


def _flat(values: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def _check_name(name: str) -> None:
    known = [knob.name for _, knob in knobs()] + list(OTHER_NAMES)
    if name not in known and not name.startswith(OTHER_PREFIXES):
        close = ', '.join(get_close_matches(name, known)) or ', '.join(known)
        raise ValueError(f'the node has no parameter {name!r}; did you mean {close}?')

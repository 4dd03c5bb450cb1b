"""Configurations of networks as JSON: what our own weight files carry in their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
import json
from types import NoneType
from typing import Any, get_args, get_type_hints

from fourd_perception.model.presets import NetworkConfig
from fourd_perception.model.small.config import SmallConfig


def config_to_json(config: NetworkConfig | SmallConfig) -> str:
    """Every value of the configuration, defaults included."""
    return json.dumps(asdict(config))


def config_from_json(text: str) -> NetworkConfig | SmallConfig:
    """The configuration that `config_to_json` wrote; ValueError names what it does not know."""
    values = json.loads(text)
    return _build(SmallConfig if 'stem' in values else NetworkConfig, values)


def _build(kind: Any, values: Mapping[str, Any]) -> Any:
    names = {field.name for field in fields(kind)}
    unknown = sorted(set(values) - names)
    if unknown:
        raise ValueError(
            f'{kind.__name__} has no {", ".join(unknown)}; the file was written by another version'
        )
    types = get_type_hints(kind)
    return kind(**{name: _value(types[name], value) for name, value in values.items()})


def _value(kind: Any, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    kinds = [k for k in get_args(kind) or (kind,) if k is not NoneType]
    if isinstance(value, Mapping) and len(kinds) == 1 and is_dataclass(kinds[0]):
        return _build(kinds[0], value)
    return value

"""Plain values, as YAML gives them, into frozen dataclasses: whatever does not fit is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, MISSING
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints, Literal, Union

WORDS = {
    bool: 'true or false',
    int: 'a whole number',
    float: 'a number (with a point: YAML reads 4e-4 as a word, 4.0e-4 as a number)',
    str: 'a word',
    Path: 'a path',
    NoneType: 'nothing (null)',
}


def built(kind: Any, value: object, where: str) -> Any:
    """The value as an instance of `kind`.

    kind:  a dataclass, bool, int, float, str, Path, a Literal, a tuple or Mapping of these, or one
           of several
    value: plain, or made already: a dataclass is taken as it is
    where: how messages call the value, such as `task.size`
    Raises ValueError that names key, value and what is accepted; also for keys that a dataclass
    does not know or lacks, and for what its own `__post_init__` refuses.
    """
    if is_dataclass(value):
        return value
    if is_dataclass(kind) and isinstance(value, Mapping):
        return _dataclass(kind, value, where)
    if get_origin(kind) in (Union, UnionType):
        return _one_of(kind, value, where)
    if get_origin(kind) is Mapping and isinstance(value, Mapping):
        _, member = get_args(kind)
        return {
            built(str, n, f'a name in {where}'): built(member, v, f'{where}.{n}')
            for n, v in value.items()
        }
    if get_origin(kind) is tuple and isinstance(value, list):
        return _tuple(kind, value, where)
    if kind is float and type(value) is int:
        return float(value)
    if kind is Path and type(value) is str:
        return Path(value)
    if type(value) is kind or (get_origin(kind) is Literal and value in get_args(kind)):
        return value
    raise ValueError(f'{where} is {value!r}; give {_words(kind)}')


def plain(value: Any) -> Any:
    """What `built` makes of it again: mappings, lists and single values."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def _dataclass(kind: Any, values: Mapping[Any, object], where: str) -> Any:
    known = {field.name: field for field in fields(kind)}
    unknown = [str(name) for name in values if name not in known]
    if unknown:
        raise ValueError(f'{where} has no key {", ".join(unknown)}; known are {", ".join(known)}')
    missing = [
        name
        for name, field in known.items()
        if name not in values and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        raise ValueError(f'{where} lacks {", ".join(missing)}')
    types = get_type_hints(kind)
    members = {n: built(types[n], value, f'{where}.{n}') for n, value in values.items()}
    try:
        return kind(**members)
    except ValueError as error:
        raise ValueError(f'{where}: {error}') from None


def _one_of(kind: Any, value: object, where: str) -> Any:
    choices = get_args(kind)
    for choice in choices:
        # A mapping can only mean the dataclass; its own errors say more than "none of these".
        if is_dataclass(choice) and isinstance(value, Mapping):
            return built(choice, value, where)
    for choice in choices:
        try:
            return built(choice, value, where)
        except ValueError:
            continue
    raise ValueError(f'{where} is {value!r}; give {_words(kind)}')


def _tuple(kind: Any, values: list[object], where: str) -> tuple[Any, ...]:
    kinds = get_args(kind)
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(values)
    if len(kinds) != len(values):
        raise ValueError(f'{where} is {values!r}; give {_words(kind)}')
    return tuple(built(k, v, f'{where}[{i}]') for i, (k, v) in enumerate(zip(kinds, values)))


def _words(kind: Any) -> str:
    members = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return ' or '.join(_words(k) for k in members)
    if get_origin(kind) is Literal:
        return ' or '.join(map(str, members))
    if get_origin(kind) is tuple:
        if members[-1] is Ellipsis:
            return f'a list, each {_words(members[0])}'
        return f'a list of {len(members)}: {", ".join(_words(k) for k in members)}'
    if get_origin(kind) is Mapping:
        return f'names and values, each {_words(members[1])}'
    if is_dataclass(kind):
        return f'keys and values ({", ".join(f.name for f in fields(kind))})'
    return WORDS[kind]

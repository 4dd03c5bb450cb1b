"""The fixtures of the published image preparation."""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import json
from pathlib import Path
import re
from typing import Any

from fourd_perception.evaluation.parity.comparison import compare, Comparison, read_arrays
from fourd_perception.model.published_preprocessing import load_images, load_squares
import numpy as np
import torch

PIXEL, POOLED, EXACT = 2 / 255, 2e-3, 1e-5
TARGETS = re.compile(r'(img\d+|batch_first(?P<batch>\d+))_(?P<mode>crop|pad)_(?P<what>.+)')


def check_preprocessing(folder: Path) -> list[Comparison]:
    """Every array of expected.npz and every shape and sum of expected.json."""
    images = sorted(folder.glob('img*.png'), key=lambda p: int(p.name[3:].split('_')[0]))
    described = json.loads((folder / 'expected.json').read_text())
    results = []
    arrays = read_arrays(folder / 'expected.npz')
    for name in arrays:
        results += _array(name, arrays, images)
    for path in images:
        for mode in ('crop', 'pad'):
            if path.name in described:
                results += _description(path, mode, described[path.name])
    return results


def _array(name: str, arrays: Mapping[str, np.ndarray], images: list[Path]) -> list[Comparison]:
    wanted = arrays[name]
    own = {path.name.split('_')[0]: path for path in images}
    stem = name.split('_')[0]
    if square := re.fullmatch(r'img\d+_square(\d+)(_coords)?', name):
        pixels, places = load_squares([own[stem]], int(square[1]))
        if square[2]:
            return [compare(stem, 'square coords', places[0], wanted, EXACT)]
        return [compare(stem, 'square pixels', pixels[0], wanted, PIXEL)]
    match = TARGETS.fullmatch(name)
    if match is None:
        return [Comparison(name, name, np.inf, None, 'an array that is not known here')]
    many = match['batch']
    paths = images[: int(many)] if many else [own[stem]]
    case = f'the first {many}' if many else stem
    mode, what = match['mode'], match['what']
    target = re.fullmatch(r'target(\d+)', what)
    prepared = load_images(paths, mode, int(target[1])) if target else load_images(paths, mode)
    found = prepared if many else prepared[0]
    if target:
        return [compare(case, f'{mode} pixels', found, wanted, PIXEL)]
    if what == 'row_mid':
        return [compare(case, f'{mode} pixels', found[:, found.shape[1] // 2], wanted, PIXEL)]
    pooled = torch.nn.functional.avg_pool2d(found, 14)
    return [compare(case, f'{mode} 14x14 means', pooled, wanted, POOLED)]


def _description(path: Path, mode: str, described: dict[str, Any]) -> list[Comparison]:
    case, wanted = path.name, described[mode]
    found = load_images([path], mode)
    octets = (found * 255).round().to(torch.uint8).numpy()
    same = hashlib.sha256(octets.tobytes()).hexdigest() == wanted['sha256_uint8']
    note = '' if same else 'not the very bytes of the reference: another bicubic filter'
    mean = abs(float(found.double().mean()) - wanted['mean'])
    return [
        compare(case, f'{mode} shape', np.array(found.shape), np.array(wanted['shape']), 0.0),
        Comparison(case, f'{mode} mean', mean, POOLED, note),
    ]

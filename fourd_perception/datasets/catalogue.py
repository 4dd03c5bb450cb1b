"""The data sets by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import inspect
from pathlib import Path
from typing import Any, get_type_hints

from fourd_perception.datasets.bonn import open_bonn
from fourd_perception.datasets.co3d import open_co3d
from fourd_perception.datasets.dataset import DataSet
from fourd_perception.datasets.davis import open_davis
from fourd_perception.datasets.dynamic_replica import open_dynamic_replica
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.kitti import open_kitti_depth, open_kitti_flow
from fourd_perception.datasets.kubric import open_kubric
from fourd_perception.datasets.point_odyssey import open_point_odyssey
from fourd_perception.datasets.scannet import open_scannet
from fourd_perception.datasets.seven_scenes import open_seven_scenes
from fourd_perception.datasets.sintel import open_sintel
from fourd_perception.datasets.spring import open_spring
from fourd_perception.datasets.tartanair import open_tartanair
from fourd_perception.datasets.tum_rgbd import open_tum_rgbd
from fourd_perception.datasets.vkitti2 import open_vkitti2
from fourd_perception.datasets.waymo import open_waymo

CATALOGUE: Mapping[str, Callable[..., DataSet]] = {
    'bonn': open_bonn,
    'co3d': open_co3d,
    'davis': open_davis,
    'dynamic_replica': open_dynamic_replica,
    'kitti_depth': open_kitti_depth,
    'kitti_flow': open_kitti_flow,
    'kubric': open_kubric,
    'point_odyssey': open_point_odyssey,
    'scannet': open_scannet,
    'seven_scenes': open_seven_scenes,
    'sintel': open_sintel,
    'spring': open_spring,
    'tartanair': open_tartanair,
    'tum_rgbd': open_tum_rgbd,
    'vkitti2': open_vkitti2,
    'waymo': open_waymo,
}


class AbsentDataSet(DataSetError):
    """The root of a data set is no folder."""


def open_data_set(name: str, root: Path, **options: Any) -> DataSet:
    """A data set of the catalogue, by the options that its `open_...` takes beside the root.

    Raises AbsentDataSet when the root is no folder, DataSetError for an unknown name or option
    and for files that cannot be used; both name the set.
    """
    option_types(name, options)
    if not root.is_dir():
        raise AbsentDataSet(
            f'data set {name} is absent: {root} is no folder; download it there, correct the '
            'root, or leave it out by `skip_absent: true`'
        )
    return CATALOGUE[name](root, **options)


def option_types(name: str, options: Iterable[str]) -> dict[str, Any]:
    """The type of each of the options, as the `open_...` of a data set has it.

    Raises DataSetError for an unknown set, and for an option that it does not take.
    """
    if name not in CATALOGUE:
        raise DataSetError(f'data set {name!r} is unknown; take one of {tuple(CATALOGUE)}')
    known = tuple(inspect.signature(CATALOGUE[name]).parameters)[1:]
    if unknown := sorted(set(options) - set(known)):
        accepted = ', '.join(known) or 'none'
        raise DataSetError(f'data set {name} takes no option {unknown[0]!r}; it takes {accepted}')
    types = get_type_hints(CATALOGUE[name])
    return {option: types[option] for option in options}

"""FSDP2 divides the networks of all tasks, and divided they learn what they learn whole."""

from __future__ import annotations

from collections.abc import Iterator

from fourd_perception.model.heads.flow import FlowConfig
from fourd_perception.training.big import BigPhase, BigSettings
from fourd_perception.training.clip_source import SourceSettings
from fourd_perception.training.clip_stages import ClipStage
from fourd_perception.training.flow import FlowSettings, FlowStage
from fourd_perception.training.heads import HeadsSettings
from fourd_perception.training.objective import backward, divided, Objective
from fourd_perception.training.processes import Processes
from fourd_perception.training.small import SmallSettings
from fourd_perception.training.sub_grids import GridSettings
from fourd_perception.training.task import StepContext, TaskSettings
import pytest
from tiny_networks import TINY_SMALL
import torch
from torch import distributed
from torch.distributed.tensor import DTensor

ALONE = Processes(0, 1, torch.device('cpu'))
TASKS = {
    'flow': FlowSettings(
        FlowConfig(radius=2, updates=2, width=16, fine_width=(8, 8), pyramid=(8, 16, 16, 16)),
        (FlowStage(size=(48, 64), layered=1.0),),
    ),
    'big': BigSettings(
        preset='tiny',
        size=(28, 42),
        grids=GridSettings((2, 2), views=1, banded=0.0, strided=0.0, portrait=0.0),
        phases=(BigPhase(heads=('camera', 'depth', 'mask', 'flow')),),
        source=SourceSettings(scenes=(3,)),
    ),
    'heads': HeadsSettings(preset='tiny', width=8, size=(28, 42), instants=2, scenes=2),
    'small': SmallSettings(
        network=TINY_SMALL,
        stages=(ClipStage(size=(32, 48)),),
        grids=GridSettings((2, 2), views=1, banded=0.0, strided=0.0, portrait=0.0),
    ),
}


@pytest.fixture
def group() -> Iterator[None]:
    """One process, which divides by one."""
    distributed.init_process_group('gloo', store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def gradients(settings: TaskSettings, divide: bool) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    task = settings.build(ALONE.device)
    module = Objective(task)
    if divide:
        divided(module, ALONE)
    backward(module, [StepContext(0, 0.5, (2**31, 2**31 + 1), ALONE.device)], None, 2, ALONE, None)
    found = {n: p.grad for n, p in task.network.named_parameters() if p.grad is not None}
    assert all(isinstance(grad, DTensor) == divide for grad in found.values())
    return {n: g.full_tensor() if isinstance(g, DTensor) else g for n, g in found.items()}


@pytest.mark.parametrize('kind', TASKS)
def test_divided_a_network_has_the_gradients_of_a_whole_one(group, kind):
    whole, parts = (gradients(TASKS[kind], divide) for divide in (False, True))
    assert any(n.endswith('update.match_gain') and whole[n].any() for n in whole)
    assert whole.keys() == parts.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-5, atol=1e-5, msg=name)

"""The task `small` from seeds to terms."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.training.clip_stages import ClipStage
from fourd_perception.training.small import SmallSettings, SmallTask, SmallWeights
from fourd_perception.training.sub_grids import GridSettings
from fourd_perception.training.task import StepContext
import pytest
from tiny_networks import TINY_SMALL
import torch

CPU = torch.device('cpu')
SETTINGS = SmallSettings(
    network=TINY_SMALL,
    stages=(ClipStage(0.5, (32, 48), movers=False, motion=0.0), ClipStage(1.0, (32, 48))),
    grids=GridSettings((2, 4), views=2, slices=4, band=2),
    decoded=3,
)
SEEDS = tuple(range(2**31, 2**31 + 3))


def task(settings: SmallSettings = SETTINGS) -> SmallTask:
    torch.manual_seed(0)
    built = settings.build(CPU)
    built.network.train()
    return built


def context(step: int, progress: float = 0.9, seeds: tuple[int, ...] = SEEDS) -> StepContext:
    return StepContext(step, progress, seeds, CPU)


# Every second instant, two views, a band, upright.
@pytest.mark.parametrize('step', [2, 5, 7, 8])
def test_parts_of_a_batch_add_up_to_the_whole(step):
    trained = task()
    together = trained.losses(context(step))
    again = trained.losses(context(step))
    for i, seed in enumerate(SEEDS):
        alone = trained.losses(context(step, seeds=(seed,)))
        for name, term in together.items():
            assert torch.equal(term, again[name])
            assert torch.allclose(term[i], alone[name][0], atol=1e-4), name


def test_terms_have_the_same_names_and_their_weights_in_every_step():
    trained = task()
    steps = [trained.losses(context(step, progress=step / 4)) for step in range(4)]
    names = set(vars(SmallWeights()))
    assert all(set(terms) == names for terms in steps)
    assert all(t.shape == (3,) and t.isfinite().all() for terms in steps for t in terms.values())
    heavier = replace(SETTINGS, weights=SmallWeights(depth=3.0))
    found = SmallTask(trained.network, heavier).losses(context(3, 0.75))
    assert torch.allclose(found['depth'], 3 * steps[3]['depth'], atol=1e-5)
    assert torch.allclose(found['pose'], steps[3]['pose'])


def test_a_stage_without_motion_estimates_no_flow_and_later_ones_do():
    trained = task()
    early = [trained.losses(context(step, progress=0.1)) for step in range(3)]
    assert not any(terms[name].any() for terms in early for name in ('flow', 'mask'))
    late = [trained.losses(context(step)) for step in range(3)]
    assert any(terms['flow'].any() and terms['mask'].any() for terms in late)


def test_gradients_reach_every_part_within_a_few_steps():
    trained = task()
    for step in range(4):
        torch.stack(list(trained.losses(context(step)).values())).sum().backward()
    still = [n for n, p in trained.network.named_parameters() if p.grad is None]
    # The correlation levels that images this small do not reach.
    assert all(name.startswith('flow_module.') for name in still)
    assert all(p.grad.isfinite().all() for p in trained.network.parameters() if p.grad is not None)


def test_single_images_leave_alone_what_tells_of_pairs():
    trained = task(replace(SETTINGS, grids=GridSettings(frames=(1, 1), views=1, banded=0.0)))
    torch.stack(list(trained.losses(context(0)).values())).sum().backward()
    head = trained.network.camera_head
    pairs = [*head.between.parameters(), *head.within.parameters()]
    assert all(p.grad is None for p in pairs)
    assert all(p.grad is not None for p in head.field.parameters())


def test_a_flow_module_that_is_asked_for_nothing_stays_as_it_is():
    """Without a gradient, not with one of zero: weights without gradient do not decay."""
    trained = task(replace(SETTINGS, weights=SmallWeights(flow=0.0)))
    for step in range(4):
        torch.stack(list(trained.losses(context(step)).values())).sum().backward()
    assert all(p.grad is None for p in trained.network.flow_module.parameters())
    assert any(p.grad is not None for p in trained.network.mask_head.parameters())


@pytest.mark.parametrize(
    'changes, words',
    [
        ({'decoded': 0}, '1 or more'),
        ({'stages': (ClipStage(0.4),)}, 'until'),
        ({'stages': (ClipStage(0.6), ClipStage(0.5), ClipStage())}, 'until'),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(SETTINGS, **changes)


def test_bad_stages_are_refused():
    with pytest.raises(ValueError, match='motion is 1.5'):
        ClipStage(motion=1.5)
    with pytest.raises(ValueError, match='multiples of 16'):
        ClipStage(size=(100, 130))

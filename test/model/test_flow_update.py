"""One update of the flow, and the refinement at finer sizes: whose word leads where."""

from __future__ import annotations

from fourd_perception.model.heads.flow_alignment import (
    align,
    Alignment,
    gauss_newton,
    normalised,
    rigour_of,
)
from fourd_perception.model.heads.flow_refinement import FlowRefinement
from fourd_perception.model.heads.flow_update import FlowUpdate
import pytest
import torch
from torch.nn import functional as F

SIZE = (6, 8)
LEVELS, RADIUS, WIDTH = (2, 1), 2, 8
# Opinions in their order: windows of three levels, two alignments, two neighbourhoods, rest, none.
FIRST_LEVEL, SECOND_LEVEL, COARSE, FINE, NEAR, FAR, REST, NONE = 0, 1, 3, 4, 5, 6, 7, 8


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def update_that_believes(opinion: int) -> FlowUpdate:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        update = FlowUpdate(LEVELS, RADIUS, WIDTH)
    with torch.no_grad():
        update.step.bias[opinion] = 100.0
    return update


def alignments() -> list[Alignment]:
    """Of pictures with 1 and 2 pixels along a cell, under no flow."""
    sizes = [(n, n * SIZE[0], n * SIZE[1]) for n in (1, 2)]
    return [
        align(normalised(drawn(2, 3, h, w)), torch.zeros(2, 2, h, w), 5).pooled(n)
        for n, h, w in sizes
    ]


def peaked() -> list[torch.Tensor]:
    """Windows that are high one cell to the right of their middle."""
    windows = [torch.zeros(2, SIZE[0] * SIZE[1], 5, 5) for _ in range(sum(LEVELS))]
    for window in windows:
        window[..., 2, 3] = 1.0
    return windows


def told(
    update: FlowUpdate,
    flow: torch.Tensor,
    aligned: list[Alignment],
    windows: list[torch.Tensor] | None = None,
) -> torch.Tensor:
    """The step that the update takes."""
    hidden, context = torch.zeros(2, WIDTH, *SIZE), torch.zeros(2, 3 * WIDTH, *SIZE)
    rest, windows = torch.zeros(2, 1, *SIZE), windows or peaked()
    with torch.no_grad():
        return update(hidden, context, flow, rest, windows, aligned)[1] - flow


@pytest.mark.parametrize(('opinion', 'cells'), [(FIRST_LEVEL, 1.0), (SECOND_LEVEL, 2.0)])
def test_peaks_lead_as_many_cells_as_their_level_is_coarse(opinion, cells):
    step = told(update_that_believes(opinion), torch.zeros(2, 2, *SIZE), alignments())
    torch.testing.assert_close(step[:, 0], torch.full_like(step[:, 0], cells), rtol=0, atol=1e-3)
    assert step[:, 1].abs().max() < 1e-3


def test_rest_takes_all_flow_away_and_no_step_leaves_it():
    flow = drawn(2, 2, *SIZE) * 6 - 3
    aligned = alignments()
    torch.testing.assert_close(told(update_that_believes(REST), flow, aligned), -flow)
    assert told(update_that_believes(NONE), flow, aligned).abs().max() < 1e-5


@pytest.mark.parametrize('opinion', [NEAR, FAR])
def test_neighbours_draw_a_lone_flow_to_theirs(opinion):
    flow = torch.zeros(2, 2, *SIZE)
    flow[..., 3, 4] = 10.0
    step = told(update_that_believes(opinion), flow, alignments())
    assert (step[..., 3, 4] < -5).all()


@pytest.mark.parametrize('doubtful', ['match', 'alignment'])
def test_neighbours_are_heard_that_match_well_and_stand_firm(doubtful):
    flow = torch.zeros(2, 2, *SIZE)
    flow[:, 0, :, 4:] = 6.0
    aligned, windows = alignments(), peaked()
    if doubtful == 'match':
        windows[0].unflatten(1, SIZE)[:, :, :4, 2, 2] = 1.0
    else:
        aligned[0].eigenvalue[..., 4:] = 0.0
    step = told(update_that_believes(NEAR), flow, aligned, windows)
    assert step[:, 0, :, 4:6].max() < -5.5 and step[:, 0, :, :4].abs().max() < 0.5


def test_learned_features_have_no_say_before_they_are_trained():
    update = update_that_believes(NONE)
    with torch.no_grad():
        update.step.bias[NONE] = 0.0
    windows = peaked()
    windows[2].copy_(windows[2].flip(3))
    step = told(update, torch.zeros(2, 2, *SIZE), alignments(), windows)
    assert step[:, 0].min() > 0.5
    windows[:2] = [window.flip(3) for window in windows[:2]]
    assert told(update, torch.zeros(2, 2, *SIZE), alignments(), windows)[:, 0].max() < -0.5


def test_what_the_network_adds_by_itself_is_added():
    update = update_that_believes(NONE)
    with torch.no_grad():
        update.step.bias[-2:] = torch.tensor([0.5, -0.25])
    step = told(update, torch.zeros(2, 2, *SIZE), alignments())
    torch.testing.assert_close(step, torch.tensor([0.5, -0.25]).view(2, 1, 1).expand_as(step))


@pytest.mark.parametrize('part', [slice(0, 8), slice(8, 16), slice(16, 24)])
def test_every_gate_knows_the_context(part):
    update, flow, aligned = update_that_believes(NONE), torch.zeros(2, 2, *SIZE), alignments()
    hidden, context = drawn(2, WIDTH, *SIZE) - 0.5, torch.zeros(2, 3 * WIDTH, *SIZE)
    with torch.no_grad():
        before, _ = update(hidden, context, flow, flow[:, :1], peaked(), aligned)
        context[:, part] = 2.0
        after, _ = update(hidden, context, flow, flow[:, :1], peaked(), aligned)
    assert (after - before).abs().mean() > 0.005


@pytest.mark.parametrize(('opinion', 'pixels'), [(COARSE, 1), (FINE, 2)])
def test_steps_of_alignments_are_in_cells(opinion, pixels):
    aligned, still = alignments(), torch.zeros(2, 2, *SIZE)
    step = told(update_that_believes(opinion), still, aligned)
    products = aligned[pixels - 1].products
    expected = gauss_newton(products, still, rigour_of(torch.tensor(-2.3))) / pixels
    assert expected.abs().max() > 0.05
    torch.testing.assert_close(step, expected, rtol=1e-4, atol=1e-5)


def test_refinement_doubles_the_flow_and_finds_the_rest_of_the_way():
    image = F.interpolate(drawn(1, 3, 12, 16), scale_factor=4, mode='bicubic')
    pair = normalised(torch.cat([image[..., 1:49], image[..., :48]]))  # one pixel to the right
    torch.manual_seed(0)
    refinement = FlowRefinement(4, 8, updates=3, window=5).eval()
    # Half of the way, in the pixels of the level below.
    start = torch.tensor([[0.25, 0.0], [-0.25, 0.0]]).view(2, 2, 1, 1).repeat(1, 1, 24, 24)
    with torch.no_grad():
        state, flows = refinement(torch.zeros(2, 4, 24, 24), start, pair)
    assert state.shape == (2, 8, 48, 48) and len(flows) == 3
    truth = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).view(2, 2, 1, 1)
    errors = [(flow - truth)[..., 8:-8, 8:-8].norm(dim=1).mean() for flow in flows]
    assert errors[0] < 0.4 and errors[2] < 0.5 * errors[0] and errors[2] < 0.1


def plain_refinement(
    answer: torch.Tensor, flow: torch.Tensor, pair: torch.Tensor, window: int
) -> torch.Tensor:
    """A step from the flow [2, 2, h, w], neighbour by neighbour, two pixels apart."""
    alignment = align(pair, flow, window)
    height, width = flow.shape[2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    total, weights = torch.zeros_like(flow), torch.zeros_like(flow[:, :1])
    for number in range(9):
        row = (y + 2 * (number // 3 - 1)).clamp(0, height - 1)
        column = (x + 2 * (number % 3 - 1)).clamp(0, width - 1)
        weight = alignment.trust[..., row, column] * answer[number].exp()
        total, weights = total + weight * flow[..., row, column], weights + weight
    towards = total / weights - flow
    return flow + gauss_newton(alignment.products, towards, rigour_of(answer[9]))


@pytest.mark.parametrize('rigour', [-6.0, -2.3, 4.0])
def test_a_refinement_heeds_neighbours_by_their_trust_and_by_what_the_network_says(rigour):
    image = drawn(1, 3, 24, 32)
    image[..., 10:20] = 0.5  # plain: little trust
    pair = normalised(torch.cat([image, image.roll(1, -1)]))
    torch.manual_seed(0)
    refinement = FlowRefinement(4, 8, updates=2, window=5)
    answer = torch.cat([2 * drawn(9, seed=1) - 1, torch.tensor([rigour])])
    start = drawn(2, 2, 12, 16, seed=2) - 0.5
    with torch.no_grad():
        refinement.answer.bias.copy_(answer)
        _, (first, second) = refinement(torch.zeros(2, 4, 12, 16), start, pair)
    torch.testing.assert_close(
        second, plain_refinement(answer, first, pair, 5), rtol=1e-4, atol=1e-4
    )
    assert (second - first).abs().mean() > 0.01

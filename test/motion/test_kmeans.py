"""k-means: the same every time, from where it stood, with clusters that run empty."""

from __future__ import annotations

from fourd_perception.motion import kmeans as module
from fourd_perception.motion.kmeans import kmeans
import pytest
import torch


def blobs(count: int, each: int = 40, dim: int = 6, seed: int = 0):
    """Rows around well separated centres, shuffled; and which centre each is of."""
    generator = torch.Generator().manual_seed(seed)
    centres = 10 * torch.randn(count, dim, generator=generator)
    labels = torch.arange(count).repeat(each)[torch.randperm(count * each, generator=generator)]
    return centres[labels] + 0.1 * torch.randn(count * each, dim, generator=generator), labels


def test_separate_blobs_are_found():
    rows, labels = blobs(12)
    found = kmeans(rows, 12).labels
    pairs = {(a, b) for a, b in zip(found.tolist(), labels.tolist())}
    assert len(pairs) == 12


def test_the_result_is_a_fixed_point_of_the_plain_algorithm():
    rows = torch.randn(300, 3, generator=torch.Generator().manual_seed(3))
    found = kmeans(rows, 7, tolerance=0.0)
    for i, row in enumerate(rows):
        distances = [(row - centre).square().sum().item() for centre in found.centres]
        assert distances[found.labels[i]] <= min(distances) + 1e-5
    for k in range(7):
        torch.testing.assert_close(
            found.centres[k], rows[found.labels == k].mean(0), rtol=1e-4, atol=1e-4
        )


def test_it_is_the_same_every_time_and_leaves_other_random_numbers_alone():
    rows, _ = blobs(5, seed=2)
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    first, second = kmeans(rows, 8), kmeans(rows.clone(), 8)
    assert torch.equal(first.labels, second.labels)
    assert torch.equal(first.centres, second.centres)
    assert torch.equal(state, torch.random.get_rng_state())


def test_chunks_change_nothing(monkeypatch):
    rows, _ = blobs(5, seed=4)
    whole = kmeans(rows, 9)
    monkeypatch.setattr(module, 'CHUNK', 17)
    assert torch.equal(kmeans(rows, 9).labels, whole.labels)


def test_from_where_it_stood_the_labels_stay():
    rows, _ = blobs(6, seed=5)
    before = kmeans(rows, 6)
    moved = rows + 0.05
    after = kmeans(moved, 6, iterations=4, start=before.centres)
    assert torch.equal(before.labels, after.labels)


def test_an_empty_cluster_takes_the_farthest_row():
    rows = torch.cat([torch.zeros(20, 2), torch.tensor([[100.0, 0.0]])])
    start = torch.tensor([[0.0, 0.0], [-500.0, 0.0]])
    found = kmeans(rows, 2, start=start)
    assert found.labels[-1] == 1
    assert (found.labels[:-1] == 0).all()


def test_fewer_rows_than_clusters_are_clusters_of_their_own():
    rows = torch.tensor([[0.0], [5.0], [9.0]])
    found = kmeans(rows, 64)
    assert sorted(found.labels.tolist()) == [0, 1, 2]
    assert kmeans(torch.ones(10, 3), 4).labels.shape == (10,)
    with pytest.raises(ValueError, match='at least one'):
        kmeans(torch.zeros(0, 3), 4)

"""Sinkhorn's iteration: each matrix for itself, on logarithms."""

import torch

from lightning_modules.videowalk.sinkhorn import sinkhorn, sinkhorn_published


def test_matrix_does_not_depend_on_its_batch() -> None:
    easy, hard = torch.zeros(5, 5), 8 * torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    together, counts = sinkhorn(torch.stack([easy, hard]), 1e-3, 500)
    alone, count = sinkhorn(hard, 1e-3, 500)
    assert counts.tolist() == [1, int(count)]
    assert count > 1
    torch.testing.assert_close(together[1], alone)
    torch.testing.assert_close(together.sum(-1), torch.ones(2, 5))
    assert alone.sum(-2).std() <= 1e-3
    # In the published version the easy one goes on with the hard one.
    assert sinkhorn_published(torch.stack([easy, hard]).exp(), 1e-3, 500)[1] > 1


def test_low_temperature_neither_overflows_nor_empties_rows() -> None:
    logs = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)) / 0.002
    assert not torch.isfinite(sinkhorn_published(logs.exp(), 1e-2, 20)[0]).all()
    matrices, _ = sinkhorn(logs, 1e-2, 20)
    assert torch.isfinite(matrices).all()
    torch.testing.assert_close(matrices.sum(-1), torch.ones(6))

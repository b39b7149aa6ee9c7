"""What every test starts from: seeded generators, one torch thread per test worker, nothing left of the test before."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

# Two test workers share two cores: a slow example says nothing about the code, nor do examples that are drawn slowly.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("project")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _clean_state() -> Iterator[None]:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()

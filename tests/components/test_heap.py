import subprocess
import sys

import pytest

# Page faults of the blocks of a feed-forward layer, after two rounds.
COUNT = """
import resource, sys
import torch
from components.heap import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "keep":
    assert keep_freed_memory()
expand, contract = torch.nn.Linear(256, 1024), torch.nn.Linear(1024, 256)
@torch.no_grad()
def rounds(count):
    for _ in range(count):
        x = torch.ones(3840, 256)
        for _ in range(4):
            x = x + contract(torch.nn.functional.gelu(expand(x)))
rounds(2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
rounds(5)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library of Linux")
def test_freed_memory_is_used_again_without_faults() -> None:
    faults = {}
    for mode in ("keep", "plain"):
        done = subprocess.run([sys.executable, "-c", COUNT, mode], capture_output=True, text=True, check=True)
        faults[mode] = int(done.stdout)
    assert faults["keep"] < 0.5 * faults["plain"]

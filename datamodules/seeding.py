"""Seeds that depend on all of their parts and on nothing else."""

import numpy as np


def fold_seed(*parts: int) -> int:
    """A seed in 0..2**63-1 from any number of non-negative whole numbers.

    Neighbouring parts give unrelated seeds (numpy's `SeedSequence` hash), so (seed, epoch, batch) go in as they are.
    """
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))

"""Games with known Shapley values."""

from itertools import combinations
from math import factorial

import numpy as np
import torch

QUARTERS = torch.arange(8)[:, None] // 2 * 4 + torch.arange(8) // 2  # 16 blocks of a digit


def table_game(table):
    """A game with a given value for every coalition: the input is the coalition itself."""
    table = torch.as_tensor(table)
    players = (table.shape[0] - 1).bit_length()
    bits = 2 ** torch.arange(players)
    return (lambda x: table[(x.long() * bits).sum(1)]), torch.ones(1, players, dtype=torch.float64)


def enumerated(table):
    """Shapley's own formula over all subsets."""
    table = np.asarray(table)
    n = (len(table) - 1).bit_length()
    values = np.zeros((n, *table.shape[1:]))
    for player in range(n):
        others = [other for other in range(n) if other != player]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for subset in combinations(others, size):
                code = sum(1 << member for member in subset)
                values[player] += weight * (table[code | 1 << player] - table[code])
    return values


def random_table(players, seed=0):
    return np.random.default_rng(seed).normal(size=2**players)

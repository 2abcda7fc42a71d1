"""What the library costs, beside what it could cost: budgets as ratios measured in one run, never as timed tests."""

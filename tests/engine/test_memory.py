"""What a session remembers, and when it must not."""

import torch
from torch import nn

from xaiwidgets.api import Session
from xaiwidgets.engine.memory import Memory


def test_the_oldest_goes_first_and_the_one_in_use_stays():
    memory = Memory(limit=100)
    memory.of("a")["x"] = torch.zeros(20, dtype=torch.uint8)
    memory.of("b")["x"] = (torch.zeros(20, dtype=torch.float32), 1.0)
    assert memory.nbytes() == 100
    assert "x" in memory.of("a")  # now the newest
    memory.of("c")["x"] = torch.zeros(200, dtype=torch.uint8)
    assert "x" in memory.of("c")  # too large, but in use
    assert not memory.of("a")
    assert not memory.of("b")


def test_new_weights_are_noticed():
    model = nn.Linear(3, 2).eval()
    session = Session(model, torch.rand(1, 3), target=0)
    first = session.attribute(tolerance=0.0)
    again = session.attribute(tolerance=0.0)
    assert first.evaluations["gradient"] > 0
    assert again.evaluations == {"forward": 0, "gradient": 0}
    assert torch.equal(first.values, again.values)
    with torch.no_grad():
        model.weight.mul_(2)
    doubled = session.attribute(tolerance=0.0)
    assert doubled.evaluations["gradient"] > 0
    torch.testing.assert_close(doubled.values, 2 * first.values)
    model.weight.data.mul_(2)  # leaves no trace, hence forget()
    session.forget()
    torch.testing.assert_close(session.attribute(tolerance=0.0).values, 4 * first.values)
    model.weight = nn.Parameter(torch.ones(2, 3))
    torch.testing.assert_close(session.attribute(tolerance=0.0).values, session.problem.points)

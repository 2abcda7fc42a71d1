"""A pool of Ray actors: the same bytes as in one process, and an actor's death is survived."""

import os
import signal

import pytest
from training_parts import PROJECTION, Slow, contents, environment, finished, spec_of, steps

from xaiwidgets.engine.errors import InputError
from xaiwidgets.training import build as building

ray = pytest.importorskip("ray", reason="Ray is not installed (extra: ray)")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(
        num_cpus=2, include_dashboard=False, object_store_memory=200 * 2**20, log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": environment()["PYTHONPATH"]}},
    )  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(building, "SMALLEST", 20)


def test_the_shards_are_those_of_one_process_though_an_actor_is_killed(tmp_path):
    reference = contents(finished(spec_of(), tmp_path / "local").path)
    spec = spec_of(Slow(130, tmp_path, seconds=0.05))
    build = building.build(spec, path=tmp_path / "ray", projection=PROJECTION, engine="ray")
    done, killed = [], None
    for step in build:
        done.append(step.done)
        if step.done and killed is None:
            killed = next(int(file.name) for file in tmp_path.iterdir() if file.name.isdigit())
            os.kill(killed, signal.SIGKILL)
    assert killed is not None
    assert next(filter(None, done)) < 130
    assert done[-1] == 130
    assert contents(tmp_path / "ray") == reference


def test_an_error_of_the_user_comes_back_as_it_is(tmp_path):
    data = Slow(40, tmp_path)
    data.labels[25] = 12
    with pytest.raises(InputError, match="Label 12 does not exist") as caught:
        steps(spec_of(data), tmp_path / "index", engine="ray")
    assert caught.value.code == "label_range"

"""Two worker processes of a Dask cluster: the same bytes as in one process, and a worker's death is survived."""

import os
import signal
import threading

import pytest
from training_parts import PROJECTION, Slow, contents, finished, spec_of, steps

from xaiwidgets.engine.errors import Cancelled, InputError, ModelError
from xaiwidgets.training import build as building
from xaiwidgets.training.shards import Shards

distributed = pytest.importorskip("distributed", reason="Dask is not installed (extra: scale)")


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory="/tmp"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(building, "SMALLEST", 20)


def test_the_shards_are_those_of_one_process_though_a_worker_is_killed(client, tmp_path):
    reference = contents(finished(spec_of(), tmp_path / "local").path)
    spec = spec_of(Slow(130, tmp_path, seconds=0.02))
    build = building.build(
        spec, path=tmp_path / "dask", projection=PROJECTION, engine="dask"
    )  # the client that is open
    done, killed = [], None
    for step in build:
        done.append(step.done)
        if step.done and killed is None:
            killed = _busy(client)
            os.kill(killed, signal.SIGKILL)
    assert killed is not None
    assert next(filter(None, done)) < 130
    assert done[-1] == 130
    assert contents(tmp_path / "dask") == reference
    assert Shards(tmp_path / "dask").verify() == []
    assert int(killed) in {int(file.name) for file in tmp_path.iterdir() if file.name.isdigit()}  # it had been at work


def _busy(client):
    """The process of a worker that is writing a block now."""
    processes = client.run(os.getpid)
    address = next(address for address, keys in client.processing().items() if keys and address in processes)
    return processes[address]


def test_an_interrupt_withdraws_what_has_not_begun(client, tmp_path):
    asked = threading.Event()

    def interrupt():
        if asked.is_set():
            raise Cancelled

    build = building.build(
        spec_of(Slow(130, tmp_path, seconds=0.02)),
        path=tmp_path / "index", projection=PROJECTION, engine=client, interrupt=interrupt,
    )  # fmt: skip
    while not next(build).done:
        pass
    asked.set()
    with pytest.raises(Cancelled):
        list(build)
    assert 2 <= len(contents(tmp_path / "index")) < 14
    assert not any(name.startswith("xaiwidgets") for name in client.run_on_scheduler(_plugins))
    assert steps(spec_of(Slow(130, tmp_path)), tmp_path / "index", engine=client)[-1].done == 130


def _plugins(dask_scheduler):
    return list(dask_scheduler.worker_plugins)


def test_an_error_of_the_user_comes_back_as_it_is(client, tmp_path):
    data = Slow(40, tmp_path)
    data.labels[25] = 12
    with pytest.raises(InputError, match="Label 12 does not exist") as caught:
        steps(spec_of(data), tmp_path / "index", engine=client)
    assert caught.value.code == "label_range"


def test_what_cannot_travel_is_said(client, tmp_path):
    data = Slow(20, tmp_path)
    data.lock = threading.Lock()
    with pytest.raises(InputError) as caught:
        steps(spec_of(data), tmp_path / "index", engine=client)
    assert caught.value.code == "not_portable"


def test_a_block_that_kills_its_workers_is_said(client, tmp_path):
    scheduler = client.cluster.scheduler
    allowed, scheduler.allowed_failures = scheduler.allowed_failures, 0
    try:
        with pytest.raises(ModelError) as caught:
            steps(spec_of(Slow(40, tmp_path, deadly=3)), tmp_path / "index", engine=client)
    finally:
        scheduler.allowed_failures = allowed
    assert caught.value.code == "worker_died"

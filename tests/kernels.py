"""Kernels at once: a process imports what each of them would take seconds to import, and every kernel is a fork of it.

`forked()` starts that process and gives the environment in which Jupyter's kernel "python3" is such a fork. What Jupyter
starts, interrupts and waits for is a small process that stands for the fork; each ends when their connection does.
"""

import atexit
import gc
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from select import select
from typing import BinaryIO

# the first is what any optimizer imports
IMPORTED = ("torch._dynamo", "matplotlib.pyplot", "sklearn.datasets", "ipykernel.kernelapp", "xaiwidgets")
INTERRUPT = b"i"


@cache
def forked() -> dict[str, str]:
    """The environment for a Jupyter server; what it speaks of lives as long as this process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    address = folder / "kernels.socket"
    spec = folder / "kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [sys.executable, "-I", "-S", __file__, "stand_for", str(address), "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))
    # what ipykernel sets for a matplotlib that is not imported yet
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    process = subprocess.Popen(
        [sys.executable, __file__, "fork", str(address)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == b"listening\n"
    return {"JUPYTER_PATH": str(folder)}


def fork(address: str) -> None:
    """Import, and be forked by whoever connects."""
    sys.path.pop(0)  # this file's folder
    for name in IMPORTED:
        importlib.import_module(name)
    for name in sys.modules["xaiwidgets"].__all__:
        getattr(sys.modules["xaiwidgets"], name)
    gc.freeze()  # a fork's collector writes to none of it, so that they go on sharing it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("listening", flush=True)
        while sys.stdin not in select([listening, sys.stdin], [], [])[0]:  # which is closed when the tests are over
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _be_a_kernel(connection)
            connection.close()


def _be_a_kernel(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(connection, 1, 2)
    said = connection.makefile("rb")
    asked = json.loads(said.readline())
    os.setsid()
    for stream, number in zip(streams, (1, 2), strict=True):
        os.dup2(stream, number)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path[:0] = filter(None, asked["environment"].get("PYTHONPATH", "").split(os.pathsep))
    threading.Thread(target=_listen, args=[said], daemon=True).start()
    from ipykernel.kernelapp import IPKernelApp

    # it need not look for its parent's end: `_listen` does
    IPKernelApp.launch_instance(["-f", asked["file"], "--IPKernelApp.parent_handle=1"])
    os._exit(0)


def _listen(said: BinaryIO) -> None:
    while said.read(1) == INTERRUPT:
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGKILL)


def stand_for(address: str, file: str) -> None:
    """Be what Jupyter takes for the kernel: pass interrupts on, end when it ends and the other way round."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        asked = {"file": file, "folder": str(Path.cwd()), "environment": dict(os.environ)}
        socket.send_fds(connection, [b" "], [1, 2])
        connection.sendall(json.dumps(asked).encode() + b"\n")
        signal.signal(signal.SIGINT, lambda *_: connection.send(INTERRUPT))
        connection.recv(1)


if __name__ == "__main__":
    {"fork": fork, "stand_for": stand_for}[sys.argv[1]](*sys.argv[2:])

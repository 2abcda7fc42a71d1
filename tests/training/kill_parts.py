"""Run as a program: builds that die. Each child is killed (SIGKILL) at another moment between the first and last file.

usage: kill_parts.py FOLDER MOMENTS; writes FOLDER/N/ for N = 0 … MOMENTS - 1 and prints the signals the children died of.
"""

import os
import pathlib
import signal
import stat
import sys

from training_parts import finished, small_blocks, spec_of

ROWS = 70
STEP = 3  # four moments a file: every kind has its turn


class Moment:
    """The `number`-th time a file is about to be made safe, is safe but has no name yet, or has just got its name."""

    def __init__(self, number: int) -> None:
        self.left = number

    def pass_by(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def doomed(folder: pathlib.Path, number: int) -> None:
    moment = Moment(number)
    fsync, replace = os.fsync, pathlib.Path.replace

    def half_written(descriptor: int) -> None:
        if moment.left == 0 and os.fstat(descriptor).st_size and not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        moment.pass_by()
        fsync(descriptor)

    def renamed(self: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        moment.pass_by()
        result = replace(self, target)
        moment.pass_by()
        return result

    os.fsync, pathlib.Path.replace = half_written, renamed
    finished(spec_of(ROWS), folder)


def main(folder: pathlib.Path, moments: int) -> None:
    small_blocks()
    spec_of()  # everything is imported and the data are read before the first fork; no gradient has been computed
    for number in range(moments):
        child = os.fork()
        if not child:
            doomed(folder / str(number), STEP * number)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status), flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))

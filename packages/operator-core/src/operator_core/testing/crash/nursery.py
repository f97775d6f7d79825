"""Where worker processes are born: a process that has imported everything and forks.

It takes a line of JSON for each worker from its input and tells of each worker's life on its
output, also a line each. When its input ends, it kills the workers and ends.
"""

import asyncio
import contextlib
import importlib
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

_LOOK_SECONDS = 0.02
_WARM = ("operator_core.testing.crash.worker", "operator_core.db.postgres.engine")
"""What every worker needs is imported once, before the forks."""


def main() -> None:
    """Serve until the input ends."""
    for module in _WARM:
        importlib.import_module(module)
    children: set[int] = set()
    _tell({"event": "ready"})
    try:
        while True:
            if select.select([0], [], [], _LOOK_SECONDS)[0]:
                line = _read_line()
                if not line:
                    return
                order = json.loads(line)
                children.add(pid := _born(order))
                _tell({"event": "born", "pid": pid, "order": order["order"]})
            _tell_of(children)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


def _read_line() -> bytes:
    """Read one line, byte by byte: what is read ahead, `select` does not see."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        line += byte
    return line


def _born(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        _live(order)
    return pid


def _live(order: dict[str, Any]) -> None:
    """Be a worker; never returns."""
    from operator_core.testing.crash import worker  # noqa: PLC0415 - imported by `main` already

    log = os.open(Path(order["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(log, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    code = 1
    try:
        asyncio.run(worker.live(worker.Task(**order["task"])))
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell_of(children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            return
        if os.WIFSTOPPED(status):
            _tell({"event": "stopped", "pid": pid})
        else:
            children.discard(pid)
            _tell({"event": "ended", "pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _tell(event: dict[str, Any]) -> None:
    os.write(1, f"{json.dumps(event)}\n".encode())


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        main()

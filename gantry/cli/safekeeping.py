"""A backup is one file that holds the whole database; putting one back never destroys what it replaces."""

import subprocess
import time
from pathlib import Path

from gantry.cli.places import VAR
from gantry.cli.postgres import Cluster, Server, chosen
from gantry.cli.up import Refused, only_one, say

DATABASE = "gantry"


def back_up(file: Path) -> int:
    server = chosen()
    if not isinstance(server, Cluster):
        return _not_ours(server)
    was_running = server.running()
    server.start()
    draft = file.with_name(f".{file.name}.part")
    try:
        draft.touch(mode=0o600)
        dump = [str(server.binaries / "pg_dump"), "--format=custom", f"--file={draft}", server.url(DATABASE)]
        status = subprocess.run(dump, check=False).returncode
        if status == 0:
            draft.replace(file)
            say(f"Backed up to {file}; images are files under {VAR / 'images'} and are copied as files")
        return status
    finally:
        draft.unlink(missing_ok=True)
        if not was_running:
            server.stop()


def put_back(file: Path) -> int:
    server = chosen()
    if not isinstance(server, Cluster):
        return _not_ours(server)
    try:
        lock = only_one()
    except Refused as refusal:
        say(str(refusal))
        return 1
    with lock:
        server.start()
        try:
            return _put_back(server, file)
        finally:
            server.stop()


def _put_back(server: Cluster, file: Path) -> int:
    arriving, aside = f"{DATABASE}_arriving", f"{DATABASE}_before_{int(time.time())}"
    server.drop_database(arriving)
    server.create_database(arriving)
    load = [str(server.binaries / "pg_restore"), "--no-owner", "--exit-on-error", "-d", server.url(arriving), str(file)]
    if status := subprocess.run(load, check=False).returncode:
        server.drop_database(arriving)
        say("Nothing has changed: the backup could not be read whole")
        return status
    if server.databases(DATABASE):
        server.rename_database(DATABASE, aside)
        say(f"The database that was here is kept as {aside}")
    server.rename_database(arriving, DATABASE)
    say("Restored; start Gantry again with `make up`")
    return 0


def _not_ours(server: Server) -> int:
    say("DATABASE_URL names a server that others keep: use its own backups, or its pg_dump and pg_restore")
    return 1

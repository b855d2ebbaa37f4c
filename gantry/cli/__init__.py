"""The `gantry` command: one verb for each thing an operator does to an installation."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from gantry.cli import day
from gantry.cli.processes import Process

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(day.app, name="day")


def _with_django() -> None:
    """Django against the database that `gantry up` keeps, or the one of DATABASE_URL."""
    from gantry.cli.postgres import running_url
    from gantry.cli.processes import environment

    url = running_url()
    if url is None:
        raise typer.Exit(_complain("No database yet: start Gantry with `gantry up`, or set DATABASE_URL."))
    os.environ.update(environment(url))
    import django

    django.setup()


def _complain(line: str) -> int:
    print(line, file=sys.stderr)
    return 1


@app.command()
def up(demonstration: Annotated[bool, typer.Option(help="Fill the demonstration network.")] = True) -> None:
    """Start everything here and keep it running until Ctrl-C."""
    from gantry.cli.up import bring_up

    raise typer.Exit(bring_up(demonstration=demonstration))


@app.command()
def serve(process: Process) -> None:
    """Run one process in the foreground, as `gantry up` does for each."""
    from gantry.cli.postgres import running_url
    from gantry.cli.processes import command, environment

    url = running_url()
    if url is None:
        raise typer.Exit(_complain("No database yet: start Gantry with `gantry up`, or set DATABASE_URL."))
    program = command(process)
    os.execve(program[0], program, environment(url))


@app.command()
def migrate() -> None:
    """Bring the tables up to date."""
    _with_django()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)


@app.command("demo")
def fill_demonstration(
    patients: Annotated[int, typer.Option(min=8, max=2000, help="How many people are referred.")] = 300,
    seed: Annotated[int, typer.Option(help="Another seed, other people.")] = 2266,
) -> None:
    """Live through the demonstration's past weeks, where that is not already done."""
    _with_django()
    from gantry.cli.demo import load

    load(patients=patients, seed=seed)


@app.command()
def signins() -> None:
    """Print who may sign in to the demonstration."""
    _with_django()
    from gantry.cli.demo import password, show_signins

    print(f"Demonstration sign-ins; the password of each is {password()}")
    for one in show_signins():
        print(f"  {one.role:<20}{one.email:<48}{one.organisation}")


@app.command("deprivation")
def load_deprivation(
    postcodes: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV with a postcode on each line.")],
    areas: Annotated[Path | None, typer.Option(exists=True, help="CSV with each area's decile or rank.")] = None,
    index: Annotated[str, typer.Option(help="Which index, of which year.")] = "IoD2019",
) -> None:
    """Load how deprived each postcode's area is, so that moves can be shown by it."""
    _with_django()
    from django.utils import timezone

    from gantry.apps.patients.services import load_deprivation as load
    from gantry.cli.deprivation import Unreadable, rows

    try:
        count = load(rows(postcodes, areas), index=index, now=timezone.now())
    except (Unreadable, UnicodeDecodeError, OSError) as refused:
        raise typer.Exit(_complain(f"Nothing was loaded: {refused}")) from None
    print(f"{count:,} postcodes by {index}")


@app.command(
    "emulate", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def play_peer(
    context: typer.Context, peer: str = typer.Argument("", help="scanner, hospital, radiopharmacy, messenger, or all.")
) -> None:
    """Play a peer: a scanner, a hospital, a radiopharmacy, a messenger; or all of them and the people, beside `gantry up`."""
    _with_django()
    from gantry.cli.emulate import run

    raise typer.Exit(run(peer, context.args))


@app.command()
def conformance(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="A folder laid out like the data README.")],
    only: Annotated[str, typer.Option(help="Checks to run, as F1,H1; all by default.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each check.")] = False,
) -> None:
    """Run every check whose input is there, in a database of its own, through the services of the live doors."""
    from gantry.cli.throwaway import throwaway_database

    with throwaway_database():
        import django

        django.setup()
        from gantry.cli.conformance import run

        status = run(data, only=tuple(name for name in only.split(",") if name), as_json=as_json)
    raise typer.Exit(status)


@app.command()
def bench(names: Annotated[list[str] | None, typer.Argument(help="Which benchmarks; all by default.")] = None) -> None:
    """Measure the claims of docs/benchmarks.md again, each beside its peer."""
    from gantry.cli.places import ROOT
    from gantry.cli.throwaway import throwaway_database

    # The modules that run by themselves; the others beside them are their peers and their instances.
    known = sorted(
        path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py") if 'if __name__ == "__main__"' in path.read_text()
    )
    if unknown := [name for name in names or [] if name not in known]:
        raise typer.Exit(_complain(f"No benchmark called {', '.join(unknown)}. There are: {', '.join(known)}"))
    failed = []
    for name in names or known:
        print(f"\n== {name}", flush=True)
        with throwaway_database():
            if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=False).returncode:
                failed.append(name)
    if failed:
        raise typer.Exit(_complain(f"Missed: {', '.join(failed)}"))


@app.command()
def backup(file: Path) -> None:
    """Write the whole database to one file (docs/runbooks/restore.md)."""
    from gantry.cli.safekeeping import back_up

    raise typer.Exit(back_up(file))


@app.command()
def restore(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Put a backup in the place of the present database, which is kept beside it under another name."""
    from gantry.cli.safekeeping import put_back

    raise typer.Exit(put_back(file))

"""Where this installation keeps what it must remember between runs, and the secrets it makes for itself."""

import os
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VAR = Path(os.environ.get("GANTRY_VAR") or ROOT / "var").absolute()


def var() -> Path:
    VAR.mkdir(parents=True, exist_ok=True)
    return VAR


def write_private(path: Path, text: str) -> None:
    """Replace `path` whole, readable by its owner alone: a reader sees the old text or the new, never half."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def remembered_secret(path: Path) -> str:
    """The secret kept at `path`, made the first time it is asked for."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        secret = secrets.token_urlsafe(48)
        write_private(path, secret)
        return secret

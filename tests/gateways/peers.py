"""DICOM peers that nobody here wrote: DCMTK's clients, dcmjs-dimse as a scanner's MPPS, Orthanc as a PACS."""

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

HERE = Path(__file__).parent
DCMTK = Path("/usr/bin")
"""pynetdicom installs scripts of the same names into the environment; these must be DCMTK's."""

START_S = 30.0


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [name for name in programs if shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin") is None]
    if "node" in missing and shutil.which("node"):
        missing.remove("node")
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: "subprocess.Popen[bytes] | None" = None) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the peer ended with {process.returncode} before it listened")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on {port}")


def run_echoscu(port: int, *, called: str, calling: str = "ECHOSCU") -> subprocess.CompletedProcess[str]:
    command = [str(DCMTK / "echoscu"), "-v", "-aet", calling, "-aec", called, "127.0.0.1", str(port)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def run_findscu(
    port: int,
    keys: Sequence[str] = (),
    *,
    called: str,
    calling: str = "FINDSCU",
    query: Path | None = None,
    options: Sequence[str] = (),
) -> list[Dataset]:
    """Worklist answers as DCMTK's `findscu -W` received them; a failure status raises."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(DCMTK / "findscu"), "-W", "-v", "-X", "-od", folder, "-aet", calling, "-aec", called, *options]
        for key in keys:
            command += ["-k", key]
        command += ["127.0.0.1", str(port), *([str(query)] if query else [])]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        said = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode or "Final Find Response (Success)" not in said:
            raise RuntimeError(said)
        return [dcmread(path, force=True) for path in sorted(Path(folder).glob("rsp*.dcm"))]


def run_storescu(
    port: int, *files: Path, called: str, calling: str = "STORESCU", options: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """DCMTK's sender; `-xs`-like options choose syntaxes. `statuses` reads what each file was answered."""
    command = [str(DCMTK / "storescu"), "-d", "-aet", calling, "-aec", called, *options, "127.0.0.1", str(port)]
    command += map(str, files)
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=False)


def statuses(done: subprocess.CompletedProcess[str]) -> list[int]:
    return [int(found, 16) for found in re.findall(r"DIMSE Status\s*: 0x([0-9a-fA-F]{4})", done.stdout + done.stderr)]


def dump2dcm(dump: Path, target: Path) -> Path:
    subprocess.run([str(DCMTK / "dump2dcm"), str(dump), str(target)], check=True, capture_output=True, timeout=60)
    return target


@dataclass(frozen=True)
class MppsAnswer:
    status: int
    comment: str


def send_mpps(port: int, requests: Sequence[Mapping[str, Any]], *, called: str, calling: str) -> list[MppsAnswer]:
    """N-CREATE and N-SET by dcmjs-dimse. Each request: `{"do": "create"|"set", "uid": …, "elements": {keyword: …}}`."""
    asked = json.dumps({"port": port, "called": called, "calling": calling, "requests": list(requests)})
    done = subprocess.run(
        ["node", str(HERE / "mpps_sender.cjs")], input=asked, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr or done.stdout)
    return [MppsAnswer(each["status"], each["comment"]) for each in json.loads(done.stdout.splitlines()[-1])]


@dataclass
class Orthanc:
    """A running PACS."""

    ae_title: str
    dicom_port: int
    http_port: int
    process: "subprocess.Popen[bytes]"
    storage: Path
    client: httpx.Client = field(repr=False)

    @property
    def qido_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        answer.raise_for_status()
        return answer.json()

    def instance_uids(self) -> set[str]:
        return {self.get(f"/instances/{each}")["MainDicomTags"]["SOPInstanceUID"] for each in self.get("/instances")}

    def forget(self, sop_instance_uid: str) -> None:
        found = self.client.post("/tools/lookup", content=sop_instance_uid).json()
        for each in found:
            self.client.delete(each["Path"]).raise_for_status()


@contextmanager
def start_orthanc(
    folder: Path,
    *,
    ae_title: str = "HOSPITALPACS",
    modalities: Mapping[str, tuple[str, str, int]] | None = None,
    worklists: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    dicom_port: int = 0,
    http_port: int = 0,
) -> Iterator[Orthanc]:
    """Orthanc on free ports with everything it keeps under `folder`; started again there, it holds what it held."""
    dicom_port, http_port = dicom_port or free_port(), http_port or free_port()
    storage = folder / "orthanc"
    storage.mkdir(parents=True, exist_ok=True)
    plugins = [f"/usr/share/orthanc/plugins/{name}" for name in ("libOrthancDicomWeb.so",)]
    if worklists:
        plugins.append("/usr/share/orthanc/plugins/libModalityWorklists.so")
    config = {
        "Name": ae_title,
        "StorageDirectory": str(storage),
        "IndexDirectory": str(storage),
        "Plugins": plugins,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": ae_title,
        "DicomPort": dicom_port,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowFindWorklist": True,
        "DicomModalities": {name: list(where) for name, where in (modalities or {}).items()},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "Worklists": {"Enable": bool(worklists), "Database": str(worklists or "")},
        **(settings or {}),
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(config))
    with (folder / "orthanc.log").open("ab") as output:
        process = subprocess.Popen(
            ["/usr/sbin/Orthanc", str(file)],
            stdout=output,
            stderr=output,
            env={"TCP_NODELAY": "1", "LC_ALL": "C.UTF-8"},
        )
        try:
            wait_for_port(http_port, process)
            wait_for_port(dicom_port, process)
            with httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=30) as client:
                yield Orthanc(ae_title, dicom_port, http_port, process, storage, client)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

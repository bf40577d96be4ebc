"""tensorflow-datasets with small archives: what a user would have downloaded, made here from a GLUE folder."""

import hashlib
import io
import os
import zipfile
from pathlib import Path


def write_archives(folder: Path, package: Path, glue: Path) -> dict[str, str]:
    """Put each task's archive where one brought by hand lies, and the package with its size and checksum beside it.

    Args:
        folder: to write: `data`, tensorflow-datasets' own folder, and `shadow`, a copy of the package by links.
        package: the installed package `tensorflow_datasets`.
        glue: a GLUE folder; the archive of a task is named as its folder.

    Returns:
        The environment that makes a process use both.
    """
    checksums = (package / "url_checksums" / "glue.txt").read_text().splitlines()
    manual = folder / "data" / "downloads" / "manual"
    manual.mkdir(parents=True)
    for task in sorted(path for path in glue.iterdir() if path.is_dir()):
        content = zipped(task)
        (manual / f"{task.name}.zip").write_bytes(content)
        line = next(line for line in checksums if line.endswith(f"\t{task.name}.zip"))
        about = [line.split("\t")[0], str(len(content)), hashlib.sha256(content).hexdigest(), f"{task.name}.zip"]
        checksums[checksums.index(line)] = "\t".join(about)
    shadow = folder / "shadow" / package.name
    shadow.mkdir(parents=True)
    for path in package.iterdir():
        if path.name != "url_checksums":
            (shadow / path.name).symlink_to(path)
    (shadow / "url_checksums").mkdir()
    (shadow / "url_checksums" / "glue.txt").write_text("\n".join(checksums) + "\n")
    path = os.pathsep.join([str(folder / "shadow"), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    return {"TFDS_DATA_DIR": str(folder / "data"), "PYTHONPATH": path}


def zipped(task: Path) -> bytes:
    """Return a zip of a task's folder, the same for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(task.iterdir()):
            archive.writestr(zipfile.ZipInfo(f"{task.name}/{path.name}"), path.read_bytes())
    return buffer.getvalue()

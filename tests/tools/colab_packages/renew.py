"""Derive the lists of this folder from the package lists that Colab publishes (googlecolab/backend-info).

    make colab-lists LISTS=FOLDER-OF-LISTS

FOLDER-OF-LISTS holds `colab-cpu-DATE.txt`, `colab-gpu-DATE.txt` and `colab-tpu-DATE.txt`, as `pip freeze` writes them;
the newest date counts. Of each, the packages that this project needs are kept, and what these need in turn, in the
image's versions. Run it with the Python of the images; it asks pip's index for what each package requires.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2] / "pyproject.toml"
EXTRAS = ("", "tensorflow", "jax")
# what runs a notebook there, builds a package, and shows that an image has a TPU
AROUND = ("ipykernel", "ipython", "setuptools", "libtpu")
CUDA_BUILD = re.compile(r"nvidia-|jax-cuda|.*\+cu\d+$")  # gigabytes, or on no index


def main(folder: Path) -> None:
    for image in ("cpu", "gpu", "tpu"):
        published = sorted(folder.glob(f"colab-{image}-*.txt"))
        if not published:
            sys.exit(f"{folder} holds no colab-{image}-DATE.txt; it should hold Colab's lists of all three images")
        kept, left_out = needed(read_list(published[-1]))
        text = f"From {published[-1].name} (make colab-lists): what this project needs, and what that needs in turn."
        text += f" Left out, CUDA builds: {', '.join(left_out)}." if left_out else ""
        header = "".join(f"# {line}\n" for line in textwrap.wrap(text, 118, break_on_hyphens=False))
        (HERE / f"{image}.txt").write_text(header + "".join(f"{line}\n" for line in kept))
        print(f"{image}.txt: {len(kept)} packages of {published[-1].name}, {len(left_out)} left out")


def read_list(path: Path) -> dict[str, str]:
    """Return {name: line} of a list; a line of another form than name==version (a local file) is left out."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    return {canonicalize_name(line.split("==")[0]): line for line in lines if re.fullmatch(r"[\w.-]+==\S+", line)}


def needed(image: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the lines of the packages that are needed, and of the CUDA builds, which are not taken."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    wanted = project["dependencies"] + [r for extra in EXTRAS[1:] for r in project["optional-dependencies"][extra]]
    frontier = {canonicalize_name(Requirement(line).name) for line in (*wanted, *AROUND)} & set(image)
    kept, left_out = set(), {name for name in image if CUDA_BUILD.match(image[name])}
    while frontier := (frontier & set(image)) - kept - left_out:
        kept |= frontier
        frontier = requirements_of([image[name] for name in sorted(frontier)])
    return [image[name] for name in sorted(kept)], [image[name] for name in sorted(left_out)]


def requirements_of(lines: list[str]) -> set[str]:
    """Return the names of what these packages require on this Python, as pip reads it from their index."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
        subprocess.run([*command, "--report", report, *lines], check=True)
        items = json.loads(report.read_text())["install"]
    required = [Requirement(line) for item in items for line in item["metadata"].get("requires_dist", [])]
    return {
        canonicalize_name(requirement.name)
        for requirement in required
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }


if __name__ == "__main__":
    main(Path(sys.argv[1])) if len(sys.argv) == 2 else sys.exit(__doc__)

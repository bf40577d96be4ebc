"""Check whether the environment can be made here, in one line if not; run as a file, before it exists."""

import platform
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
WHERE = "Linux (x86-64 or ARM) and macOS on Apple silicon"


def refusal(version, system, machine):
    """Return why this Python or system cannot run the project, and what can; None where it can.

    Args:
        version: (major, minor) of Python.
        system: as `platform.system` names it.
        machine: as `platform.machine` names it.
    """
    if not OLDEST <= tuple(version) <= NEWEST:
        return f"this is Python {version[0]}.{version[1]}, and 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 ..."
    if system == "Darwin" and machine == "x86_64":
        return f"TensorFlow is no longer made for Intel Macs; use Colab, or another machine: {WHERE}"
    if system not in ("Linux", "Darwin"):
        return f"{system} is not supported, and {WHERE} are; on Windows use WSL"
    return None


def main():
    reason = refusal(sys.version_info[:2], platform.system(), platform.machine())
    if reason:
        sys.stderr.write(f"error: {reason}\n")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())

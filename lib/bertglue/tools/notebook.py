"""papermill's command line, with kernels that end at once.

After the last cell of a notebook that has loaded TensorFlow its kernel takes three seconds to end by itself; by then
all that it writes is written.
"""

from __future__ import annotations

import sys

from papermill.cli import papermill
from papermill.engines import NBClientEngine, papermill_engines

from bertglue.places import ENDS_AT_ONCE

ENGINE = "ends-at-once"


class EndsAtOnce(NBClientEngine):
    """papermill's own engine, but for the end of the kernel."""

    @classmethod
    def execute_managed_notebook(cls, *notebook, **options):
        return super().execute_managed_notebook(*notebook, **ENDS_AT_ONCE, **options)


if __name__ == "__main__":
    papermill_engines.register(ENGINE, EndsAtOnce)
    papermill(["--engine", ENGINE, *sys.argv[1:]])

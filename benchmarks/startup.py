"""Time of ``stratal --help``, and that ``import stratal`` loads no jax."""

from __future__ import annotations

import shutil
import subprocess
import sys

from reference import machine, median_seconds


def main() -> None:
    stratal = shutil.which("stratal") or f"{sys.prefix}/bin/stratal"
    seconds = median_seconds(
        lambda: subprocess.run([stratal, "--help"], check=True, stdout=subprocess.DEVNULL)
    )
    code = "import sys, stratal; print('jax' in sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    print(machine())
    print(f"stratal --help: {seconds:.2f} s; import stratal loads jax: {loaded.stdout.strip()}")


if __name__ == "__main__":
    main()

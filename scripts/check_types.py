"""Check the types of the views' scripts, which stand in their comments (JSDoc), with TypeScript.

The Node is the one that playwright brings. TypeScript is fetched once with npm, as one file whose
hash is known, and lies in build/. Without npm, the check is skipped, except in CI.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import playwright

ROOT = Path(__file__).parents[1]
VERSION = "5.9.3"
SHA512 = (
    "8e5d6f6733c38a72ebf5e52ddc9feded5e8580d130f508ef04f772b33f4a7d00"
    "c3e357d0ac2d98e2f290762694a454f86d795bd511e12e9a7cc2d9ba3394e04b"
)
FOLDER = ROOT / "build" / f"typescript-{VERSION}"
NODE = Path(playwright.__file__).parent / "driver" / "node"
TIMEOUT_S = 120


def main() -> int:
    """Return the exit code of TypeScript."""
    compiler = FOLDER / "lib" / "tsc.js"
    npm = shutil.which("npm")
    if not compiler.exists():
        if npm is None:
            print("types of scripts: not checked, as there is no npm to fetch TypeScript with")
            return 1 if os.environ.get("CI") else 0
        fetch(npm)
    return subprocess.run([NODE, compiler, "-p", ROOT / "jsconfig.json"], check=False).returncode


def fetch(npm: str) -> None:
    """Fetch TypeScript into `FOLDER`."""
    FOLDER.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as folder:
        subprocess.run(
            [npm, "pack", "--silent", f"typescript@{VERSION}"],
            cwd=folder,
            check=True,
            timeout=TIMEOUT_S,
            stdout=subprocess.DEVNULL,
        )
        packed = Path(folder, f"typescript-{VERSION}.tgz")
        if hashlib.sha512(packed.read_bytes()).hexdigest() != SHA512:
            sys.exit(f"{packed.name} is not the file that it was")
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
        Path(folder, "package").rename(FOLDER)


if __name__ == "__main__":
    sys.exit(main())

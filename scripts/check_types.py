"""Check the types of the views' scripts, which stand in their comments (JSDoc), with TypeScript.

The Node is the one that playwright brings. TypeScript is fetched once from npm's registry, as one
file whose hash is known, and lies in build/. Without the registry, the check is skipped, except in
CI.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

import playwright

ROOT = Path(__file__).parents[1]
VERSION = "5.9.3"
SHA512 = (
    "8e5d6f6733c38a72ebf5e52ddc9feded5e8580d130f508ef04f772b33f4a7d00"
    "c3e357d0ac2d98e2f290762694a454f86d795bd511e12e9a7cc2d9ba3394e04b"
)
REGISTRY = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
FOLDER = ROOT / "build" / f"typescript-{VERSION}"
NODE = Path(playwright.__file__).parent / "driver" / "node"
TIMEOUT_S = 120


def main() -> int:
    """Return the exit code of TypeScript."""
    compiler = FOLDER / "lib" / "tsc.js"
    if not compiler.exists():
        try:
            fetch()
        except OSError as error:
            print(f"types of scripts: not checked, no TypeScript from {REGISTRY}: {error}")
            return 1 if os.environ.get("CI") else 0
    return subprocess.run([NODE, compiler, "-p", ROOT / "jsconfig.json"], check=False).returncode


def fetch() -> None:
    """Fetch TypeScript into `FOLDER`."""
    url = f"{REGISTRY}/typescript/-/typescript-{VERSION}.tgz"
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
        packed = response.read()
    if hashlib.sha512(packed).hexdigest() != SHA512:
        sys.exit(f"{url} is not the file that it was")
    FOLDER.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as unpacked:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(unpacked, filter="data")
        (Path(unpacked) / "package").rename(FOLDER)


if __name__ == "__main__":
    sys.exit(main())

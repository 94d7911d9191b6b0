"""A still picture of a view or a figure, for wherever no kernel runs.

A notebook gets it as PNG: nbconvert makes no LaTeX of a notebook with an SVG in it unless Inkscape
is installed, GitHub and untrusted notebooks show none, and all of them show PNG.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Picture"]

FONT = Path(__file__).with_name("DejaVuSans.ttf")
"""The font of the PNG: the same on every machine, whatever fonts it has."""

ZOOM = 2.0
"""Pixels of a displayed or saved PNG for one of the SVG's: sharp on fine screens and in print."""


@dataclass(frozen=True)
class Picture:
    """An SVG and its content in words.

    Displays as PNG of twice its size, or as the words, as the place allows.

    The same `svg` gives the same bytes of PNG on every machine.
    """

    svg: str
    text: str

    def png(self, zoom: float = 1.0) -> bytes:
        """Return the picture as PNG, on white; `zoom` pixels for one of the SVG's."""
        import resvg_py

        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=self.svg,
                background="#ffffff",
                zoom=zoom,
                skip_system_fonts=True,
                font_files=[str(FONT)],
                font_family="DejaVu Sans",
                sans_serif_family="DejaVu Sans",
                monospace_family="DejaVu Sans",
            )
        )

    def save(self, path: str | Path) -> None:
        """Write the picture to a file: .svg, or .png of twice the size, for sharp print."""
        where = Path(path)
        if where.suffix == ".svg":
            where.write_text(self.svg, encoding="utf-8")
        elif where.suffix == ".png":
            where.write_bytes(self.png(zoom=ZOOM))
        else:
            raise ValueError(f"a picture is saved as .svg or .png, not {where.name!r}")

    def bundle(self, zoom: float = ZOOM) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the notebook's representation of the picture: data and their metadata."""
        png = self.png(zoom)
        width, height = struct.unpack(">II", png[16:24])
        size = {"width": round(width / zoom), "height": round(height / zoom)}
        return {"text/plain": self.text, "image/png": png}, {"image/png": size}

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.bundle()

"""A still picture of a view: SVG and PNG, for wherever no kernel runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Picture"]

FONT = Path(__file__).with_name("DejaVuSans.ttf")
"""The font of the PNG: the same on every machine, whatever fonts it has."""


@dataclass(frozen=True)
class Picture:
    """An SVG and what it shows in words. Displays as SVG, as PNG, or as the words, as the place allows.

    The same `svg` gives the same bytes of PNG on every machine.
    """

    svg: str
    text: str

    def png(self, zoom: float = 1.0) -> bytes:
        """The picture as PNG, on white; `zoom` pixels for one of the SVG's."""
        import resvg_py

        return bytes(resvg_py.svg_to_bytes(
            svg_string=self.svg, background="#ffffff", zoom=zoom, skip_system_fonts=True, font_files=[str(FONT)],
            font_family="DejaVu Sans", sans_serif_family="DejaVu Sans", monospace_family="DejaVu Sans"))

    def save(self, path: str | Path) -> None:
        """Write the picture to a file that ends in .svg or .png (twice the size, for sharp print)."""
        where = Path(path)
        if where.suffix == ".svg":
            where.write_text(self.svg, encoding="utf-8")
        elif where.suffix == ".png":
            where.write_bytes(self.png(zoom=2))
        else:
            raise ValueError(f"a picture is saved as .svg or .png, not {where.name!r}")

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/plain": self.text, "image/svg+xml": self.svg, "image/png": self.png()}, {}

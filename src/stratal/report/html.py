"""One HTML file that holds a whole report: text, tables, figures, no network.

The sections are kept in the file as JSON too, so that a later command can open the report
and add its own.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stratal.errors import InputError
from stratal.files.atomic import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CONTENT = re.compile(r'<script type="application/json" id="stratal-report">(.*?)</script>', re.S)


@dataclass
class Section:
    """A title and blocks beneath it; each method adds one and returns the section."""

    title: str
    blocks: list[dict[str, Any]] = field(default_factory=list)

    def text(self, text: str) -> Section:
        """Add a paragraph; line breaks are kept."""
        return self._add(kind="text", text=text)

    def metrics(self, metrics: Mapping[str, Any]) -> Section:
        """Add figures that count, name to value, as tiles."""
        pairs = [[str(name), _cell(value)] for name, value in metrics.items()]
        return self._add(kind="metrics", metrics=pairs)

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        lights: Sequence[int] = (),
    ) -> Section:
        """Add a table; columns of numbers stand to the right.

        Args:
            columns: their heads.
            rows: their values.
            lights: numbers of the columns whose values are green, amber or red.

        Raises:
            ValueError: a row of another length than ``columns``.
        """
        rows = [list(row) for row in rows]
        for index, row in enumerate(rows):
            if len(row) != len(columns):
                raise ValueError(
                    f"section {self.title!r}: row {index} of the table has {len(row)} entries; "
                    f"expected {len(columns)}, one per column"
                )
        numeric = [
            bool(rows) and all(_is_number(row[column]) for row in rows)
            for column in range(len(columns))
        ]
        cells = [[_cell(value) for value in row] for row in rows]
        content = {"columns": list(columns), "rows": cells, "numeric": numeric}
        return self._add(kind="table", **content, lights=list(lights))

    def figure(self, figure: Figure, caption: str) -> Section:
        """Add a Matplotlib figure, as PNG; the caption is its description as well."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
        return self._add(
            kind="figure",
            caption=caption,
            png=base64.b64encode(buffer.getvalue()).decode(),
            width=round(figure.get_figwidth() * 96),  # CSS pixels per inch
        )

    def _add(self, **block: Any) -> Section:
        self.blocks.append(block)
        return self


@dataclass
class Report:
    """A title and sections; not frozen: a report is gathered piece by piece.

    >>> report = Report("Copper")
    >>> _ = report.section("Errors").metrics({"energy RMSE (meV/atom)": 1.2})
    >>> "Errors" in report.html()
    True
    """

    title: str
    sections: list[Section] = field(default_factory=list)

    @classmethod
    def open(cls, path: str | Path) -> Report:
        """Read a report back, to add to it.

        Raises:
            InputError: no such file, or not a report that Stratal wrote.
        """
        try:
            found = _CONTENT.search(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read: {error.strerror}. Correct the path."
            ) from error
        except UnicodeDecodeError:
            found = None
        try:
            content = json.loads(found.group(1) if found else "{}")
            sections = [Section(part["title"], part["blocks"]) for part in content["sections"]]
            return cls(content["title"], sections)
        except (TypeError, KeyError, ValueError) as error:
            raise InputError(
                f"{path}: not a report that Stratal wrote (its JSON is absent or damaged). "
                f"Give another file, or start a new report."
            ) from error

    def section(self, title: str) -> Section:
        """A new section at the end; one of the same title is replaced in its place."""
        new = Section(title)
        for index, section in enumerate(self.sections):
            if section.title == title:
                self.sections[index] = new
                return new
        self.sections.append(new)
        return new

    def html(self) -> str:
        """The whole file as text."""
        from jinja2 import Environment, PackageLoader
        from markupsafe import Markup

        environment = Environment(
            loader=PackageLoader("stratal.report", "."), autoescape=True, trim_blocks=True
        )
        sections = [{"title": part.title, "blocks": part.blocks} for part in self.sections]
        content = json.dumps({"title": self.title, "sections": sections})
        return environment.get_template("template.html.j2").render(
            title=self.title,
            about=f"Stratal {version('stratal')}, {datetime.now():%Y-%m-%d %H:%M}",
            sections=sections,
            content=Markup(content.replace("<", "\\u003c")),
        )

    def write(self, path: str | Path) -> None:
        """Write the file atomically.

        Raises:
            InputError: it cannot be written.
        """
        write_text(path, self.html())


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"[-+−]?[\d.,]+(e[-+]?\d+)?( ?%)?|–|", value.strip()) is not None
    return value is None or isinstance(value, int | float | np.number)


def _cell(value: Any) -> str:
    """A value as a reader wants it: four digits of a float, a dash for nothing."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "–"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)

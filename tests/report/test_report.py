"""A report is one file that needs nothing else, and can be opened again."""

import base64
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratal.errors import InputError
from stratal.report import Report, error_bars, learning_curve, new_figure, parity, parity_figure


class Reader(HTMLParser):
    """Collects tags, attributes that load something, and the text."""

    VOID = ("meta", "img")

    def __init__(self):
        super().__init__()
        self.tags, self.loads, self.text, self.open = [], [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


def read(html):
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def example():
    report = Report("Copper & silver")
    report.section("Data").text("342 frames").metrics({"RMSE (meV/atom)": 1.23456, "none": None})
    report.section("Errors").table(["group", "n", "RMSE"], [("bulk", 3, 0.1), ("slab", 4, None)])
    values = np.linspace(-1, 1, 20)
    figure = parity_figure({"energy": (values, values + 0.01, "eV/atom")}, ["a", "b"] * 10)
    report.section("Parity").figure(figure, "Energies.")
    return report


def test_one_file_without_network():
    reader = read(example().html())
    for url in reader.loads:
        assert url.startswith(("data:image/png;base64,", "#"))
    assert "http" not in re.sub(r"base64,[^\"]*", "", example().html())
    (png,) = [url for url in reader.loads if url.startswith("data:")]
    assert base64.b64decode(png.split(",")[1]).startswith(b"\x89PNG")
    assert "Copper & silver" in reader.text
    assert "1.235" in reader.text
    assert "–" in reader.text


def test_opened_again_and_added_to(tmp_path):
    path = tmp_path / "report.html"
    example().write(path)
    report = Report.open(path)
    assert report == example()
    report.section("Search").text("later")
    report.section("Data").text("replaced")
    report.write(path)
    assert [section.title for section in Report.open(path).sections] == [
        "Data", "Errors", "Parity", "Search"
    ]  # fmt: skip
    text = read(path.read_text(encoding="utf-8")).text
    assert "later" in text
    assert "replaced" in text
    assert "342 frames" not in text
    assert os.listdir(tmp_path) == ["report.html"]


NASTY = st.text(st.sampled_from("<>&\"'/!-scriptSCRIPT{}% αé\n"), max_size=30)


@settings(max_examples=50, deadline=None)
@given(text=NASTY | st.sampled_from(["</script><script>x", "<!--<script>", "{{ x }}", "<b>"]))
def test_nothing_escapes(text, tmp_path_factory):
    report = Report(text)
    report.section(text).text(text).metrics({text: text}).table([text], [[text]])
    plain = Report("x")
    plain.section("x").text("x").metrics({"x": "x"}).table(["x"], [["x"]])
    html = report.html()
    assert read(html).tags == read(plain.html()).tags
    path = tmp_path_factory.mktemp("report") / "a.html"
    report.write(path)
    assert Report.open(path) == report


def test_foreign_and_missing_files_are_sentences(tmp_path):
    path = tmp_path / "other.html"
    for content in (b"<html></html>", b"\xff\xfe\x00\xff"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"other\.html: not a report.*Give another file"):
            Report.open(path)
    with pytest.raises(InputError, match=r"absent\.html: cannot be read: No such file.*Correct"):
        Report.open(tmp_path / "absent.html")


def test_uneven_table_is_refused():
    with pytest.raises(ValueError, match="'Errors': row 1 of the table has 1 entries; expected 2"):
        Report("x").section("Errors").table(["a", "b"], [(1, 2), (3,)])


def test_figures_state_the_errors():
    figure, (ax,) = new_figure()
    reference = np.zeros((4, 3))
    parity(ax, reference, reference + 0.002, unit="eV/Å", quantity="force")
    assert ax.texts[0].get_text() == "RMSE 2 meV/Å\nMAE 2 meV/Å"
    assert ax.get_xlabel() == "reference force (eV/Å)"
    assert figure.canvas.manager is None  # not one of pyplot, whose figures are global


def test_all_figures_draw():
    report = Report("figures")
    section = report.section("all")
    curves = {"training": [3.0, 1.0, 0.5], "validation": [3.0, 2.0, np.nan]}
    section.figure(learning_curve([1, 2, 3], curves), "curve")
    section.figure(learning_curve([1, 2], {"zero": [0.0, 1.0]}), "curve with a zero")
    section.figure(error_bars({"a": 1.0, "b": 2.0}), "bars")
    section.figure(error_bars({}), "no bars")
    section.figure(parity_figure({"energy": (np.zeros(0), np.zeros(0), "eV")}), "empty")
    assert read(report.html()).tags.count("img") == 5

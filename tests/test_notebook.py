"""What a notebook shows of a study. IPython is not needed, so that it is a stand-in here."""

import base64
import io
import re
import sys
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure
from PIL import Image

from suite.support.notebook import figures_html, show_figures


@pytest.fixture
def figures():
    """Two, told apart by their width in pixels; a name may hold what HTML would take for a mark."""
    return {
        "wide & first.png": Figure(figsize=(3, 1), dpi=100),
        '"narrow".png': Figure(figsize=(2, 1), dpi=100),
    }


def test_figures_are_images_in_their_order(figures):
    images = re.findall(
        r'<img alt="([^"]+)" [^<]* src="data:image/png;base64,([^"]+)">', figures_html(figures)
    )
    assert [name for name, _ in images] == ["wide &amp; first.png", "&quot;narrow&quot;.png"]
    for (_, content), figure in zip(images, figures.values(), strict=True):
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            assert image.format == "PNG"
            assert image.size == tuple(figure.get_size_inches() * 100)


@pytest.mark.parametrize(("kernel", "shown"), [("a kernel", 1), (None, 0)], ids=["notebook", "terminal"])
def test_a_script_shows_them_in_a_notebook_and_not_in_a_terminal(figures, monkeypatch, kernel, shown):
    published = []
    shell = SimpleNamespace(kernel=kernel, display_pub=SimpleNamespace(publish=published.append))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    show_figures(figures)
    show_figures({})
    assert [content["text/html"].count("<img") for content in published] == [2] * shown


def test_outside_of_ipython_nothing_is_shown(figures, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    show_figures(figures)
    # Something may have loaded IPython without running in it.
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    show_figures(figures)
    assert capsys.readouterr() == ("", "")

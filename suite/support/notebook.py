"""Figures in a notebook: a study that is the value of a cell shows its own, and so does a script by %run.

Nothing here needs IPython: where there is none, nothing is shown.
"""

import base64
import html
import sys
from collections.abc import Mapping

from matplotlib.figure import Figure

from leakage.look import looked_at, png_of


def figures_html(figures: Mapping[str, Figure]) -> str:
    """The figures, by name, as images in HTML, one below the other in this order.

    For the method `_repr_html_` of a study, which a notebook calls where the study is the value of a cell.
    """
    images = []
    with looked_at():
        for name, figure in figures.items():
            content = base64.b64encode(png_of(figure)).decode("ascii")
            style = "max-width: 100%; display: block"
            images.append(
                f'<img alt="{html.escape(name)}" style="{style}" src="data:image/png;base64,{content}">'
            )
    return "\n".join(images)


def show_figures(figures: Mapping[str, Figure]) -> None:
    """Shows the figures below the cell that runs this; does nothing outside of a notebook.

    For scripts started by %run, whose value a notebook does not see. What a cell calls returns the figures.
    """
    # Whoever runs in IPython has it loaded, so that it need not be imported to find out.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    # IPython in a terminal has no kernel, and shows no pictures.
    if getattr(shell, "kernel", None) is not None and figures:
        shell.display_pub.publish({"text/html": figures_html(figures), "text/plain": ", ".join(figures)})

"""Figures in a notebook, below the cell that made them. Without IPython nothing is shown."""

import base64
import html
from collections.abc import Mapping

from matplotlib.figure import Figure

from leakage.command_line import ipython_shell
from leakage.look import looked_at, png_of


def figures_html(figures: Mapping[str, Figure]) -> str:
    """The figures, by name, as images in HTML, one below the other in this order."""
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
    """Shows the figures below the cell that runs this; does nothing outside of a notebook."""
    shell = ipython_shell()
    # IPython in a terminal has no kernel, and shows no pictures.
    if getattr(shell, "kernel", None) is not None and figures:
        shell.display_pub.publish({"text/html": figures_html(figures), "text/plain": ", ".join(figures)})

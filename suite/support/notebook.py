"""Figures inside a notebook: matplotlib's Figure alone, without pyplot, is not shown there by itself."""

import base64
import io
import sys
from collections.abc import Mapping

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def figures_html(figures: Mapping[str, Figure]) -> str:
    """The figures, by the names of their files, as HTML that holds them as PNGs."""
    parts = []
    for name, figure in figures.items():
        buffer = io.BytesIO()
        FigureCanvasAgg(figure).print_png(buffer)
        picture = base64.b64encode(buffer.getvalue()).decode()
        parts.append(f'<p>{name}</p><img alt="{name}" src="data:image/png;base64,{picture}">')
    return "\n".join(parts)


def show_figures(figures: Mapping[str, Figure]) -> None:
    """Shows the figures in a notebook; does nothing elsewhere."""
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython
    from IPython.display import HTML, display

    shell = get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        display(HTML(figures_html(figures)))

"""What the apps share when they draw: one look, and matplotlib asked for in plain words where it is missing."""

from pathlib import Path

INK, FAINT = "#22272e", "#d8dee4"
BLUE, ORANGE, RED = "#2f6fb2", "#d9822b", "#c43d3d"
GREEN, PURPLE, GREY = "#3a8f5c", "#7d4fa3", "#8a939d"
OUT = Path(__file__).resolve().parent.parent / "out"


def load_pyplot():
    """`matplotlib.pyplot`, drawing into files and in the look of the apps.

    Raises:
        SystemExit: matplotlib is not installed; the message says how to install it.
    """
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise SystemExit(
            "Pictures are drawn with matplotlib, which is not installed. Install it with\n"
            "    pip install 'needle-autodiff[plot]'"
        ) from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update(
        {
            "font.size": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "axes.linewidth": 0.8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "xtick.color": INK,
            "ytick.color": INK,
            "grid.color": FAINT,
            "grid.linewidth": 0.8,
            "lines.linewidth": 1.8,
            "legend.frameon": False,
        }
    )
    return pyplot


def save(figure, path: Path) -> None:
    """Write `figure` to `path` (the suffix says the format), whose folder is made if need be, and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, facecolor="white")
    print(f"picture: {shown(path)}")


def shown(path: Path) -> str:
    """`path` as one would type it here."""
    path = path.resolve()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

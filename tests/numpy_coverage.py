"""The page docs/numpy_coverage.md, made from the table: `python tests/numpy_coverage.py` writes it anew."""

import sys
from collections.abc import Iterable
from pathlib import Path

from numpy_surface import CONSTANT, DIFFERENTIABLE, FFT, LINALG, METHODS
from numpy_table import Row, rows

PAGE = Path(__file__).resolve().parent.parent / "docs" / "numpy_coverage.md"

_HEAD = """\
# NumPy's functions on Tensors

Made from the table of test cases by `python tests/numpy_coverage.py`; a test sees to it that the page is current.

Every function below takes Tensors where NumPy's takes arrays, with NumPy's arguments, and can be called through plain
`numpy` or through `needle.numpy`:

```python
>>> import numpy as np
>>> import needle as ndl
>>> ndl.grad(lambda x: np.sum(np.cumprod(np.sin(x))))(np.array([0.5, 1.0]))
array([1.61604282, 0.25903472])
```

What is ticked is checked for several shapes (0-d, empty, broadcast, strided) and dtypes, from the rows named after the
function in `tests/numpy_rows_*.py`:

- **value**: equal to NumPy's (SciPy's), in float64 and float32, whatever the arrays' layout
- **reverse**, **forward**: against central differences of NumPy's own function, and against each other
- **second**: forward over reverse and reverse over reverse, against central differences of the first derivative
- **batch**: `vmap` against a loop over the examples; "–" where the shape of the result depends on values, which is an
  error there
- **plain**: also through plain `numpy`, which cannot see a Tensor in what makes a new array

A function that is piecewise constant has no derivative to check: its result is a constant.

"""

_COLUMNS = "| function | value | reverse | forward | second | batch | plain |\n|---|:-:|:-:|:-:|:-:|:-:|:-:|\n"


def page() -> str:
    """The text of the page."""
    table: dict[str, list[Row]] = {}
    for row in rows():
        table.setdefault(row.name, []).append(row)
    scipy = sorted(name for name in table if name.startswith("scipy."))
    sections = {
        "`numpy`: differentiable": DIFFERENTIABLE,
        "`numpy.linalg`": [f"linalg.{name}" for name in LINALG],
        "`numpy.fft`": [f"fft.{name}" for name in FFT],
        "Methods and attributes": [f"ndarray.{name}" for name in METHODS],
        "SciPy": scipy,
        "`numpy`: piecewise constant": CONSTANT,
    }
    named = {name for names in sections.values() for name in names}
    sections["Beside these"] = sorted(set(table) - named)
    return _HEAD + "\n".join(_section(title, names, table) for title, names in sections.items() if names)


def _section(title: str, names: Iterable[str], table: dict[str, list[Row]]) -> str:
    there = [name for name in names if name in table]
    lines = [f"| `{name.removeprefix('ndarray.')}` | {' | '.join(_marks(table[name]))} |" for name in there]
    return f"## {title} ({len(there)})\n\n{_COLUMNS}" + "\n".join(lines) + "\n"


def _marks(mine: list[Row]) -> list[str]:
    """What the rows of one function check."""
    constant = all(row.constant for row in mine)
    followed = any(not row.constant and case.differentiable and not case.empty for row in mine for case in row.cases)
    second = any(row.second and not row.constant and case.differentiable for row in mine for case in row.cases)
    derivative = "constant" if constant else "✓" if followed else ""
    return [
        "✓",
        derivative,
        derivative,
        "constant" if constant else "✓" if second else "",
        "✓" if any(row.batched for row in mine) else "–",
        "✓" if not all(row.only_needle for row in mine) else "",
    ]


if __name__ == "__main__":
    sys.path[:0] = [str(PAGE.parent.parent / "python")]
    PAGE.write_text(page(), encoding="utf-8")

"""The Python blocks of README.md and docs/*.md do what the text around them says.

All blocks of a file run in order, as one session.  A block of `>>>` lines is a doctest.  Any other block is executed,
and where a ```text block follows it with nothing in between, that is what it must print (`...` stands for anything).
"""

import contextlib
import doctest
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n?```text\n(?P<output>.*?)^```$)?", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_code_blocks_run_and_print_what_they_show(path: Path, tmp_path: Path, monkeypatch):
    text = path.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert blocks, f"{path.name} has no Python block"
    monkeypatch.chdir(tmp_path)  # whatever a block writes
    session: dict = {"__name__": "__main__"}
    for block in blocks:
        first_line = text.count("\n", 0, block.start("code"))
        if ">>>" in block["code"]:
            run_doctest(block["code"], session, path, first_line)
        else:
            run_plain(block["code"], block["output"], session, path, first_line)


def run_doctest(code: str, session: dict, path: Path, first_line: int) -> None:
    test = doctest.DocTestParser().get_doctest(code, session, path.name, str(path), first_line)
    test.globs = session  # the parser copies it: names made here must last
    report: list[str] = []
    failures, _ = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append, clear_globs=False)
    assert not failures, "".join(report)


def run_plain(code: str, output: str | None, session: dict, path: Path, first_line: int) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(
            compile("\n" * first_line + code, str(path), "exec"), session
        )  # a traceback then names the document's line
    if output is not None:
        got = printed.getvalue()
        assert doctest.OutputChecker().check_output(output, got, FLAGS), (
            f"{path.name}, line {first_line + 1} promises\n{output}\nand prints\n{got}"
        )


def test_every_link_to_a_file_leads_somewhere():
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)|src=\"([^\"]+)\"", path.read_text(encoding="utf-8")):
            target = target[0] or target[1]
            assert "://" in target or (path.parent / target).exists(), f"{path.name} links to {target}"

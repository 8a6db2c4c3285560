"""The programs in apps/, run small: what they print, the pictures that they leave, and how they refuse."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

APPS = Path(__file__).resolve().parent.parent / "apps"


def run(name: str, *arguments: str, ok: bool = True, **environment: str) -> str:
    """What `python apps/NAME.py ARGUMENTS` prints; its errors, if it is not to be `ok`."""
    search = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, str(APPS / f"{name}.py"), *arguments],
        env={**os.environ, "PYTHONPATH": search, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout if ok else done.stderr


def size_of_png(path: Path) -> tuple[int, int]:
    """Width and height, from the file's header."""
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n", f"{path} is no PNG"
    return int.from_bytes(header[16:20]), int.from_bytes(header[20:24])


def test_derivatives_of_sin_are_its_derivatives(tmp_path):
    printed = run("derivatives", "--output", str(tmp_path / "sin.png"))
    assert len(re.findall(r"^  sin.* largest error", printed, re.MULTILINE)) == 7  # sin and six derivatives
    largest = float(re.search(r"largest error of all: (\S+)", printed)[1])
    assert largest < 1e-14  # kπ/2 in the closed form is rounded: a few units in the last place of 2π + 3π
    assert min(size_of_png(tmp_path / "sin.png")) > 400


def test_the_demo_learns_and_draws_even_in_two_epochs(tmp_path):
    printed = run("digits", "--epochs", "2", "--output", str(tmp_path / "new" / "digits.png"))
    accuracies = re.findall(r"^(\w+) reads ([\d.]+)% of the test digits", printed, re.MULTILINE)
    assert [name for name, _ in accuracies] == ["MLP", "ResNet"]
    assert all(float(percent) > 80 for _, percent in accuracies)
    assert min(size_of_png(tmp_path / "new" / "digits.png")) > 400


def test_the_demo_is_the_same_each_time(tmp_path):
    def losses(seed):
        printed = run("digits", "--epochs", "1", "--seed", seed, "--output", str(tmp_path / "digits.png"))
        return re.findall(r"^ +1 +[\d.]+ +[\d.]+", printed, re.MULTILINE)

    first, again, other = losses("3"), losses("3"), losses("4")
    assert len(first) == 2
    assert first == again != other


@pytest.mark.parametrize("model", ["lstm", "transformer"])
def test_a_letter_model_writes_letters_of_its_text(model, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the needle and the thread; " * 150, encoding="utf-8")
    options = ["--model", model, "--text", str(text), "--epochs", "2", "--length", "30", "--begin", "the"]
    printed = run("char_lm", *options)
    bits = [float(number) for number in re.findall(r"^epoch \d+: ([\d.]+) bits", printed, re.MULTILINE)]
    assert len(bits) == 2 and bits[-1] < np.log2(len(set(text.read_text())))  # better than knowing nothing
    samples = re.findall(r"^    (the.*)$", printed, re.MULTILINE)
    assert samples and all(set(sample) <= set(text.read_text()) for sample in samples)
    assert printed.splitlines()[:-1] == run("char_lm", *options).splitlines()[:-1]  # all but the seconds that it took


def test_the_text_of_the_letter_model_is_the_documents():
    from char_lm import documents

    assert "needle computes derivatives" in documents() and len(documents()) > 10_000


def test_a_net_solves_poissons_equation_from_the_equation_alone(tmp_path):
    printed = run("pinn", "--steps", "300", "--width", "16", "--output", str(tmp_path / "pinn.png"))
    errors = [float(percent) for percent in re.findall(r"relative L² error +([\d.]+)%", printed)]
    assert len(errors) == 11 and errors[0] > errors[-1]
    assert errors[-1] < 1.5  # 0.8 % as it stands; the full run reaches 0.03 %
    assert min(size_of_png(tmp_path / "pinn.png")) > 300


def test_newton_needs_few_steps_and_agrees_with_the_others(tmp_path):
    printed = run("newton", "--steps", "20", "--output", str(tmp_path / "newton.png"))
    rows = re.findall(
        r"^(gradient descent|L-BFGS|Newton-CG) +(\d+) +(\d+) +(\d+) +(\d+) +\S+ +(\S+) +(\S+)", printed, re.M
    )
    descent, quasi_newton, newton = (
        {"steps": int(row[1]), "norm": float(row[5]), "loss": float(row[6])} for row in rows
    )
    assert newton["steps"] < 30 < quasi_newton["steps"]
    assert newton["norm"] < 1e-6 and quasi_newton["norm"] < 1e-6 < descent["norm"]
    assert abs(newton["loss"] - quasi_newton["loss"]) < 1e-8 < descent["loss"] - newton["loss"]
    assert min(size_of_png(tmp_path / "newton.png")) > 300


def test_a_gaussian_process_is_fitted_by_the_gradient_of_its_likelihood(tmp_path):
    printed = run("gaussian_process", "--points", "60", "--output", str(tmp_path / "process.png"))
    calls = re.findall(r"^with (gradients|difference quotients): +(\d+) calls, \S+ s, −log p = (\S+)", printed, re.M)
    (_, few, value), (_, many, same) = calls
    assert 4 * int(few) < int(many)  # a difference quotient takes seven likelihoods, a gradient one call
    assert abs(float(value) - float(same)) < 1e-2
    before, after = (float(error) for error in re.findall(r"error in the hole (\S+)", printed))
    assert after < before / 3
    assert min(size_of_png(tmp_path / "process.png")) > 400


def test_a_wave_becomes_a_letter(tmp_path):
    options = ["--size", "32", "--steps", "40", "--iterations", "30"]
    printed = run("wave", *options, "--output", str(tmp_path / "wave.png"))
    assert float(re.search(r"difference quotient: (\S+) apart", printed)[1]) < 1e-8
    assert float(re.search(r"from the target by ([\d.]+)% of it", printed)[1]) < 2
    assert min(size_of_png(tmp_path / "wave.png")) > 400


def test_an_equations_parameters_are_found_from_noisy_counts(tmp_path):
    printed = run("ode_fit", "--steps", "80", "--every", "2", "--output", str(tmp_path / "ode.png"))
    assert float(re.search(r"reverse, (\S+) apart", printed)[1]) < 1e-13
    rows = re.findall(r"^\S+ +[\d.]+ +([\d.]+) ± ([\d.]+) +([\d.]+)$", printed, re.M)
    assert len(rows) == 6
    for fit, deviation, truth in rows:
        assert abs(float(fit) - float(truth)) < 3 * float(deviation) < 0.25 * float(truth)
    assert min(size_of_png(tmp_path / "ode.png")) > 300


def test_every_way_to_differentiate_agrees_as_far_as_it_can(tmp_path):
    folder = tmp_path / "new"
    printed = run("compare_methods", "--inputs", "10", "--order", "4", "--depth", "3", "--output", str(folder))
    row = re.compile(r"^  (\w.*?) +\S+ +(\d\.\de[+-]\d\d) ", re.MULTILINE)
    worst: dict[str, float] = {}
    for name, error in row.findall(printed):
        worst[name] = max(worst.get(name, 0.0), float(error))
    limits = {"forward difference": 1e-6, "central difference": 1e-9, "central difference of gradient": 1e-8}
    limits["numdifftools"] = 1e-6  # of the fourth derivative
    assert len(worst) == 13
    for name, error in worst.items():  # what differentiates by rules is right to rounding
        assert error < limits.get(name, 1e-14), name
    # Forward mode runs n times, reverse mode once and back once: for 2, 10 and 13 inputs.
    passes = re.findall(r"^  (forward mode|reverse mode) +\S+ +\S+ +(\d+) +(\d+) ", printed, re.MULTILINE)
    assert passes == [row for n in ("2", "10", "13") for row in (("forward mode", n, "0"), ("reverse mode", "1", "1"))]
    assert "0.1 % too large it says" in printed and "goes unnoticed" not in printed
    for picture in ("compare_steps", "compare_costs"):
        assert min(size_of_png(folder / f"{picture}.png")) > 400


DRAWING = ["digits", "derivatives", "pinn", "newton", "compare_methods", "gaussian_process", "wave", "ode_fit"]


@pytest.mark.parametrize("name", [*DRAWING, "char_lm", "mlp_resnet"])
def test_help_names_the_options(name):
    assert "usage:" in run(name, "--help")


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("digits", ["--epochs", "0"], "--epochs must be 1 or more, got 0"),
        ("derivatives", ["--order", "-1"], "--order must be 0 or more, got -1"),
        ("char_lm", ["--epochs", "0"], "--epochs must be 1 or more, got 0"),
        ("char_lm", ["--begin", ""], "--begin needs a letter"),
        ("pinn", ["--steps", "0"], "--steps must be 1 or more, got 0"),
        ("newton", ["--penalty", "0"], "--penalty must be above 0"),
        ("compare_methods", ["--order", "0"], "--order must be 1 or more, got 0"),
        ("gaussian_process", ["--points", "9"], "--points must be 10 or more, got 9"),
        ("wave", ["--steps", "0"], "--steps must be 1 or more, got 0"),
        ("ode_fit", ["--every", "0"], "--every must be 1 or more, got 0"),
        ("ode_fit", ["--steps", "10"], "six unknowns need as many counts"),
        ("char_lm", ["--text", "nowhere.txt"], "cannot read nowhere.txt"),
        ("mlp_resnet", ["nowhere"], "nowhere/train-images-idx3-ubyte.gz"),
    ],
)
def test_a_mistake_is_answered_in_one_line(name, arguments, message):
    errors = run(name, *arguments, ok=False)
    assert message in errors and "Traceback" not in errors


@pytest.mark.parametrize("name", DRAWING)
def test_without_matplotlib_the_error_says_how_to_get_it(name, tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError(name='matplotlib')")
    search = os.pathsep.join([str(tmp_path), *(path for path in sys.path if path)])
    errors = run(name, ok=False, PYTHONPATH=search)
    assert "pip install 'needle-autodiff[plot]'" in errors and "Traceback" not in errors

"""A language model, letter by letter: it reads needle's own documents, and then writes in their manner.

`python apps/char_lm.py` trains an LSTM for less than half a minute; `--model transformer` takes a Transformer instead,
which wants more epochs.  `--text FILE` lets either read something else.
"""

import argparse
import os
import time
from pathlib import Path

# One thread for BLAS, unless told otherwise, and before NumPy starts it: these matrices are too small to be shared out,
# and on a busy machine threads that wait for each other took ten times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import needle as ndl
from models import LanguageModel
from needle import nn
from needle.data import batchify
from simple_ml import epoch_general_ptb, evaluate_ptb, language_step

ROOT = Path(__file__).resolve().parent.parent
BATCH = 16
SEQ_LEN = 64
SIZES = {
    "lstm": {"embedding_size": 32, "hidden_size": 192},
    "transformer": {"embedding_size": 96, "hidden_size": 192},
}


def documents() -> str:
    """What needle says of itself, one page after the other."""
    pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"]
    paths = [ROOT / page for page in pages] + sorted((ROOT / "docs").glob("*.md"))
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def write(model: LanguageModel, letters: str, beginning: str, length: int, temperature: float) -> str:
    """`beginning`, continued by `length` letters, each drawn from what the model thinks likely.

    Args:
        letters: the alphabet; letter i has the number i.
        temperature: logits are divided by it: below 1 the likely becomes likelier, at 0 the likeliest is taken.
    """
    text = [letters.index(letter) for letter in beginning]
    remembers = isinstance(model.seq_model, nn.LSTM)  # a Transformer must be shown the last letters again each time
    model.eval()
    with ndl.no_grad():
        seen, state = text[-SEQ_LEN:], None
        for _ in range(length):
            logits, state = model(ndl.Tensor(np.array(seen)[:, np.newaxis]), state)
            text.append(draw(logits.numpy()[-1].astype(np.float64), temperature))
            seen = text[-1:] if remembers else text[-SEQ_LEN:]
    return "".join(letters[i] for i in text)


def draw(logits: np.ndarray, temperature: float) -> int:
    """A number i with probability in proportion to exp(logits[i] / temperature)."""
    if temperature == 0:
        return int(logits.argmax())
    weights = np.exp((logits - logits.max()) / temperature)
    return int(np.random.choice(len(weights), p=weights / weights.sum()))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train a letter-by-letter language model, and let it write.")
    parser.add_argument("--model", choices=sorted(SIZES), default="lstm", help="(default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=12, help="passes over the text (default: %(default)s)")
    parser.add_argument("--text", type=Path, help="a text file to read (default: needle's own documents)")
    parser.add_argument("--length", type=int, default=200, help="letters in a sample (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.6, help="0: always the likeliest (default: %(default)s)")
    parser.add_argument("--begin", default="The ", help="how samples begin (default: %(default)r)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and samples (default: %(default)s)")
    options = parser.parse_args(arguments)

    if options.epochs < 1:
        parser.error(f"--epochs must be 1 or more, got {options.epochs}")
    if options.temperature < 0:
        parser.error(f"--temperature must be 0 or more, got {options.temperature}")
    if not options.begin:
        parser.error("--begin needs a letter to begin with")
    try:
        text = options.text.read_text(encoding="utf-8") if options.text else documents()
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"cannot read {options.text}: {error}")
    if len(text) < 20 * BATCH:
        parser.error(f"the text must have {20 * BATCH} letters or more, to learn from and to test on; got {len(text)}")

    letters = "".join(sorted(set(text) | set(options.begin)))
    numbers = np.array([letters.index(letter) for letter in text])
    held_out = len(numbers) // 10
    train = batchify(numbers[:-held_out], BATCH, dtype="int64")
    test = batchify(numbers[-held_out:], BATCH, dtype="int64")

    np.random.seed(options.seed)
    model = LanguageModel(
        output_size=len(letters), num_layers=1, seq_model=options.model, seq_len=SEQ_LEN, **SIZES[options.model]
    )
    optimizer = ndl.optim.Adam(model.parameters(), lr=0.005)
    weights = sum(parameter.size for parameter in model.parameters())
    print(f"{len(text):,} letters of text, {len(letters)} different ones; {options.model}, {weights:,} weights")
    print(f"Knowing nothing, one needs {np.log2(len(letters)):.2f} bits to say which letter comes next.\n")
    step = ndl.jit(language_step(model, nn.SoftmaxLoss(), optimizer, clip=1.0), backend="numpy")
    start = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        # Each pass begins elsewhere: a Transformer would else see the same letters at the same places, and learn those.
        shifted = train[np.random.randint(min(SEQ_LEN, len(train) - 1)) :]
        epoch_general_ptb(shifted, model, SEQ_LEN, opt=optimizer, dtype="int64", step=step)
        accuracy, loss = evaluate_ptb(model, test, SEQ_LEN, dtype="int64")
        print(f"epoch {epoch}: {loss / np.log(2):.2f} bits a letter, {accuracy:.0%} guessed right, on unseen text")
        if epoch in (1, options.epochs // 2, options.epochs):
            print(indented(write(model, letters, options.begin, options.length, options.temperature)))
    print(f"{time.perf_counter() - start:.0f} s")


def indented(sample: str) -> str:
    return "\n" + "\n".join("    " + line for line in sample.splitlines()) + "\n"


if __name__ == "__main__":
    main()

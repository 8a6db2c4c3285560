"""Nets to train: ResNet9 for small colour images, and a language model on a recurrent net or a Transformer.

Importing this module makes no weights and reads no file.
"""

import needle as ndl
from needle import nn

__all__ = ["LanguageModel", "ResNet9"]


class ResNet9(nn.Module):
    """Images (n, 3, 32, 32) to logits (n, 10): eight convolutions, two residual connections, two linear layers."""

    def __init__(self, device=None, dtype="float32"):
        super().__init__()

        def conv_bn(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> nn.Module:
            return nn.Sequential(
                nn.Conv(in_channels, out_channels, kernel_size, stride, device=device, dtype=dtype),
                nn.BatchNorm2d(out_channels, device=device, dtype=dtype),
                nn.ReLU(),
            )

        def residual(channels: int) -> nn.Module:
            return nn.Residual(nn.Sequential(conv_bn(channels, channels, 3, 1), conv_bn(channels, channels, 3, 1)))

        self.layers = nn.Sequential(
            conv_bn(3, 16, 7, 4),
            conv_bn(16, 32, 3, 2),
            residual(32),
            conv_bn(32, 64, 3, 2),
            conv_bn(64, 128, 3, 2),
            residual(128),
            nn.Flatten(),
            nn.Linear(128, 128, device=device, dtype=dtype),
            nn.ReLU(),
            nn.Linear(128, 10, device=device, dtype=dtype),
        )

    def forward(self, x: ndl.Tensor) -> ndl.Tensor:
        return self.layers(x)


class LanguageModel(nn.Module):
    """Predicts the next word (or character) after each one of a text.

    Called as `model(x, h)`: x (seq_len, batch) holds word ids, h is the state after the text before x, or None.
    Returns logits (seq_len·batch, output_size) and the state after x: a Tensor, or a tuple of two with "lstm".

    Args:
        embedding_size: features of a word.
        output_size: the number of words.
        hidden_size: features of the recurrent net's state, or of the Transformer's hidden layers.
        num_layers: layers of either.
        seq_model: "rnn", "lstm" or "transformer".
        seq_len: the longest text that a Transformer is to see at once; the other two know no limit.

    Raises:
        ValueError: seq_model is none of the three.
    """

    def __init__(
        self,
        embedding_size: int,
        output_size: int,
        hidden_size: int,
        num_layers: int = 1,
        seq_model: str = "rnn",
        seq_len: int = 40,
        device=None,
        dtype="float32",
    ):
        super().__init__()
        place = {"device": device, "dtype": dtype}
        self.embedding = nn.Embedding(output_size, embedding_size, **place)
        if seq_model == "rnn":
            self.seq_model = nn.RNN(embedding_size, hidden_size, num_layers, **place)
        elif seq_model == "lstm":
            self.seq_model = nn.LSTM(embedding_size, hidden_size, num_layers, **place)
        elif seq_model == "transformer":
            self.seq_model = nn.Transformer(embedding_size, hidden_size, num_layers, sequence_len=seq_len, **place)
        else:
            raise ValueError(f'seq_model must be "rnn", "lstm" or "transformer", got {seq_model!r}')
        features = embedding_size if seq_model == "transformer" else hidden_size
        self.linear = nn.Linear(features, output_size, **place)

    def forward(self, x: ndl.Tensor, h=None):
        features, h = self.seq_model(self.embedding(x), h)
        seq_len, batch, size = features.shape
        return self.linear(features.reshape((seq_len * batch, size))), h

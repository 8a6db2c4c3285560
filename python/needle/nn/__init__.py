"""What nets are built from."""

from .activations import GELU, Identity, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from .attention import AttentionLayer, MultiHeadAttention, Transformer, TransformerLayer
from .containers import ModuleDict, ModuleList, Residual, Sequential
from .convolution import Conv, ConvTranspose
from .dropout import Dropout
from .embedding import Embedding
from .linear import Flatten, Linear
from .losses import BCEWithLogitsLoss, HuberLoss, KLDivLoss, L1Loss, MSELoss, SoftmaxLoss
from .module import Module, Parameter
from .normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm1d
from .pooling import AvgPool, MaxPool
from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from .summary import summary

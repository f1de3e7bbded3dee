"""The architectures as plain `nn.Module`s: tokens (B, T) to logits (B, T, V)."""

from scaling_lab.architectures import ArchitectureSpec, LSTMSpec, TransformerSpec, UniversalSpec
from scaling_lab.training.models.base import TokenModel
from scaling_lab.training.models.lstm import LSTM
from scaling_lab.training.models.transformer import Transformer
from scaling_lab.training.models.universal import UniversalTransformer

__all__ = ["TokenModel", "build_model"]


def build_model(spec: ArchitectureSpec) -> TokenModel:
    """The model of a spec, with initial weights from torch's generator."""
    match spec:
        case TransformerSpec():
            return Transformer(spec)
        case UniversalSpec():
            return UniversalTransformer(spec)
        case LSTMSpec():
            return LSTM(spec)

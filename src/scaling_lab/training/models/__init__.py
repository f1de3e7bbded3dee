"""The architectures as plain `nn.Module`s: tokens (B, T) to logits (B, T, V)."""

"""MiniLM with a head of one unit, in plain PyTorch. train.py trains it, and export.py writes it as ONNX.

The parameter names are those of the BERT checkpoint, so that its safetensors file loads without renaming.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

LAYERS, HIDDEN, HEADS, INTERMEDIATE = 6, 384, 12, 1536
VOCABULARY, POSITIONS, TOKEN_TYPES = 30522, 512, 2
NORM_EPSILON = 1e-12


class Attention(nn.Module):
    def __init__(self, dropout: float):
        super().__init__()
        self.self = nn.ModuleDict({name: nn.Linear(HIDDEN, HIDDEN) for name in ("query", "key", "value")})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(HIDDEN, HIDDEN), "LayerNorm": nn.LayerNorm(HIDDEN, NORM_EPSILON)}
        )
        self.dropout = dropout

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        batch, length, _ = hidden.shape
        query, key, value = (
            self.self[name](hidden).view(batch, length, HEADS, -1).transpose(1, 2) for name in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = self.output["dense"](mixed.transpose(1, 2).reshape(batch, length, HIDDEN))
        return self.output["LayerNorm"](hidden + functional.dropout(mixed, self.dropout, self.training))


class Layer(nn.Module):
    def __init__(self, dropout: float):
        super().__init__()
        self.attention = Attention(dropout)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(HIDDEN, INTERMEDIATE)})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(INTERMEDIATE, HIDDEN), "LayerNorm": nn.LayerNorm(HIDDEN, NORM_EPSILON)}
        )
        self.dropout = dropout

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        hidden = self.attention(hidden, mask)
        wide = functional.gelu(self.intermediate["dense"](hidden))
        narrow = functional.dropout(self.output["dense"](wide), self.dropout, self.training)
        return self.output["LayerNorm"](hidden + narrow)


class SentimentEncoder(nn.Module):
    """input_ids and attention_mask, int64 [batch, sequence] -> logit of "positive", float32 [batch]."""

    def __init__(self, dropout: float = 0.1):
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(VOCABULARY, HIDDEN),
                "position_embeddings": nn.Embedding(POSITIONS, HIDDEN),
                "token_type_embeddings": nn.Embedding(TOKEN_TYPES, HIDDEN),
                "LayerNorm": nn.LayerNorm(HIDDEN, NORM_EPSILON),
            }
        )
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(dropout) for _ in range(LAYERS))})
        self.head = nn.Linear(HIDDEN, 1)
        self.dropout = dropout

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        positions = torch.arange(input_ids.shape[1])
        tables = self.embeddings
        hidden = tables["word_embeddings"](input_ids) + tables["position_embeddings"](positions)
        # A text is a single segment, so every token has type 0.
        hidden = tables["LayerNorm"](hidden + tables["token_type_embeddings"].weight[0])
        hidden = functional.dropout(hidden, self.dropout, self.training)
        mask = attention_mask.bool()[:, None, None, :]
        for layer in self.encoder["layer"]:
            hidden = layer(hidden, mask)
        weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1)
        return self.head(functional.dropout(pooled, self.dropout, self.training)).squeeze(-1)

"""Models: short forward passes over the layers of nn.py and the ops."""

from nanollm.models.gpt import GPT, GPTConfig

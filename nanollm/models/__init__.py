"""Models: short forward passes over the layers of nn.py and the ops."""

from nanollm.models.gpt import GPT, GPTConfig
from nanollm.models.recurrent import Classifier, LanguageModel
from nanollm.models.seq2seq import Seq2Seq, Seq2SeqConfig

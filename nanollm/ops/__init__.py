"""The ops: one idea a page, forward and backward as two pure functions. The text of the book."""

from nanollm.ops.arrays import activate, append_, array, buffers, empty, gather, number, numpy
from nanollm.ops.arrays import ones, together, wholes, zeros
from nanollm.ops.elementwise import add, add_backward, mul, mul_backward, relu, relu_backward
from nanollm.ops.elementwise import sigmoid, sigmoid_backward, tanh, tanh_backward
from nanollm.ops.gelu import bias_gelu, bias_gelu_backward, gelu, gelu_backward
from nanollm.ops.shape import concat, concat_backward, mean, mean_backward
from nanollm.ops.shape import reshape, reshape_backward, split, split_backward
from nanollm.ops.shape import sum, sum_backward, transpose, transpose_backward
from nanollm.ops.linear import linear, linear_backward, matmul, matmul_backward
from nanollm.ops.embedding import embedding, embedding_backward
from nanollm.ops.positions import positions, positions_backward
from nanollm.ops.layernorm import layernorm, layernorm_backward
from nanollm.ops.layernorm import residual_layernorm, residual_layernorm_backward
from nanollm.ops.softmax import logsumexp, logsumexp_backward, softmax, softmax_backward
from nanollm.ops.cross_entropy import cross_entropy, cross_entropy_backward
from nanollm.ops.attention import attention, attention_backward
from nanollm.ops.attention import self_attention, self_attention_backward
from nanollm.ops.alignment import additive_attention, additive_attention_backward
from nanollm.ops.alignment import multiplicative_attention, multiplicative_attention_backward
from nanollm.ops.rnn import rnn, rnn_backward
from nanollm.ops.lstm import lstm, lstm_backward
from nanollm.ops.gru import gru, gru_backward
from nanollm.ops.dropout import dropout, dropout_backward, keep
from nanollm.ops.descent import clip_factor, momentum_, sgd_, squared_norm
from nanollm.ops.adam import adam_, adamw_
from nanollm.ops.decode import attention_step_, mlp_step

"""The ops compiled for the CPU: the names and signatures of nanollm.ops, page by page.

Re-exported unchanged, because there is nothing to gain: shape (a view costs nothing, and NumPy's
copies run at memory speed), positions (one addition), keep (NumPy draws it) and clip_factor (one
number).
"""

from kernels.cpu.arrays import activate, append_, array, buffers, empty, gather, number, numpy
from kernels.cpu.arrays import ones, together, wholes, zeros
from kernels.cpu.elementwise import add, add_backward, mul, mul_backward, relu, relu_backward
from kernels.cpu.elementwise import sigmoid, sigmoid_backward, tanh, tanh_backward
from kernels.cpu.gelu import bias_gelu, bias_gelu_backward, gelu, gelu_backward
from nanollm.ops.shape import concat, concat_backward, mean, mean_backward
from nanollm.ops.shape import reshape, reshape_backward, split, split_backward
from nanollm.ops.shape import sum, sum_backward, transpose, transpose_backward
from kernels.cpu.linear import linear, linear_backward, matmul, matmul_backward
from kernels.cpu.embedding import embedding, embedding_backward
from nanollm.ops.positions import positions, positions_backward
from kernels.cpu.layernorm import layernorm, layernorm_backward
from kernels.cpu.layernorm import residual_layernorm, residual_layernorm_backward
from kernels.cpu.softmax import logsumexp, logsumexp_backward, softmax, softmax_backward
from kernels.cpu.cross_entropy import cross_entropy, cross_entropy_backward
from kernels.cpu.attention import attention, attention_backward
from kernels.cpu.attention import self_attention, self_attention_backward
from kernels.cpu.alignment import additive_attention, additive_attention_backward
from kernels.cpu.alignment import multiplicative_attention, multiplicative_attention_backward
from kernels.cpu.rnn import rnn, rnn_backward
from kernels.cpu.lstm import lstm, lstm_backward
from kernels.cpu.gru import gru, gru_backward
from kernels.cpu.dropout import dropout, dropout_backward
from nanollm.ops.dropout import keep
from kernels.cpu.descent import momentum_, sgd_, squared_norm
from nanollm.ops.descent import clip_factor
from kernels.cpu.adam import adam_, adamw_
from kernels.cpu.decode import attention_step_, mlp_step

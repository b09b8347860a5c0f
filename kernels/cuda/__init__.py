"""The ops on device arrays, in numba.cuda: each file carries the name of the page it makes fast.

Beside them: device.py (the door to numba.cuda), block.py (blocks, sums over a block, launches),
arrays.py and flat.py (memory), products.py (the matrix product), vectors.py and registers.py (loads
of 16 bytes, results in registers), ladder.py and tensor_cores.py (other products, to compare),
watch.py (each access of a launch in the simulator, and its races).
"""

from kernels.cuda.arrays import activate, array, empty, numpy, ones, zeros
from kernels.cuda.flat import append_, buffers, gather, number, together, wholes
from kernels.cuda.elementwise import add, add_backward, mul, mul_backward, relu, relu_backward
from kernels.cuda.elementwise import sigmoid, sigmoid_backward, tanh, tanh_backward
from kernels.cuda.gelu import bias_gelu, bias_gelu_backward, gelu, gelu_backward
from kernels.cuda.shape import concat, concat_backward, mean, mean_backward
from kernels.cuda.shape import reshape, reshape_backward, split, split_backward
from kernels.cuda.shape import sum, sum_backward, transpose, transpose_backward
from kernels.cuda.embedding import embedding, embedding_backward
from kernels.cuda.positions import positions, positions_backward
from kernels.cuda.layernorm import layernorm, layernorm_backward
from kernels.cuda.layernorm import residual_layernorm, residual_layernorm_backward
from kernels.cuda.softmax import logsumexp, logsumexp_backward, softmax, softmax_backward
from kernels.cuda.cross_entropy import cross_entropy, cross_entropy_backward
from kernels.cuda.dropout import dropout, dropout_backward, keep
from kernels.cuda.descent import clip_factor, momentum_, sgd_, squared_norm
from kernels.cuda.adam import adam_, adamw_
from kernels.cuda.linear import linear, linear_backward, matmul, matmul_backward
from kernels.cuda.attention import attention, attention_backward
from kernels.cuda.attention import self_attention, self_attention_backward
from kernels.cuda.decode import attention_step_, mlp_step
from kernels.cuda.rnn import rnn, rnn_backward
from kernels.cuda.lstm import lstm, lstm_backward
from kernels.cuda.gru import gru, gru_backward
from kernels.cuda.alignment import additive_attention, additive_attention_backward
from kernels.cuda.alignment import multiplicative_attention, multiplicative_attention_backward

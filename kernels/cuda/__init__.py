"""The ops on device arrays, in numba.cuda: each file carries the name of the page it makes fast.

Not yet complete: an op that is not here is refused by name (backend.lookup), never replaced.
"""

from kernels.cuda.arrays import activate, array, empty, numpy, ones, zeros
from kernels.cuda.elementwise import add, add_backward, mul, mul_backward
from kernels.cuda.shape import mean, mean_backward, sum, sum_backward
from kernels.cuda.layernorm import layernorm, layernorm_backward
from kernels.cuda.layernorm import residual_layernorm, residual_layernorm_backward
from kernels.cuda.softmax import logsumexp, logsumexp_backward, softmax, softmax_backward

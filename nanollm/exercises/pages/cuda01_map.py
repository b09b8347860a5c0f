"""Map: a thread for each entry.

Task        y[i] = x[i] where x[i] is above 0, else 0: ReLU. A kernel returns nothing; it writes
            into the arrays that it is given.
Launch      relu[1, N](x, y): one block of N threads, as many as there are entries
Memory      thread i reads x[i] and writes y[i]
New         cuda.threadIdx.x is the number of the thread in its block: 0, 1, 2, ...
Shapes      x (N,)  →  y (N,)
"""

from kernels.cuda.device import cuda


@cuda.jit
def relu(x, y):
    i = cuda.threadIdx.x
    y[i] = x[i] if x[i] > 0 else 0

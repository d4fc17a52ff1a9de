"""A model that tenon compiled into a shared library, on NumPy arrays, whose memory DLPack hands to it as it is:
  tenon -shared net.onnx -o net.so && python3 numpy_model.py ./net.so x.npy ...
"""
import ctypes as c
import os
import sys

import numpy as np

pointer_of = c.PYFUNCTYPE(c.c_void_p, c.py_object, c.c_char_p)(("PyCapsule_GetPointer", c.pythonapi))


class Tensor(c.Structure):  # tn_tensor, which is DLPack's DLTensor
    _fields_ = [("data", c.c_void_p), ("device", c.c_int32 * 2), ("ndim", c.c_int32), ("code", c.c_uint8),
                ("bits", c.c_uint8), ("lanes", c.c_uint16), ("shape", c.POINTER(c.c_int64)), ("strides", c.c_void_p),
                ("byte_offset", c.c_uint64)]

    def array(self):
        shape, dtype = self.shape[:self.ndim], "iuf?u?b"[self.code] + str(self.bits // 8)
        size = int(np.prod(shape)) * (self.bits // 8)
        return np.frombuffer((c.c_uint8 * size).from_address(self.data), dtype.replace("b1", "?")).reshape(shape)


class Net:
    def __init__(self, path, name, n_outputs=1, n_threads=1):
        self.library, self.name, self.n_outputs, self.ctx = c.CDLL(path), name, n_outputs, c.c_void_p()
        self.function("message").restype = c.c_char_p
        self.check(self.function("create")(c.byref(self.ctx), None, c.c_size_t(0), n_threads))

    def function(self, name):
        return getattr(self.library, f"{self.name}_{name}")

    def check(self, status):
        if status:
            raise ValueError(self.function("message")(self.ctx).decode())

    def __call__(self, *arrays):
        """The outputs, in memory of the model's that the next call writes again."""
        capsules = [a.__dlpack__() for a in arrays]  # each begins with its DLTensor
        given = (Tensor * len(arrays))(*(Tensor.from_address(pointer_of(k, b"dltensor")) for k in capsules))
        made = (Tensor * self.n_outputs)()
        self.check(self.function("run_tensors")(self.ctx, given, made))
        return [t.array() for t in made]

    def __del__(self):
        self.function("destroy")(self.ctx)


if __name__ == "__main__":
    net = Net(sys.argv[1], os.path.splitext(os.path.basename(sys.argv[1]))[0])
    print(*net(*map(np.load, sys.argv[2:])), sep="\n")

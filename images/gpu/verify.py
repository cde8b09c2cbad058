"""Run inside the image: the libraries load, and say which devices they see; none is no failure."""

import os
from importlib.metadata import version

import jax

print("jax", version("jax"), jax.devices())
assert float(jax.numpy.arange(10).sum()) == 45
if os.environ["BDAP_VARIANT"] == "cuda":
    import torch

    print("torch", torch.__version__, "CUDA", torch.version.cuda, "devices", torch.cuda.device_count())
    assert torch.version.cuda, "PyTorch was built without CUDA"
    assert float(torch.arange(10).sum()) == 45

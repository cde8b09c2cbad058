"""Run inside an image: a few training steps of a small network, in each library that is there. Prints one line of JSON.

A network of two hidden layers learns z = sin(3x)·y of random points: enough to see that kernels run on the device, that
gradients flow and that the loss falls. Nothing of the platform is imported.
"""

import importlib.util
import json
import os
import time

SIZE, BATCH, STEPS, WARM = int(os.environ.get("SIZE", "2048")), 4096, int(os.environ.get("STEPS", "50")), 5


def with_torch() -> dict[str, object]:
    """PyTorch: Adam, float32, on the first GPU where there is one."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    points = torch.rand(BATCH, 2, device=device) * 2 - 1
    wanted = torch.sin(3 * points[:, :1]) * points[:, 1:]
    layers = [
        torch.nn.Linear(2, SIZE),
        torch.nn.Tanh(),
        torch.nn.Linear(SIZE, SIZE),
        torch.nn.Tanh(),
        torch.nn.Linear(SIZE, 1),
    ]
    network = torch.nn.Sequential(*layers).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> float:
        loss = torch.nn.functional.mse_loss(network(points), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss)  # waits for the device

    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    return measured(step, device=name, library=f"torch {torch.__version__}", on_gpu=device.type == "cuda")


def with_jax() -> dict[str, object]:
    """JAX: gradient descent with momentum, float32, compiled."""
    import jax
    import jax.numpy as jnp

    keys = jax.random.split(jax.random.key(0), 4)
    points = jax.random.uniform(keys[0], (BATCH, 2), minval=-1, maxval=1)
    wanted = jnp.sin(3 * points[:, :1]) * points[:, 1:]
    shapes = ((2, SIZE), (SIZE, SIZE), (SIZE, 1))
    weights = [jax.random.normal(key, shape) / shape[0] ** 0.5 for key, shape in zip(keys[1:], shapes, strict=True)]
    state = [weights, [jnp.zeros_like(one) for one in weights]]

    def loss(weights):  # type: ignore[no-untyped-def]
        hidden = jnp.tanh(jnp.tanh(points @ weights[0]) @ weights[1])
        return jnp.mean((hidden @ weights[2] - wanted) ** 2)

    @jax.jit
    def update(weights, speeds):  # type: ignore[no-untyped-def]
        value, gradients = jax.value_and_grad(loss)(weights)
        speeds = [0.9 * speed - 1e-2 * gradient for speed, gradient in zip(speeds, gradients, strict=True)]
        return value, [one + speed for one, speed in zip(weights, speeds, strict=True)], speeds

    def step() -> float:
        value, *state[:] = update(*state)
        return float(value)

    device = jax.devices()[0]
    return measured(step, device=device.device_kind, library=f"jax {jax.__version__}", on_gpu=device.platform == "gpu")


def measured(step, **told: object) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """Milliseconds a step after the first ones, and the loss before and after."""
    first = step()
    for _ in range(WARM):
        step()
    start = time.perf_counter()
    losses = [step() for _ in range(STEPS)]
    return {**told, "ms": round((time.perf_counter() - start) / STEPS * 1000, 3), "first": first, "last": losses[-1]}


found = [act() for name, act in (("torch", with_torch), ("jax", with_jax)) if importlib.util.find_spec(name)]
print(json.dumps(found))

"""A training that was killed goes on: what learns, its optimizer, its schedule and the random numbers to come, in one
file of tensors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from train.common.files import written_aside


class Checkpoint:
    """The state of a training after its last whole epoch.

    Args:
        path: The file, written whole or not at all.
        modules: Name -> what learns.
        optimizer: The optimizer of their parameters.
        schedule: The schedule of its rates.
    """

    def __init__(
        self, path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, schedule: Any
    ) -> None:
        self.path, self.modules, self.optimizer, self.schedule = path, modules, optimizer, schedule

    def save(self, epoch: int) -> None:
        """Keeps the state after an epoch, counted from 1."""
        tensors = {
            f"{name}.{key}": value for name, each in self.modules.items() for key, value in each.state_dict().items()
        }
        state = self.optimizer.state_dict()["state"]
        tensors |= {f"optimizer.{i}.{key}": value for i, values in state.items() for key, value in values.items()}
        tensors |= {"epochs": torch.tensor(epoch), "steps": torch.tensor(self.schedule.last_epoch)}
        tensors |= {"random": torch.get_rng_state()}
        if torch.cuda.is_available():
            tensors["random_cuda"] = torch.cuda.get_rng_state()
        with written_aside(self.path) as aside:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, aside)

    def resume(self) -> int:
        """Takes over what an earlier process kept; the number of epochs that are done, 0 where nothing was kept."""
        if not self.path.is_file():
            return 0
        tensors = load_file(self.path)
        for name, module in self.modules.items():
            of_module = {key: value for key, value in tensors.items() if key.startswith(f"{name}.")}
            module.load_state_dict({key.removeprefix(f"{name}."): value for key, value in of_module.items()})
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, i, name = key.split(".")
                state.setdefault(int(i), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the optimizer's steps were taken by another process
            for _ in range(int(tensors["steps"])):
                self.schedule.step()
        torch.set_rng_state(tensors["random"])
        if torch.cuda.is_available() and "random_cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random_cuda"])
        return int(tensors["epochs"])

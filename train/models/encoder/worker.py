"""One of several processes that fine-tune the encoder together; torchrun starts it, `distributed` leaves its job."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import distributed

from train.common.files import write_text
from train.common.signals import owner_is_dead
from train.models.encoder.distributed import Job
from train.models.encoder.family import EncoderFamily


def work(folder: Path, owner: str) -> None:
    """A worker's life.

    Args:
        folder: The job's folder.
        owner: The process of the run, as `common.signals.me` names it.
    """
    torchrun = os.getppid()
    _end_with(owner, torchrun)  # torchrun starts workers again also when the run is gone
    job = Job(folder)
    with job.failing():
        config, seed, folder_of_work, pages = job.take()
        family = EncoderFamily(config, seed, folder_of_work)
        on_gpus = family.device.type == "cuda"
        if on_gpus:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl" if on_gpus else "gloo")
        for epoch, metrics in family.fine_tune_share(pages):
            _end_with(owner, torchrun)
            job.report(epoch, metrics)
        if os.environ["RANK"] == "0":
            write_text(job.trained, "")
        distributed.barrier()
        distributed.destroy_process_group()


def _end_with(owner: str, torchrun: int) -> None:
    """Ends this worker when the run or torchrun was killed: nobody waits for it, and the next run would meet it in its
    checkpoints."""
    if owner_is_dead(owner) or os.getppid() != torchrun:
        os._exit(1)


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2])

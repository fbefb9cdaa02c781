"""How many threads torch counts with, which is each calling thread's own affair."""

import threading

_here = threading.local()


def use_one_thread() -> None:
    """Let torch count with one thread where this one calls it: the live decoder needs the rest."""
    if not getattr(_here, "one", False):
        import torch

        torch.set_num_threads(1)
        _here.one = True

"""What the process of an actor or replica is, and does once it has loaded what it needs."""

import ray

from actors.garbage import tidy_for_ever


def is_worker() -> bool:
    """Whether this process is one of Ray's workers, and not a program or a test that uses the same classes."""
    return ray.is_initialized() and ray.get_runtime_context().worker.mode == ray.WORKER_MODE


def is_restarted() -> bool:
    """Whether Ray made this process's actor anew after its process had ended."""
    return is_worker() and ray.get_runtime_context().was_current_actor_reconstructed


def keep_collections_short() -> None:
    """Have this process, if it is a worker, collect garbage in short pauses from now on (`actors.garbage`)."""
    if is_worker():
        tidy_for_ever()

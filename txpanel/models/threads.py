"""How many threads torch uses, by the thread that asks."""

from __future__ import annotations

import threading

__all__ = ["one_thread_here"]


def one_thread_here() -> None:
    """From now on torch computes in the calling thread alone; others keep as many threads as before.

    A vocabulary is large enough for torch to share each of its operations with a second thread and to wait for that one. On a busy machine
    that thread starts 50 to 300 ms later each time, and if the calling thread answers every page, all pages wait. Torch keeps the number of
    threads for each thread that computes, and a default for threads that have not computed yet.
    """
    import torch  # late: the page is painted before it is imported

    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    others = threading.Thread(target=torch.set_num_threads, args=(usual,), name="txpanel-threads")
    others.start()
    others.join()

"""Worker processes that end at once when their results are no longer wanted."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: int,
    on_result: Callable[[int, Result], None],
) -> None:
    """Call ``on_result(index, function(tasks[index]))`` for every task, in the order they finish.

    One worker is this process itself; more are processes of their own, started afresh (spawn), so
    ``function`` and its tasks must be picklable. If anything raises, Ctrl-C included, the workers
    end at once.

    >>> run_tasks(abs, [-1, -2], 1, print)
    0 1
    1 2

    Raises:
        ValueError: fewer than one worker.
    """
    if workers < 1:
        raise ValueError(f"probes: workers must be at least 1, got {workers}")
    if min(workers, len(tasks)) <= 1:
        for index, task in enumerate(tasks):
            on_result(index, function(task))
        return
    with _pool(min(workers, len(tasks))) as pool:
        futures = {pool.submit(function, task): index for index, task in enumerate(tasks)}
        for future in as_completed(futures):
            on_result(futures[future], future.result())


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_prepare_worker, initargs=(reader,)
    )
    try:
        yield pool
    except BaseException:
        writer.send_bytes(b"stop")
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        writer.close()
        reader.close()


def _prepare_worker(reader: Connection) -> None:
    """Leave Ctrl-C to the parent, and end when it says so or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(reader,), daemon=True).start()


def _end_with_parent(reader: Connection) -> None:
    try:
        reader.poll(None)  # a message, which stays for the other workers, or the end of the pipe
    finally:
        os._exit(1)

"""Threads that wait for the store: nobody waits longer than its patience, and those that wait hold nobody else up.

A call into a file system that hangs (a dead FUSE or NFS mount) cannot be ended from outside. Its thread is given up:
its caller gets StoreAway, another thread takes its place, and that part of the store is away until a call returns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ...errors import Unavailable
from ..cancel import check, current, under

SLOW = 0.5
"""Seconds after which another thread takes the place of one that waits for the store."""
MOST = 64
"""Threads that may hang at once; beyond it nobody asks the store any more."""
AGAIN = 15.0
"""Seconds after which somebody asks a part of the store again that is away."""
LOOK = 0.1


class StoreAway(Unavailable):
    """A part of the store does not answer."""

    code = "StoreUnavailable"

    def __init__(self, place: str) -> None:
        super().__init__(f"{place} does not answer", "try again in a minute; if it stays so, tell the operator")


class Job:
    """Something that a Pool does for an evaluation. Its result, or StoreAway before it is there, is in `done`."""

    def __init__(self, work: Callable[[], Any], spare: Callable[[], None]) -> None:
        self.work, self.done, self.spared, self.given_up = work, Future[Any](), False, False
        self._spare, self._lock = spare, threading.Lock()
        self._cancel = current()

    def run(self) -> None:
        """Do it, in this thread, unless nobody waits for it any more."""
        if not self.done.set_running_or_notify_cancel():
            return
        try:
            with under(self._cancel):
                result = self.work()
        except BaseException as error:  # the waiter's to handle, whatever it is
            self._end(self.done.set_exception, error)
        else:
            self._end(self.done.set_result, result)

    def give_up(self, error: StoreAway) -> None:
        """Its waiter waits no longer."""
        self.given_up = True
        self._end(self.done.set_exception, error)

    def spare(self) -> None:
        """Another thread takes the place of the one that does it, once."""
        with self._lock:
            first, self.spared = not (self.spared or self.done.done()), True
        if first:
            self._spare()

    def _end(self, tell: Callable[[Any], None], outcome: Any) -> None:
        with self._lock:
            if not self.done.done():
                tell(outcome)


class _Call:
    """A call into the store by a thread, for its `job`; or its wait for another job that may call there."""

    def __init__(self, place: str, job: Job | None, other: Job | None = None) -> None:
        self.place, self.job, self.other = place, job, other
        self.thread, self.since = threading.get_native_id(), time.monotonic()
        self.over = self.lost = False
        self._progress = ""

    def hangs(self, now: float) -> float:
        """For how many seconds it has stood still: a long call that reads or computes does not."""
        if now - self.since > LOOK and self._progress != (seen := _progress(self.thread)):
            self.since = now if self._progress else self.since
            self._progress = seen
        return now - self.since


class Watch:
    """Which threads wait for which part of the store, since when."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._calls: dict[int, _Call] = {}
        self._away: dict[str, float] = {}
        self._hanging = 0
        self._here, self._lock = threading.local(), threading.Lock()
        self._looks: threading.Thread | None = None
        self._called = threading.Event()  # since it was last looked

    @contextmanager
    def on(self, place: str) -> Iterator[None]:
        """Around each call into the store; StoreAway, at once, while another call to this place hangs.

        Here evaluations that are cancelled end.
        """
        check()
        job = getattr(self._here, "job", None)
        if (self._hanging and self._refused(place)) or (job and job.given_up):
            raise StoreAway(place)
        with self._call(_Call(place, job)):
            yield

    def results(self, jobs: Iterable[Job]) -> Iterator[Any]:
        """Their results, in order. While this thread waits for them, another may take its place."""
        for job in jobs:
            if not job.done.done():
                with self._call(_Call("", getattr(self._here, "job", None), job)):
                    job.done.exception()
            yield job.done.result()

    def serve(self, jobs: SimpleQueue[Job | None]) -> None:
        """Do jobs one after the other, until there is None, or another thread has taken this one's place."""
        while (job := jobs.get()) is not None:
            if self._do(job):
                return
            del job  # and its result, while there is nothing to do
        jobs.put(None)  # for the other threads

    def spare(self) -> None:
        """This thread waits for something that is not the store: another takes its place."""
        if (job := getattr(self._here, "job", None)) is not None:
            job.spare()

    def start(self) -> None:
        """Look after the calls from now on."""
        with self._lock:
            if self._looks is None:
                self._looks = threading.Thread(target=self._look, name="watch", daemon=True)
                self._looks.start()

    def _do(self, job: Job) -> bool:
        self._here.job = job
        try:
            job.run()
        finally:
            self._here.job = None
        return job.spared

    @contextmanager
    def _call(self, call: _Call) -> Iterator[None]:
        me = threading.get_ident()
        around, self._calls[me] = self._calls.get(me), call
        if not self._called.is_set():
            self._called.set()
        try:
            yield
        finally:
            if around is None:
                del self._calls[me]
            else:
                self._calls[me] = around
            self._over(call)

    def _over(self, call: _Call) -> None:
        """It has returned, with whatever: the place answers, unless the call began before it was found away."""
        with self._lock:
            call.over = True
            self._hanging -= call.lost
            if call.lost or call.since > self._away.get(call.place, float("inf")):
                self._away.pop(call.place, None)

    def _refused(self, place: str) -> bool:
        """Whether nobody shall ask there now: it is away, or so much hangs that threads run short."""
        with self._lock:
            asked, now = self._away.get(place), time.monotonic()
            if asked is None or now - asked < AGAIN:
                return asked is not None or self._hanging >= MOST
            self._away[place] = now
            return self._hanging >= MOST

    def _look(self) -> None:
        while self._called.wait():
            self._called.clear()
            time.sleep(LOOK)
            for call in list(self._calls.values()):
                self._judge(call)
                self._called.set()  # it may go on

    def _judge(self, call: _Call) -> None:
        if call.other is not None:
            if call.job and call.other.spared:
                call.job.spare()
            return
        hanging = call.hangs(time.monotonic())
        if call.job and hanging > SLOW:
            call.job.spare()
        if not call.lost and hanging > self.patience:
            self._lose(call)

    def _lose(self, call: _Call) -> None:
        with self._lock:
            if call.over:
                return
            call.lost = True
            self._hanging += 1
            self._away[call.place] = time.monotonic()
        if call.job:
            call.job.spare()
            call.job.give_up(StoreAway(call.place))


class Pool:
    """So many threads that work at once; those that wait for the store longer than SLOW are not counted."""

    def __init__(self, threads: int, watch: Watch, name: str) -> None:
        self.watch, self.name, self._jobs = watch, name, SimpleQueue[Job | None]()
        watch.start()
        for _ in range(threads):
            self._start()

    def submit(self, work: Callable[[], Any], slow: Callable[[], Any] | None = None) -> Job:
        """Do it soon. `slow` is called once if its thread gets a substitute."""

        def spare() -> None:
            self._start()
            if slow is not None:
                slow()

        job = Job(work, spare)
        self._jobs.put(job)
        return job

    def map[A](self, work: Callable[[A], Any], arguments: Iterable[A]) -> Iterator[Any]:
        """The results for all arguments, in order."""
        return self.watch.results([self.submit(lambda argument=argument: work(argument)) for argument in arguments])  # type: ignore[misc]

    def close(self) -> None:
        """End the threads once all jobs are done."""
        self._jobs.put(None)

    def _start(self) -> None:
        threading.Thread(target=self.watch.serve, args=(self._jobs,), name=self.name, daemon=True).start()


def _progress(thread: int) -> str:
    """What changes when a thread computes, or when what it waited for has come; '' where there is no /proc."""
    try:
        of = Path(f"/proc/self/task/{thread}")
        times = (of / "stat").read_text().rpartition(")")[2].split()[11:13]
        return f"{times} {(of / 'status').read_text().splitlines()[-2:]}"
    except OSError:
        return ""

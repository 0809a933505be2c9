"""A pool in this process, one engine for each replica, whose replicas join, die and are lost as a test says.

It stands for Ray in tests of `execution.dispatch`: it carries jobs to real replicas and back, and is asked in turns.
"""

from __future__ import annotations

from collections import deque

from pytest_slmsec.execution.pool import Answered, Died, Done, Joined


class LocalPool:
    """See `execution.pool.Pool`.

    Args:
        run: answers a job: of (replica, job) to `Done`, or None if the replica dies of it.
        kinds: of the replicas that are there at first, by name.

    Attributes:
        sent: all jobs, as (replica, job). to_the_dead: replicas that were sent a job after they had died.
        released, closed: what was let go.
    """

    def __init__(self, run, **kinds):
        self._run = run
        self.jobs, self.events = {}, deque()
        self.sent, self.to_the_dead, self.released, self.closed, self.wanted = [], [], [], False, None
        for name, kind in kinds.items():
            self.join(name, kind)

    def join(self, name, kind):
        self.jobs[name] = deque()
        self.events.append(Joined(name, kind, f"node of {name}"))

    def die(self, name, why="killed"):
        del self.jobs[name]
        self.events.append(Died(name, why))

    def send(self, replica, job):
        if replica not in self.jobs:
            self.to_the_dead.append(replica)
            return  # it has died, which is told with the next events
        self.sent.append((replica, job))
        assert len(self.jobs[replica]) < 2
        self.jobs[replica].append(job)

    def want(self, more):
        self.wanted = more

    def receive(self, timeout_s):
        """What was announced; else the next job of each replica is done."""
        if not self.events:
            for name in list(self.jobs):
                self._work(name)
        events, self.events = list(self.events), deque()
        return events

    def _work(self, name):
        if not self.jobs[name]:
            return
        done = self._run(name, self.jobs[name].popleft())
        if isinstance(done, Done):
            self.events.append(Answered(name, done))
        elif name in self.jobs:
            self.die(name)

    def release(self, replica, for_good=False):
        del self.jobs[replica]
        self.released.append((replica, for_good))

    def close(self):
        self.closed = True

"""The CPU limit of a turn: a soft interrupt of the engine, then the end of the process.

Two POSIX timers on the process's CPU clock, so that a busy machine punishes nobody:
- soft: after `soft` seconds, and every 50 ms from then, a thread of glibc's calls
  JS_RequestInterruptCallback. No Python runs and no interpreter lock is needed. The engine then asks our
  callback, which ends the running script in a way that it cannot catch.
- hard: `hard` seconds later the kernel sends SIGXCPU, whose default action is death. It catches what survives
  interrupts: an exponential bomb of promise jobs (each job is ended, the next one starts), or native code
  that never looks.
The CPU clock does not advance while the process waits, so nothing needs to be disarmed. Nor need a turn
arm what is armed for long enough: the timers are set anew when a part of the limit is used up (0.1 s at
most). The soft one may then come early, which the callback sees and sets it for the rest; the hard one is
set for as much later.

The soft timer comes once before that, at a twenty-fifth of the limit (20 ms of an event's 500): a script that
computes for so long in one turn runs behind all others from then on (`background.py`).
"""

from __future__ import annotations

import ctypes
import signal
import time
from typing import Final

from .background import Background
from .libc import LIBC, last_error, timer_create, timer_settime
from .spidermonkey import SpiderMonkey

_SIGEV_SIGNAL: Final = 0
_SIGEV_THREAD: Final = 2
_REPEAT_SECS: Final = 0.05
_LONG_TURN: Final = 0.04  # of the limit
_MAX_SLACK_SECS: Final = 0.1  # of CPU, that the hard limit may come late
_THREAD_STACK: Final = 128 << 10  # bytes; the default of 8 MiB would count against the heap limit
_ATTR_BYTES: Final = 128  # more than sizeof(pthread_attr_t) everywhere
_CREATE_DETACHED: Final = 1


class _SignalEvent(ctypes.Structure):
    """struct sigevent (sigevent(3type)), 64 bytes on 64-bit Linux."""

    _fields_ = [
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("padding", ctypes.c_byte * 32),
    ]


class _Interval(ctypes.Structure):
    """struct itimerspec."""

    _fields_ = [
        ("interval_secs", ctypes.c_long),
        ("interval_nanos", ctypes.c_long),
        ("value_secs", ctypes.c_long),
        ("value_nanos", ctypes.c_long),
    ]


class Watchdog:
    """Make it once, in the fork server; `start` it after the fork (timers are not inherited) and before the
    seal (it starts a thread).

    With `soft_interrupt=False`, or an engine that offers none, the process ends at the soft limit.
    """

    def __init__(self, engine: SpiderMonkey, *, soft_interrupt: bool = True) -> None:
        self.soft_interrupt = soft_interrupt and engine.can_interrupt
        self.fired = False
        self._armed = False
        self._soft, self._hard = ctypes.c_void_p(), ctypes.c_void_p()
        self._soft_at, self._hard_at = _Interval(), _Interval()
        self._limits = (0.0, 0.0)
        self._slack = 0.0
        self._set_at = 0.0
        self._began = 0.0
        self._gives_way = False
        self._background = Background()
        self._hard_event = _SignalEvent(signo=signal.SIGXCPU, notify=_SIGEV_SIGNAL)
        if self.soft_interrupt:
            engine.on_interrupt(self._keep_running)
            self._attributes = ctypes.create_string_buffer(_ATTR_BYTES)
            LIBC.pthread_attr_init(self._attributes)
            LIBC.pthread_attr_setstacksize(self._attributes, ctypes.c_size_t(_THREAD_STACK))
            LIBC.pthread_attr_setdetachstate(self._attributes, _CREATE_DETACHED)
            self._soft_event = _SignalEvent(
                value=engine.context,
                notify=_SIGEV_THREAD,
                function=engine.request_interrupt,
                attributes=ctypes.addressof(self._attributes),
            )

    def start(self) -> None:
        """Raises OSError."""
        self._limits = (0.0, 0.0)  # what the fork server armed is not armed here
        if self.soft_interrupt:
            self._create(self._soft_event, self._soft)
        self._create(self._hard_event, self._hard)

    def arm(self, soft: float, hard: float) -> None:
        """Begin a turn that may use `soft` seconds of CPU, and lives no longer than `hard` seconds after
        that.
        """
        now = time.process_time()
        if self._limits != (soft, hard):
            self._limits = (soft, hard)
            self._slack = min(_MAX_SLACK_SECS, soft / 2) if self.soft_interrupt else 0.0
            self._soft_at = _interval(soft * _LONG_TURN, _REPEAT_SECS)
            self._hard_at = _interval(soft + hard + self._slack if self.soft_interrupt else soft, 0.0)
            self._set_at = now - self._slack
        self._began = now
        self.fired = False
        self._armed = True
        if now - self._set_at >= self._slack:
            self._set_at = now
            if self.soft_interrupt:
                timer_settime(self._soft, 0, ctypes.byref(self._soft_at), None)
            timer_settime(self._hard, 0, ctypes.byref(self._hard_at), None)

    def rest(self) -> None:
        """The turn is over: an interrupt that comes from now on ends nothing."""
        self._armed = False

    def _keep_running(self) -> bool:
        if not self._armed:
            return True
        soft, _ = self._limits
        used = time.process_time() - self._began
        if not self._gives_way and used >= soft * _LONG_TURN:
            self._gives_way = True
            self._background.enter()
        rest = (soft if self._gives_way else soft * _LONG_TURN) - used
        if rest > 0:
            timer_settime(self._soft, 0, ctypes.byref(_interval(rest, _REPEAT_SECS)), None)
            return True
        self.fired = True
        return False

    @staticmethod
    def _create(event: _SignalEvent, timer: ctypes.c_void_p) -> None:
        if timer_create(time.CLOCK_PROCESS_CPUTIME_ID, ctypes.byref(event), ctypes.byref(timer)):
            raise last_error("timer_create")


def _interval(value: float, repeat: float) -> _Interval:
    return _Interval(int(repeat), int(repeat % 1 * 1e9), int(value), int(value % 1 * 1e9))

"""SpiderMonkey out of PythonMonkey's extension module, and the few engine calls that module does not offer.

`import pythonmonkey` would put Python into the realm (`python.eval`), start helper threads that do not
survive a fork, and route promise jobs through asyncio. This loads the extension module alone and reaches the
rest through symbols that its libmozjs exports. Each of these reaches is a feature that may be missing in
another build: `SpiderMonkey.facts` tells which were there, and each has a fallback.

Measured facts behind it: helper threads off makes fork safe; the internal job queue runs 4 million promise
jobs a second and leaks nothing, the asyncio way 100 thousand and 310 bytes each.
"""

from __future__ import annotations

import ctypes
import glob
import importlib.machinery
import importlib.util
import os
import platform
import re
import struct
import sys
import types
from collections.abc import Callable
from typing import Any, Final

from .elf import local_symbols

_REQUEST_INTERRUPT: Final = "_Z27JS_RequestInterruptCallbackP9JSContext"
_ADD_INTERRUPT_CALLBACK: Final = "_Z23JS_AddInterruptCallbackP9JSContextPFbS0_E"
_RUN_JOBS: Final = "_ZN2js7RunJobsEP9JSContext"
_USE_INTERNAL_JOBS: Final = "_ZN2js20UseInternalJobQueuesEP9JSContext"
_SET_GC_PARAMETER: Final = "_Z17JS_SetGCParameterP9JSContext12JSGCParamKeyj"
_DISABLE_EXTRA_THREADS: Final = "_ZN2js19DisableExtraThreadsEv"
_CAN_USE_EXTRA_THREADS: Final = "_ZN2js19gCanUseExtraThreadsE"
_SET_REJECTION_TRACKER: Final = (
    "_ZN2JS34SetPromiseRejectionTrackerCallbackEP9JSContextPFvS1_bNS_6HandleIP8JSObjectEE"
    "NS_29PromiseRejectionHandlingStateEPvES7_"
)
_CURRENT_GLOBAL: Final = "_ZN2JS19CurrentGlobalOrNullEP9JSContext"
_GET_PROPERTY: Final = (
    "_Z14JS_GetPropertyP9JSContextN2JS6HandleIP8JSObjectEEPKcNS1_13MutableHandleINS1_5ValueEEE"
)
_CALL_FUNCTION: Final = (
    "_Z20JS_CallFunctionValueP9JSContextN2JS6HandleIP8JSObjectEENS2_INS1_5ValueEEERKNS1_"
    "16HandleValueArrayENS1_13MutableHandleIS6_EE"
)
_ADD_ROOT: Final = "_ZN2js15AddRawValueRootEP9JSContextPN2JS5ValueEPKc"
_CLEAR_EXCEPTION: Final = "_Z24JS_ClearPendingExceptionP9JSContext"

# JSGCParamKey (js/GCAPI.h). A small nursery and an early malloc trigger keep an idle guild at about 2 MB.
_JSGC_MAX_NURSERY_BYTES: Final = 2
_JSGC_MALLOC_THRESHOLD_BASE: Final = 35
_NURSERY_BYTES: Final = 4 << 20
_MALLOC_THRESHOLD_BYTES: Final = 8 << 20

# JS::Value boxing on 64-bit ("punboxing"): the tag is in the top 17 bits.
_TAG_OBJECT: Final = 0xFFFE_0000_0000_0000
_TAG_INT32: Final = 0xFFF8_8000_0000_0000
_UNDEFINED: Final = 0xFFF9_8000_0000_0000

# Everything of the `Debugger` API goes: with it a script finds any object of the heap.
_EMPTY_DEBUGGER_GLOBAL: Final = """
for (const key of Reflect.ownKeys(debuggerGlobal)) { try { delete debuggerGlobal[key]; } catch {} }
Object.setPrototypeOf(debuggerGlobal, null);
undefined
"""


class EngineLoadError(Exception):
    """PythonMonkey cannot be loaded at all on this machine."""


class _HandleValueArray(ctypes.Structure):
    _fields_ = [("length", ctypes.c_size_t), ("elements", ctypes.c_void_p)]


_RejectionCallback = ctypes.PYFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_bool, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)


class SpiderMonkey:
    """The one JavaScript context and realm of this process. Only the thread that made it may use it.

    `internal_jobs=False` leaves promise jobs to `MicroLoop`. `fork_safe` says whether a process that has
    made one may fork and go on using it in the child; `internal_jobs` which queue runs the promise jobs.
    """

    def __init__(self, package: str, *, internal_jobs: bool = True) -> None:
        extension, library = find_libraries(package)
        # PyDLL, not CDLL: a call that may run JavaScript must keep the interpreter lock, since the
        # extension's own callbacks use Python's memory without taking it.
        self._library = ctypes.PyDLL(library)
        self.fork_safe = self._disable_helper_threads(library)
        self._module = _load_extension(extension)
        self.context: int = ctypes.c_void_p.in_dll(ctypes.PyDLL(extension), "GLOBAL_CX").value or 0
        if not self.context:
            raise EngineLoadError("PythonMonkey made no JavaScript context.")
        self._keep: list[Any] = []
        self.internal_jobs = internal_jobs and self._use_internal_jobs()
        self._micro_loop: MicroLoop | None = None
        if self.internal_jobs:
            run_jobs = self.function(_RUN_JOBS, None, ctypes.c_void_p)
            context = self.context
            self.run_jobs: Callable[[], None] = lambda: run_jobs(context)
        else:
            self._micro_loop = MicroLoop()
            self._micro_loop.install()
            self.run_jobs = self._micro_loop.run
        self._set_gc_parameters()
        self._silence_rejection_tracker()
        self.evaluate(_EMPTY_DEBUGGER_GLOBAL, "flora:engine")

    def after_fork(self) -> None:
        """Call it first in a forked child."""
        if self._micro_loop is not None:
            self._micro_loop.install()  # asyncio holds a running loop to be that of one process

    @property
    def can_interrupt(self) -> bool:
        return hasattr(self._library, _REQUEST_INTERRUPT) and hasattr(self._library, _ADD_INTERRUPT_CALLBACK)

    @property
    def request_interrupt(self) -> int:
        """Address of `void JS_RequestInterruptCallback(JSContext*)`, safe to call from any thread."""
        return ctypes.cast(self._symbol(_REQUEST_INTERRUPT), ctypes.c_void_p).value or 0

    def on_interrupt(self, callback: Callable[[], bool]) -> None:
        """Have `callback` asked at each interrupt; when it says False the running script is terminated.

        The termination cannot be caught by the script.
        """
        prototype = ctypes.PYFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)
        thunk = prototype(lambda _context: callback())
        self._keep.append(thunk)
        add = self.function(_ADD_INTERRUPT_CALLBACK, ctypes.c_bool, ctypes.c_void_p, prototype)
        if not add(self.context, thunk):
            raise MemoryError("no room for the interrupt callback")

    def evaluate(self, source: str, name: str, *, first_line: int = 1) -> Any:
        """Run `source` as a script and return its value as PythonMonkey shows it. Raises what it throws.

        A function comes back as a callable, an object as a mapping; never ask for a promise.
        """
        return self._module.eval(source, {"filename": name, "mutedErrors": True, "lineno": first_line})

    @staticmethod
    def is_function(value: object) -> bool:
        return type(value).__name__ in {"JSFunctionProxy", "JSMethodProxy"}

    def collect(self) -> None:
        """Run a full garbage collection: 3 to 5 ms for a small heap."""
        self._module.collect()

    def track_rejections(self, holder: str) -> bool:
        """Have the global function named `holder` called as `(promise, state)` when a promise is rejected
        without a handler (state 0) and when it gets one later (state 1). The caller then deletes the name.

        Returns False where the engine offers no way to do so. Nothing of Python enters the realm: the hook is
        the engine's own, and the function is called from C.
        """
        wanted = (_SET_REJECTION_TRACKER, _CURRENT_GLOBAL, _GET_PROPERTY, _CALL_FUNCTION, _ADD_ROOT)
        if not all(hasattr(self._library, name) for name in (*wanted, _CLEAR_EXCEPTION)):
            return False
        if platform.machine() not in {"x86_64", "aarch64"}:
            return False  # the boxing of values below is that of these two
        void_p = ctypes.c_void_p
        global_object = ctypes.c_uint64(self.function(_CURRENT_GLOBAL, void_p, void_p)(self.context) or 0)
        # Three rooted values that the collector updates in place: the function, the promise, the state.
        roots = (ctypes.c_uint64 * 4)(_UNDEFINED, _UNDEFINED, _UNDEFINED, _UNDEFINED)
        base = ctypes.addressof(roots)
        add_root = self.function(_ADD_ROOT, ctypes.c_bool, void_p, void_p, ctypes.c_char_p)
        label = ctypes.c_char_p(b"flora rejection tracker")
        for index in range(4):
            if not add_root(self.context, base + 8 * index, label):
                return False
        get = self.function(_GET_PROPERTY, ctypes.c_bool, void_p, void_p, ctypes.c_char_p, void_p)
        if not get(self.context, ctypes.addressof(global_object), holder.encode(), base):
            return False
        arguments = _HandleValueArray(2, base + 8)
        call = self.function(_CALL_FUNCTION, ctypes.c_bool, void_p, void_p, void_p, void_p, void_p)
        clear = self.function(_CLEAR_EXCEPTION, None, void_p)
        null_object = ctypes.c_uint64(0)
        context = self.context
        receiver, arguments_at = ctypes.addressof(null_object), ctypes.addressof(arguments)

        def tracker(_context: int, _muted: bool, promise: int, state: int, _data: int) -> None:
            roots[1] = _TAG_OBJECT | ctypes.c_uint64.from_address(promise).value
            roots[2] = _TAG_INT32 | state
            if not call(context, receiver, base, arguments_at, base + 24):
                clear(context)
            roots[1] = roots[3] = _UNDEFINED

        thunk = _RejectionCallback(tracker)
        self._keep += [roots, label, global_object, arguments, null_object, thunk]
        self.function(_SET_REJECTION_TRACKER, None, void_p, _RejectionCallback, void_p)(context, thunk, None)
        return True

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        function = self._symbol(name)
        function.restype = result
        function.argtypes = arguments
        return function

    def _symbol(self, name: str) -> Any:
        # Through __getitem__ each caller gets an object of its own, with its own argument types.
        try:
            return self._library[name]
        except AttributeError:
            raise EngineLoadError(f"this build of SpiderMonkey lacks {name}.") from None

    def _disable_helper_threads(self, library: str) -> bool:
        """js::DisableExtraThreads, as the engine's own shell does for `--no-threads`; before the engine
        starts.

        With helper threads a forked child hangs in its first garbage collection: the threads are gone.
        """
        try:
            local = local_symbols(
                library, (_DISABLE_EXTRA_THREADS, _CAN_USE_EXTRA_THREADS, _REQUEST_INTERRUPT)
            )
        except (OSError, struct.error):
            return False
        if len(local) != 3:
            return False
        base = self.request_interrupt - local[_REQUEST_INTERRUPT]
        ctypes.CFUNCTYPE(None)(base + local[_DISABLE_EXTRA_THREADS])()
        return ctypes.c_uint8.from_address(base + local[_CAN_USE_EXTRA_THREADS]).value == 0

    def _use_internal_jobs(self) -> bool:
        """js::UseInternalJobQueues, which asserts that the engine is not set up yet: the one field that it
        looks at is hidden during the call. Where that field is, is read out of the function's first
        instructions.
        """
        if platform.machine() != "x86_64" or not hasattr(self._library, _USE_INTERNAL_JOBS):
            return False
        use = self.function(_USE_INTERNAL_JOBS, ctypes.c_bool, ctypes.c_void_p)
        code = ctypes.string_at(ctypes.cast(use, ctypes.c_void_p).value or 0, 48)
        # mov rax,[rdi+a]; cmp qword [rax+b],0; jne
        match = re.search(rb"\x48\x8b\x87(....)\x48\x83\xb8(....)\x00\x0f\x85", code, re.DOTALL)
        if match is None:
            return False
        runtime_at, flag_at = (struct.unpack("<i", group)[0] for group in match.groups())
        runtime = ctypes.c_uint64.from_address(self.context + runtime_at).value
        field = ctypes.c_uint64.from_address(runtime + flag_at)
        saved = field.value
        field.value = 0
        try:
            return bool(use(self.context))
        finally:
            field.value = saved

    def _set_gc_parameters(self) -> None:
        if hasattr(self._library, _SET_GC_PARAMETER):
            set_parameter = self.function(
                _SET_GC_PARAMETER, None, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32
            )
            set_parameter(self.context, _JSGC_MAX_NURSERY_BYTES, _NURSERY_BYTES)
            set_parameter(self.context, _JSGC_MALLOC_THRESHOLD_BASE, _MALLOC_THRESHOLD_BYTES)

    def _silence_rejection_tracker(self) -> None:
        """PythonMonkey's own tracker cancels all timers, also for rejections that are handled a tick
        later.
        """
        if hasattr(self._library, _SET_REJECTION_TRACKER):
            void_p = ctypes.c_void_p
            self.function(_SET_REJECTION_TRACKER, None, void_p, void_p, void_p)(self.context, None, None)


class MicroLoop:
    """What PythonMonkey asks of an asyncio loop, and nothing else: the fallback queue of promise jobs.

    Slower than the engine's own queue (255,000 jobs/s) and leaks 31 bytes per job. On CPython 3.13 and later
    PythonMonkey 1.4.1 does not see it: there the engine's own queue is the only one.
    """

    def __init__(self) -> None:
        self._jobs: list[Callable[[], None]] = []

    _exception_handler = staticmethod(lambda _loop, _context: None)

    def install(self) -> None:
        import _asyncio

        _asyncio._set_running_loop(self)  # type: ignore[arg-type]  # PythonMonkey asks for no more than this

    def call_soon_threadsafe(self, job: Callable[[], None], *_: Any, context: Any = None) -> object:
        self._jobs.append(job)
        return object()

    def call_later(self, _delay: float, _job: Any, *_: Any, context: Any = None) -> object:
        return object()  # PythonMonkey's timers are not installed in this realm

    def create_future(self) -> _DeadFuture:
        return _DeadFuture()

    def run(self) -> None:
        """Run jobs until none is left; a job that the watchdog ended is dropped and the next one runs."""
        release = ctypes.pythonapi.Py_DecRef
        while self._jobs:
            jobs, self._jobs = self._jobs, []
            for job in jobs:
                try:
                    job()
                except Exception as error:
                    if isinstance(error, MemoryError):
                        raise
                release(ctypes.py_object(job))  # PythonMonkey keeps one reference too many


class _DeadFuture:
    """Stands for a promise that crossed to Python by mistake; nobody waits for it."""

    def set_result(self, _value: object) -> None: ...

    def set_exception(self, _error: object) -> None: ...

    def add_done_callback(self, _callback: object, **_: Any) -> None: ...


def find_libraries(package: str) -> tuple[str, str]:
    """Paths of the extension module and of libmozjs in the folder of PythonMonkey's package."""
    extension = os.path.join(package, "pythonmonkey.so")
    libraries = glob.glob(os.path.join(package, "libmozjs-*.so"))
    if not os.path.exists(extension) or len(libraries) != 1:
        raise EngineLoadError(f"no PythonMonkey extension for this platform in {package}.")
    return extension, libraries[0]


def _load_extension(path: str) -> types.ModuleType:
    """The extension module without its package. All that its start asks of asyncio is an Event to make."""

    class Event:
        def set(self) -> None: ...

        def clear(self) -> None: ...

    stub = types.ModuleType("asyncio")
    stub.Event = Event  # type: ignore[attr-defined]
    real = sys.modules.get("asyncio")
    sys.modules["asyncio"] = stub
    try:
        name = "pythonmonkey.pythonmonkey"
        loader = importlib.machinery.ExtensionFileLoader(name, path)
        spec = importlib.util.spec_from_loader(name, loader)
        if spec is None:
            raise EngineLoadError(f"cannot load {path}.")
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except ImportError as error:
        raise EngineLoadError(f"cannot load PythonMonkey: {error}") from error
    finally:
        if real is not None:
            sys.modules["asyncio"] = real
        else:
            del sys.modules["asyncio"]
    return module

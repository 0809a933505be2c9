"""The plugin needs no module that only Linux, or only Unix, has."""

import ast
from pathlib import Path

import pytest

import pytest_slmsec

UNIX_ONLY = (
    "crypt", "curses", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource", "spwd", "syslog",
    "termios", "tty",
)  # fmt: skip
"""https://docs.python.org/3/library/unix.html, and modules that are missing on Windows for other reasons."""
HIDE = f"""
import builtins

HIDDEN = {UNIX_ONLY!r}
really_import = builtins.__import__

def refuse_hidden(name, scope=None, *args, **kwargs):
    importer = (scope or {{}}).get("__name__", "")
    if importer.startswith("pytest_slmsec") and name.partition(".")[0] in HIDDEN:
        raise ModuleNotFoundError(f"{{importer}} imports {{name}}")
    return really_import(name, scope, *args, **kwargs)

builtins.__import__ = refuse_hidden
"""
MODULES = sorted(Path(pytest_slmsec.__file__).parent.rglob("*.py"))


def imported_at_once(path):
    """Modules that are imported with a module: all imports outside of functions and of ``if TYPE_CHECKING``."""
    waiting: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += ast.iter_child_nodes(node)


UNIX_ATTRIBUTES = {
    "os": {
        "chown", "chroot", "confstr", "fchmod", "fork", "forkpty", "getegid", "geteuid", "getgid",
        "getgroups", "getloadavg", "getpgid", "getpgrp", "getpriority", "getsid", "getuid", "initgroups",
        "killpg", "lchown", "lockf", "major", "minor", "mkfifo", "mknod", "nice", "O_CLOEXEC", "O_DIRECTORY",
        "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC", "openpty", "pread", "pwrite", "register_at_fork",
        "sched_getaffinity", "sched_setaffinity", "sched_yield", "sendfile", "setgid", "setpgid",
        "setpriority", "setsid", "setuid", "statvfs", "sync", "sysconf", "tcgetpgrp", "ttyname", "uname",
        "wait", "wait3", "wait4", "waitid", "WNOHANG",
    },
    "signal": {
        "alarm", "getitimer", "ITIMER_REAL", "pause", "pthread_kill", "pthread_sigmask", "setitimer",
        "SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP",
        "SIGUSR1", "SIGUSR2", "sigwait",
    },
    "socket": {
        "AF_UNIX", "SO_REUSEPORT", "socketpair",
    },
    "time": {
        "clock_gettime", "CLOCK_MONOTONIC", "pthread_getcpuclockid", "tzset",
    },
    "select": {
        "epoll", "kqueue", "poll",
    },
}  # fmt: skip
"""What modules of every system have on Unix or Linux only (https://docs.python.org/3/library, notes on availability).
They are asked for with `getattr` and a default."""


def test_no_module_needs_a_function_that_only_unix_has():
    found = {
        f"{path.name}: {node.value.id}.{node.attr}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.attr in UNIX_ATTRIBUTES.get(node.value.id, ())
    }
    assert found == set()


def test_no_text_is_read_or_written_in_the_encoding_of_the_system():
    """Windows has another one than UTF-8."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in ("read_text", "write_text")
        if not any(word.arg == "encoding" for word in node.keywords)
        and len(node.args) < (1 if node.func.attr == "read_text" else 2)
    ]
    assert found == []


def test_no_module_imports_what_only_unix_has():
    found = {path.name: name for path in MODULES for name in imported_at_once(path) if name in UNIX_ONLY}
    assert found == {}
    assert len(MODULES) > 100


@pytest.mark.parametrize("args", [(), ("-n1",)])
def test_a_run_without_the_modules_of_unix(toy, args):
    if args:
        pytest.importorskip("xdist")
    toy.pytester.makepyfile(hide=HIDE)
    result = toy.run("-p", "hide", "--benchmark-json=out.json", *args, models=("alpha",), subprocess=True)
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20}
    assert len(toy.asked) == 60
    assert (toy.pytester.path / "out.json").exists()

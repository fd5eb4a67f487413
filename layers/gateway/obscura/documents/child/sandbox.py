"""What the child takes away from itself before it reads a byte of the document (ADR 66).

The limits of setrlimit(2) hold on every Unix that has them. On Linux a filter of system calls (seccomp(2)) leaves
memory, time, the two pipes and the exit; all else, from ``open`` to ``execve``, fails with EPERM.
"""

import ctypes
import os
import resource
import sys

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38  # linux/prctl.h
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9
_RET_ALLOW, _RET_EPERM = 0x7FFF_0000, 0x0005_0001  # linux/seccomp.h: SECCOMP_RET_ERRNO with errno 1
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h: LD|W|ABS, JMP|JEQ|K, RET|K
_AT_NUMBER, _AT_ARCHITECTURE = 0, 4  # struct seccomp_data

# read write readv mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn sched_yield mremap madvise getpid
# exit gettimeofday gettid futex restart_syscall clock_gettime exit_group tgkill getrandom
_ALLOWED = {
    "x86_64": (
        0xC000_003E,  # AUDIT_ARCH_X86_64
        (0, 1, 19, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 39, 60, 96, 186, 202, 219, 228, 231, 234, 318),
    ),
    "aarch64": (
        0xC000_00B7,  # AUDIT_ARCH_AARCH64
        (63, 64, 65, 222, 226, 215, 214, 134, 135, 139, 124, 216, 233, 172, 93, 169, 178, 98, 128, 113, 94, 131, 278),
    ),
}
"""By processor: its number in linux/audit.h, and the numbers of the calls above."""


def enter(memory_bytes: int, cpu_seconds: int) -> None:
    """Keep nothing but memory, CPU time and the pipes; a limit that this system does not have is left out.

    RLIMIT_NOFILE is 0, so that no descriptor can be made, of a file, a socket or anything else; those that are open
    stay open.
    """
    limits = {
        "RLIMIT_AS": memory_bytes,
        "RLIMIT_CPU": cpu_seconds,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NPROC": 0,
        "RLIMIT_NOFILE": 0,
    }
    for name, value in limits.items():
        if hasattr(resource, name):
            try:
                resource.setrlimit(getattr(resource, name), (value, value))
            except (OSError, ValueError):
                # macOS has RLIMIT_AS, and refuses values below what a process has mapped at its start. Linux takes all.
                if sys.platform == "linux":
                    raise
    if sys.platform == "linux":
        _end_with_the_gateway()
        _filter_system_calls()


def _end_with_the_gateway() -> None:
    """Have the kernel kill this process when the thread that started it ends (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def _filter_system_calls() -> None:
    """Install the filter; without effect on another processor, or a kernel without seccomp: the limits hold there."""
    known = _ALLOWED.get(os.uname().machine)
    if known is None:
        return
    architecture, numbers = known
    code = [
        _Instruction(_LOAD, 0, 0, _AT_ARCHITECTURE),
        _Instruction(_JUMP_IF_EQUAL, 1, 0, architecture),
        _Instruction(_RETURN, 0, 0, _RET_EPERM),
        _Instruction(_LOAD, 0, 0, _AT_NUMBER),
        *(_Instruction(_JUMP_IF_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)),
        _Instruction(_RETURN, 0, 0, _RET_EPERM),
        _Instruction(_RETURN, 0, 0, _RET_ALLOW),
    ]
    program = _Program(len(code), (_Instruction * len(code))(*code))
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)

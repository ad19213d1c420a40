// No network: whoever asks the system for an Internet socket ends at once by SIGSYS.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cstddef>
#include <iterator>

namespace marrow::testing {

#if defined(__x86_64__)
inline constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
inline constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;
#endif

inline constexpr unsigned kLoad = BPF_LD | BPF_W | BPF_ABS, kIfEqual = BPF_JMP | BPF_JEQ | BPF_K,
                          kReturn = BPF_RET | BPF_K;

// socket(AF_INET or AF_INET6, ...); arguments are 64 bits, of which the lower half comes first.
inline const sock_filter kNoNetwork[] = {
    BPF_STMT(kLoad, offsetof(seccomp_data, arch)),
    BPF_JUMP(kIfEqual, kArchitecture, 0, 5),
    BPF_STMT(kLoad, offsetof(seccomp_data, nr)),
    BPF_JUMP(kIfEqual, SYS_socket, 0, 3),
    BPF_STMT(kLoad, offsetof(seccomp_data, args[0])),
    BPF_JUMP(kIfEqual, AF_INET, 2, 0),
    BPF_JUMP(kIfEqual, AF_INET6, 1, 0),
    BPF_STMT(kReturn, SECCOMP_RET_ALLOW),
    BPF_STMT(kReturn, SECCOMP_RET_KILL_PROCESS),
};

// For this process and those that it starts, for good. False where the system forbids nothing.
inline bool forbid_network() {
  const sock_fprog program = {std::size(kNoNetwork), const_cast<sock_filter*>(kNoNetwork)};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace marrow::testing

// Lets a program, and all that it starts, see a processor whose vector instructions end at AVX2: preloaded
// (LD_PRELOAD), it has the kernel trap the CPUID instruction (arch_prctl(2), ARCH_SET_CPUID) and answers
// without AVX-512, AVX-VNNI and AMX. So every runtime chooses the code that it would choose on such a
// processor, on one that has more. Linux on x86-64 with CPUID faulting: `grep cpuid_fault /proc/cpuinfo`.
//
// What runs before it keeps the real answers: the C library's own copies and string functions.
#include <asm/prctl.h>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>

namespace {

constexpr std::array<std::uint8_t, 2> cpuid_code{0x0f, 0xa2};

struct Registers {
  std::uint32_t eax, ebx, ecx, edx;
};

constexpr std::uint32_t bits(std::initializer_list<int> places) {
  std::uint32_t mask = 0;
  for (int place : places) mask |= std::uint32_t{1} << place;
  return mask;
}

/// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, CPUID, leaf 7.
Registers answer(std::uint32_t leaf, std::uint32_t subleaf) {
  Registers r{};
  asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
  if (leaf != 7) return r;
  if (subleaf == 0) {
    r.ebx &= ~bits({16, 17, 21, 26, 27, 28, 30, 31});  // AVX512 F, DQ, IFMA, PF, ER, CD, BW, VL
    r.ecx &= ~bits({1, 6, 11, 12, 14});                // AVX512 VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ
    r.edx &=
        ~bits({2, 3, 8, 22, 23, 24, 25});  // AVX512 4VNNIW, 4FMAPS, VP2INTERSECT, FP16; AMX BF16, TILE, INT8
  } else if (subleaf == 1) {
    r.eax &= ~bits({4, 5, 21, 23});  // AVX-VNNI, AVX512 BF16, AMX FP16, AVX-IFMA
    r.edx &= ~bits({4, 5, 10, 19});  // AVX-VNNI-INT8, AVX-NE-CONVERT, AVX-VNNI-INT16, AVX10
  }
  return r;
}

long let_through(bool through) {
  return syscall(SYS_arch_prctl, ARCH_SET_CPUID, through ? 1L : 0L);
}

void on_fault(int, siginfo_t*, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  if (std::memcmp(reinterpret_cast<const void*>(registers[REG_RIP]), cpuid_code.data(), cpuid_code.size()) !=
      0) {
    signal(SIGSEGV, SIG_DFL);  // another fault: it happens again, and ends the program
    return;
  }
  let_through(true);
  const Registers r =
      answer(static_cast<std::uint32_t>(registers[REG_RAX]), static_cast<std::uint32_t>(registers[REG_RCX]));
  let_through(false);
  registers[REG_RAX] = r.eax;
  registers[REG_RBX] = r.ebx;
  registers[REG_RCX] = r.ecx;
  registers[REG_RDX] = r.edx;
  registers[REG_RIP] += static_cast<greg_t>(cpuid_code.size());
}

__attribute__((constructor)) void begin() {
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (sigaction(SIGSEGV, &action, nullptr) != 0 || let_through(false) != 0) {
    constexpr char why[] = "avx2_only: the kernel or the processor cannot trap CPUID\n";
    (void)!write(STDERR_FILENO, why, sizeof why - 1);
    _exit(1);
  }
}

}  // namespace

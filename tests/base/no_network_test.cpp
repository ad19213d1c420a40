// What support/no_network.cpp does to every program of tests.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

namespace marrow {
namespace {

void open_socket(int family) {
  const int socket = ::socket(family, SOCK_STREAM, 0);
  if (socket >= 0) ::close(socket);
  std::_Exit(0);
}

TEST(NoNetwork, AnInternetSocketEndsTheProgram) {
  constexpr int kFiltered = 2;
  if (prctl(PR_GET_SECCOMP) != kFiltered) GTEST_SKIP() << "this system forbids no system calls";
  EXPECT_EXIT(open_socket(AF_INET), ::testing::KilledBySignal(SIGSYS), "");
  EXPECT_EXIT(open_socket(AF_INET6), ::testing::KilledBySignal(SIGSYS), "");
  EXPECT_EXIT(open_socket(AF_UNIX), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace marrow

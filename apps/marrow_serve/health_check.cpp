#include "marrow_serve/health_check.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "marrow/base/talk.h"

namespace marrow::cli {
namespace {

constexpr timeval kTimeout = {3, 0};  // of each step

// A socket that is closed in any case; -1: no connection.
class Connection {
 public:
  Connection(const std::string& host, int port) {
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return;
    socket_ = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &kTimeout, sizeof(kTimeout));
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &kTimeout, sizeof(kTimeout));
    connected_ = connect(socket_, found->ai_addr, found->ai_addrlen) == 0;
    freeaddrinfo(found);
  }
  ~Connection() {
    if (socket_ >= 0) close(socket_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The beginning of the answer.
  std::string ask(std::string_view request) const {
    if (!connected_ || send(socket_, request.data(), request.size(), MSG_NOSIGNAL) < 0) return {};
    std::array<char, 256> answer;
    const ssize_t size = recv(socket_, answer.data(), answer.size(), 0);
    return size > 0 ? std::string(answer.data(), static_cast<size_t>(size)) : std::string();
  }

 private:
  int socket_ = -1;
  bool connected_ = false;
};

// Of a server that listens everywhere, the address of this machine.
std::string reachable(const std::string& host) {
  if (host == "0.0.0.0" || host == "localhost") return "127.0.0.1";
  return host == "::" ? "::1" : host;
}

}  // namespace

int check_health(const std::string& host, int port) {
  const std::string address = reachable(host);
  const std::string answer =
      Connection(address, port)
          .ask("GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  if (answer.starts_with("HTTP/1.1 200 ")) return 0;
  talk(fmt::format("marrow: the server at {} port {} {}", address, port,
                   answer.empty() ? "does not answer" : "is not ready"));
  return 1;
}

}  // namespace marrow::cli

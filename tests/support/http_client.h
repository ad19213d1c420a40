// A client for tests of servers: sends bytes as they are, and takes answers apart.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <thread>

#include "marrow/base/text.h"

namespace marrow::testing {

struct HttpAnswer {
  int status = 0;                             // 0: none came
  std::map<std::string, std::string> fields;  // names in lower case; of one name with ", " between them
  std::string body;

  bool has(const std::string& name) const { return fields.contains(name); }
  std::string field(const std::string& name) const { return has(name) ? fields.at(name) : ""; }
};

class HttpClient {
 public:
  explicit HttpClient(uint16_t port, int receive_buffer = 0) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer > 0)
      setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~HttpClient() { leave(); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // False where the server has closed the connection.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  // Closes the own side alone.
  void finish() { shutdown(socket_, SHUT_WR); }

  void leave() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }

  // The next answer; status 0 where the connection ends first. `head_only`: it has no body, as for HEAD.
  HttpAnswer receive(bool head_only = false, double seconds = 20) {
    HttpAnswer answer;
    size_t end;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos)
      if (!receive_more(seconds)) return answer;
    const std::string head = received_.substr(0, end + 2);
    received_.erase(0, end + 4);
    if (!head.starts_with("HTTP/1.1 ")) ADD_FAILURE() << "no answer: " << head;
    answer.status = std::stoi(head.substr(9, 3));
    for (size_t at = head.find("\r\n") + 2; at < head.size();) {
      const size_t line = head.find("\r\n", at), colon = head.find(": ", at);
      std::string& field = answer.fields[to_lower(head.substr(at, colon - at))];
      field += (field.empty() ? "" : ", ") + head.substr(colon + 2, line - colon - 2);
      at = line + 2;
    }
    if (head_only || answer.status == 100 || answer.status == 204) return answer;
    const size_t length = std::stoull(answer.field("content-length"));
    while (received_.size() < length)
      if (!receive_more(seconds)) return {};
    answer.body = received_.substr(0, length);
    received_.erase(0, length);
    return answer;
  }

  HttpAnswer ask(std::string_view request) {
    send(request);
    return receive();
  }

  // Whether the server closes the connection in that time, with nothing more to say.
  bool is_closed(double seconds = 5) {
    while (received_.empty())
      if (!receive_more(seconds)) return ended_;
    return false;
  }

 private:
  bool receive_more(double seconds) {
    pollfd ready = {socket_, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(seconds * 1e3)) != 1) return false;
    char block[65536];
    const ssize_t size = recv(socket_, block, sizeof(block), 0);
    ended_ = size <= 0;
    if (ended_) return false;
    received_.append(block, static_cast<size_t>(size));
    return true;
  }

  int socket_;
  std::string received_;
  bool ended_ = false;
};

// A request for localhost with its length; `fields` are whole lines with CR LF.
inline std::string http_request(std::string_view method, std::string_view target, std::string_view body = {},
                                std::string_view fields = {}) {
  std::string request = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" +
                        std::string(fields);
  if (!body.empty() || method == "POST") request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return request + "\r\n" + std::string(body);
}

// Waits until it holds, for at most ten seconds.
template <class Condition>
bool eventually(const Condition& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return condition();
}

}  // namespace marrow::testing

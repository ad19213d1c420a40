// HTTP/1.1 over TCP, for clients that are not trusted: every read is bounded in bytes and in time, and one
// thread serves all connections. What it does with requests is the Application's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "marrow/serve/http/exchange.h"
#include "marrow/serve/http/limits.h"
#include "marrow/serve/http/origin.h"

namespace marrow::serve {

struct ServerOptions {
  std::string address = "127.0.0.1";  // IPv4 or IPv6
  uint16_t port = 8080;               // 0: a free one
  // PEM files of TLS; none: the server speaks in the clear.
  std::string certificates, key;
  HttpLimits limits;
  OriginRules origins;  // bind_address and secure follow from the others
};

class Server {
 public:
  // Listens. Throws Error{kUsage} for what is no address, Error{kFile} where the port is taken or the system
  // allows too few descriptors for the connections.
  Server(const ServerOptions& options, Application& application);
  ~Server();

  uint16_t port() const;

  // Serves until it is stopped, on the thread that calls it.
  void run();

  // Any thread. After `delay` seconds no more connections are taken; what is under way is finished, for at
  // most `longest` seconds more; then run() returns.
  void drain(double delay, double longest);
  void stop();

  // Any thread.
  size_t connections() const;
  size_t requests_in_flight() const;
  size_t body_bytes() const;  // that are held

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace marrow::serve

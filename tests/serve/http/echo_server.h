// A server without models: what tests of the connections speak to.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "marrow/serve/http/server.h"
#include "support/http_client.h"

namespace marrow::testing {

// POST /echo answers with its body, GET /hello with "hello", GET /big with many bytes; GET /wait is answered
// when release() is called; all else is 404.
class EchoApplication : public serve::Application {
 public:
  static constexpr size_t kBig = 64 << 20;

  void check(serve::Exchange& exchange) override {
    const std::string& path = exchange.target.path;
    if (path != "/echo" && path != "/hello" && path != "/wait" && path != "/big")
      throw serve::HttpError(404, "there is no " + path);
  }
  void handle(const std::shared_ptr<serve::Exchange>& exchange) override {
    if (exchange->target.path == "/wait") {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(exchange);
      return;
    }
    const std::string& path = exchange->target.path;
    exchange->answer(serve::Response{200, "text/plain",
                                     path == "/echo"  ? exchange->body
                                     : path == "/big" ? std::string(kBig, 'x')
                                                      : std::string("hello")});
  }
  void finished(const serve::Exchange*, const std::string&, int status, size_t) override {
    last_status = status;
    ++requests;
  }

  size_t waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  bool first_left() {
    const std::lock_guard lock(mutex_);
    return !waiting_.empty() && waiting_.front()->gone();
  }
  void release() {
    const std::lock_guard lock(mutex_);
    for (const auto& exchange : waiting_) exchange->answer(serve::Response{200, "text/plain", "released"});
    waiting_.clear();
  }

  std::atomic<int> last_status{0};
  std::atomic<size_t> requests{0};

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<serve::Exchange>> waiting_;
};

class EchoServer {
 public:
  explicit EchoServer(serve::ServerOptions options = {})
      : server(on_free_port(std::move(options)), application) {
    thread_ = std::thread([this] { server.run(); });
  }
  ~EchoServer() {
    server.stop();
    thread_.join();
    application.release();
  }

  EchoApplication application;
  serve::Server server;

 private:
  static serve::ServerOptions on_free_port(serve::ServerOptions options) {
    options.port = 0;
    return options;
  }
  std::thread thread_;
};

}  // namespace marrow::testing

// One connection. For the server alone: it includes Asio, whose headers take long to compile.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "marrow/serve/http/chunked.h"
#include "marrow/serve/http/exchange.h"
#include "marrow/serve/http/head.h"
#include "marrow/serve/http/server.h"
#include "marrow/serve/http/stream.h"

namespace marrow::serve {

class Session;

// What all connections of a server share.
struct ServerState {
  ServerOptions options;
  Application& application;
  std::shared_ptr<Budget> budget;  // of the bodies
  boost::asio::io_context io{1};
  std::optional<boost::asio::ssl::context> tls = {};
  bool closing = false;  // connections are closed as soon as they have nothing under way
  std::atomic<size_t> in_flight{0};
  std::function<void(const std::shared_ptr<Session>&)> closed = {};
};

inline std::chrono::steady_clock::duration duration_of(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(seconds));
}

// One connection. Reads all the time, as far ahead as is allowed, so that it notices when the client leaves;
// what it read is taken by the state it is in.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(ServerState& server, Stream::Socket socket);

  void start();
  // While the server closes.
  void close_if_idle() {
    if (state_ == State::kHandshake || (state_ == State::kHead && !started_)) close();
  }
  void close();

 private:
  enum class State { kHandshake, kHead, kBody, kBusy, kWrite, kDrain, kClosed };

  const HttpLimits& limits() const { return server_.options.limits; }
  void read();
  void on_read(boost::system::error_code error, size_t bytes);
  void on_end(bool orderly);
  void advance();
  void read_head();
  void begin_request();
  void check_request();
  void say_continue();
  void read_body();
  void finish_request();
  void refuse(const HttpError& error, bool stay);
  void respond(Response response);
  void write();
  void on_write(boost::system::error_code error, size_t bytes);
  void on_written();
  void drain();
  void arm(double seconds);
  void on_timeout();

  ServerState& server_;
  Stream stream_;
  boost::asio::steady_timer timer_;
  uint64_t armed_ = 0;  // which wait of the timer counts
  State state_ = State::kHandshake;
  std::array<char, 16 << 10> block_;
  bool reading_ = false;
  bool ended_ = false;  // the client sends no more
  std::string buffer_;  // received and not yet taken
  std::string peer_;

  // The request under way.
  uint64_t number_ = 0;   // of those on this connection; what answers an earlier one comes too late
  bool started_ = false;  // its first byte is here
  Exchange::Clock::time_point begin_, body_begin_;
  std::optional<HeadReader> head_reader_;
  std::optional<ChunkReader> chunks_;
  std::shared_ptr<Exchange> exchange_;
  std::optional<Response> refusal_;  // which is sent when the body was read
  bool keep_alive_ = false;

  bool continuing_ = false;  // "100 Continue" is being written

  // The response under way.
  int status_ = 0;
  std::string head_out_, body_out_;
  size_t written_ = 0;
  size_t drained_ = 0;
};

}  // namespace marrow::serve

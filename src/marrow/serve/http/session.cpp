#include "marrow/serve/http/session.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include "marrow/base/talk.h"

namespace marrow::serve {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Clock = Exchange::Clock;

constexpr size_t kReadAhead = 64 << 10;    // of requests that follow one under way
constexpr size_t kSkippedBody = 64 << 10;  // of a refused request, read so that the connection can stay
constexpr size_t kDrainedBytes = 1 << 20;  // after the last response, so that the client can read it
constexpr double kDrainedSeconds = 0.3;
constexpr double kRateGrace = 5;  // seconds before a body's rate counts

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Session::Session(ServerState& server, Stream::Socket socket)
    : server_(server),
      stream_(std::move(socket), server.tls ? &*server.tls : nullptr),
      timer_(server.io),
      peer_(stream_.peer()),
      head_reader_(server.options.limits) {}

void Session::start() {
  arm(limits().head_seconds);
  if (!stream_.is_secure()) {
    state_ = State::kHead;
    return read();
  }
  stream_.shake_hands([self = shared_from_this()](error_code error, size_t) {
    if (self->state_ == State::kClosed) return;
    if (error) return self->close();
    self->state_ = State::kHead;
    self->arm(self->limits().head_seconds);
    self->read();
  });
}

void Session::read() {
  const bool ahead = state_ == State::kBusy || state_ == State::kWrite;
  if (reading_ || ended_ || state_ == State::kClosed || (ahead && buffer_.size() >= kReadAhead)) return;
  reading_ = true;
  stream_.read_some(asio::buffer(block_), [self = shared_from_this()](error_code error, size_t bytes) {
    self->reading_ = false;
    self->on_read(error, bytes);
  });
}

void Session::on_read(error_code error, size_t bytes) {
  if (state_ == State::kClosed) return;
  if (error) {
    ended_ = true;
    on_end(Stream::is_end(error));
    return;
  }
  if (state_ == State::kDrain) {
    drained_ += bytes;
    if (drained_ > kDrainedBytes) close();
  } else {
    buffer_.append(block_.data(), bytes);
    advance();
  }
  read();
}

void Session::on_end(bool orderly) {
  if (exchange_ != nullptr) exchange_->leave();
  if (!orderly) {
    close();
    return;
  }
  switch (state_) {
    case State::kHandshake:
      return close();
    case State::kHead:
      if (!started_) return close();
      return refuse(HttpError(400, "the request ended within its head"), false);
    case State::kBody:
      return refuse(HttpError(400, "the request ended within its body"), false);
    case State::kDrain:
      return close();
    case State::kBusy:
    case State::kWrite:
    case State::kClosed:
      // It may have closed its side alone, and still read.
      return;
  }
}

// Takes from the buffer until more is needed.
void Session::advance() {
  while (true) {
    const State before = state_;
    const size_t size = buffer_.size();
    if (state_ == State::kHead && !buffer_.empty())
      read_head();
    else if (state_ == State::kBody)
      read_body();
    if (state_ == before && buffer_.size() == size) return;
  }
}

void Session::read_head() {
  if (!started_) {
    started_ = true;
    begin_ = Clock::now();
    ++server_.in_flight;
    arm(limits().head_seconds);
  }
  try {
    const std::optional<size_t> size = head_reader_->read(buffer_);
    if (!size) return;
    buffer_.erase(0, *size);
  } catch (const HttpError& error) {
    return refuse(error, false);
  }
  begin_request();
}

void Session::begin_request() {
  const auto send = [weak = weak_from_this(), number = ++number_, &io = server_.io](Response response) {
    asio::post(io, [weak, number, response = std::move(response)]() mutable {
      const auto self = weak.lock();
      if (self != nullptr && self->number_ == number) self->respond(std::move(response));
    });
  };
  exchange_ = std::make_shared<Exchange>(send);
  exchange_->head = std::move(head_reader_->head());
  exchange_->peer = peer_;
  exchange_->begin = begin_;
  exchange_->held = std::make_shared<Share>(server_.budget);
  try {
    exchange_->framing = framing_of(exchange_->head, limits());
  } catch (const HttpError& error) {
    return refuse(error, false);
  }
  const Framing& framing = exchange_->framing;
  keep_alive_ = framing.keep_alive;
  body_begin_ = Clock::now();
  state_ = State::kBody;
  try {
    check_request();
    if (!exchange_->held->grow_to(framing.length.value_or(0)))
      return refuse(overloaded("the server holds as many bytes of requests as it may"), false);
  } catch (const HttpError& error) {
    // A short body that comes in any case is read first: the connection can stay.
    const bool short_body = !framing.chunked && framing.length.value_or(0) <= kSkippedBody;
    if (!short_body || framing.expects_continue) return refuse(error, !framing.has_body());
    refusal_ = error_response(error);
  }
  if (framing.chunked) chunks_.emplace(limits());
  if (framing.expects_continue && framing.has_body() && buffer_.empty()) say_continue();
  if (framing.length) exchange_->body.reserve(*framing.length);
  arm(0);
}

void Session::say_continue() {
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  continuing_ = true;
  stream_.write_some({asio::buffer(kContinue)}, [self = shared_from_this()](error_code, size_t) {
    self->continuing_ = false;
    // The response waited.
    if (self->state_ == State::kWrite) self->write();
  });
}

void Session::check_request() {
  const OriginRules& rules = server_.options.origins;
  exchange_->target = parse_target(exchange_->head.target);
  check_origin(exchange_->head, exchange_->target, rules);
  if (exchange_->head.method == "OPTIONS" && is_allowed_preflight(exchange_->head, rules)) {
    exchange_->route = "preflight";
    refusal_ = preflight_response();
    return;
  }
  server_.application.check(*exchange_);
}

void Session::read_body() {
  std::string& body = exchange_->body;
  try {
    if (chunks_) {
      buffer_.erase(0, chunks_->read(buffer_, body));
      if (!exchange_->held->grow_to(body.size()))
        throw overloaded("the server holds as many bytes of requests as it may");
      if (!chunks_->done()) return;
    } else {
      const size_t left = exchange_->framing.length.value_or(0) - body.size();
      const size_t size = std::min<size_t>(left, buffer_.size());
      body.append(buffer_, 0, size);
      buffer_.erase(0, size);
      if (size < left) return;
    }
  } catch (const HttpError& error) {
    return refuse(error, false);
  }
  finish_request();
}

void Session::finish_request() {
  chunks_.reset();
  exchange_->body_bytes = exchange_->body.size();
  state_ = State::kBusy;
  ++armed_;
  timer_.cancel();
  if (refusal_) {
    respond(*std::exchange(refusal_, {}));
    return;
  }
  try {
    server_.application.handle(exchange_);
  } catch (const HttpError& error) {
    respond(error_response(error));
  } catch (const std::exception& error) {
    talk(std::string("marrow: ") + error.what());
    respond(error_response(500, "the server failed"));
  }
}

// `stay`: the connection is kept, since nothing of the request is left to be read.
void Session::refuse(const HttpError& error, bool stay) {
  if (!stay) keep_alive_ = false;
  state_ = State::kBusy;
  respond(error_response(error));
}

void Session::respond(Response response) {
  if (state_ != State::kBusy) return;
  state_ = State::kWrite;
  status_ = response.status;
  if (server_.closing || (ended_ && buffer_.empty())) keep_alive_ = false;
  std::vector<Field> more = safety_fields();
  if (exchange_ != nullptr) {
    const std::vector<Field> cross_origin = cross_origin_fields(exchange_->head, server_.options.origins);
    more.insert(more.end(), cross_origin.begin(), cross_origin.end());
  }
  if (!keep_alive_)
    more.push_back({"Connection", "close"});
  else if (exchange_->head.minor_version == 0)
    more.push_back({"Connection", "keep-alive"});
  head_out_ = response_head(response, more);
  body_out_ = exchange_ != nullptr && exchange_->head.method == "HEAD" ? "" : std::move(response.body);
  written_ = 0;
  write();
}

void Session::write() {
  if (continuing_) return;
  arm(limits().write_seconds);
  const size_t head = std::min(written_, head_out_.size());
  stream_.write_some(
      {asio::buffer(head_out_) + head, asio::buffer(body_out_) + (written_ - head)},
      [self = shared_from_this()](error_code error, size_t bytes) { self->on_write(error, bytes); });
}

void Session::on_write(error_code error, size_t bytes) {
  if (state_ != State::kWrite) return;
  written_ += bytes;
  if (error) {
    keep_alive_ = false;
    ended_ = true;
  } else if (written_ < head_out_.size() + body_out_.size()) {
    return write();
  }
  on_written();
}

void Session::on_written() {
  server_.application.finished(exchange_.get(), peer_, status_, written_);
  if (started_) --server_.in_flight;
  started_ = false;
  exchange_.reset();
  refusal_.reset();
  chunks_.reset();
  ++number_;
  head_reader_.emplace(limits());
  head_out_ = body_out_ = {};
  if (!keep_alive_ || server_.closing) return drain();
  state_ = State::kHead;
  arm(limits().idle_seconds);
  advance();
  // What it sent before its end was answered as far as it is whole.
  if (ended_ && (state_ == State::kHead || state_ == State::kBody)) return on_end(true);
  read();
}

// The client may still be sending: were the connection closed at once, a reset could overtake the response.
void Session::drain() {
  if (ended_) return close();
  state_ = State::kDrain;
  stream_.finish_sending();
  buffer_ = {};
  arm(kDrainedSeconds);
  read();
}

void Session::close() {
  if (state_ == State::kClosed) return;
  // Whoever works on the request need not.
  if (exchange_ != nullptr) exchange_->leave();
  if (state_ == State::kWrite) server_.application.finished(exchange_.get(), peer_, status_, written_);
  if (started_) --server_.in_flight;
  started_ = false;
  state_ = State::kClosed;
  exchange_.reset();
  ++armed_;
  timer_.cancel();
  stream_.close();
  server_.closed(shared_from_this());
}

// In state kBody `seconds` does not count: the time of the whole request does, and its rate.
void Session::arm(double seconds) {
  if (state_ == State::kBody)
    seconds = std::max(0.0, std::min(1.0, limits().request_seconds - seconds_since(begin_)));
  timer_.expires_after(duration_of(seconds));
  timer_.async_wait([self = shared_from_this(), wait = ++armed_](error_code error) {
    if (!error && wait == self->armed_) self->on_timeout();
  });
}

void Session::on_timeout() {
  switch (state_) {
    case State::kHandshake:
      return close();
    case State::kHead:
      if (!started_) return close();
      return refuse(HttpError(408, "the request took too long to come"), false);
    case State::kBody: {
      const double seconds = seconds_since(body_begin_);
      const bool slow = seconds > kRateGrace && static_cast<double>(exchange_->body.size()) <
                                                    (seconds - kRateGrace) * limits().body_rate;
      if (!slow && seconds_since(begin_) < limits().request_seconds) return arm(0);
      return refuse(HttpError(408, "the request took too long to come"), false);
    }
    case State::kWrite:
    case State::kDrain:
      return close();
    case State::kBusy:
    case State::kClosed:
      return;
  }
}

}  // namespace marrow::serve

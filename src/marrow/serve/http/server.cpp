#include "marrow/serve/http/server.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <boost/asio/post.hpp>
#include <new>
#include <set>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/serve/http/session.h"

namespace marrow::serve {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kBacklog = 511;
constexpr double kAcceptPause = 0.1;      // seconds, where the system has no more descriptors
constexpr rlim_t kOtherDescriptors = 64;  // models, logs, the listener

// As many descriptors as the connections need.
void raise_descriptor_limit(size_t connections) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = connections + kOtherDescriptors;
  if (limit.rlim_cur >= wanted) return;
  if (limit.rlim_max < wanted)
    throw Error(ErrorKind::kFile,
                fmt::format("{} connections need {} file descriptors; the system allows {}. "
                            "--connections or 'ulimit -n' can change that",
                            connections, wanted, limit.rlim_max));
  limit.rlim_cur = wanted;
  setrlimit(RLIMIT_NOFILE, &limit);
}

tcp::endpoint endpoint_of(const ServerOptions& options) {
  error_code error;
  const std::string name = options.address == "localhost" ? "127.0.0.1" : options.address;
  const auto address = asio::ip::make_address(name, error);
  if (error)
    throw Error(
        ErrorKind::kUsage,
        fmt::format("--host {}: no address; wanted is one such as 127.0.0.1 or 0.0.0.0", options.address));
  return {address, options.port};
}

}  // namespace

struct Server::Impl : ServerState {
  Impl(const ServerOptions& wanted, Application& served)
      : ServerState{wanted, served, std::make_shared<Budget>(wanted.limits.bodies)},
        acceptor(io),
        accept_pause(io),
        drain_timer(io) {
    closed = [this](const std::shared_ptr<Session>& session) { remove(session); };
    options.origins.bind_address = options.address;
    if (!options.certificates.empty()) {
      options.origins.secure = true;
      load_certificates(tls.emplace(asio::ssl::context::tls_server), options.certificates, options.key);
    }
    raise_descriptor_limit(options.limits.connections);
    listen();
  }

  void listen();
  void accept();
  bool begin(tcp::socket socket);
  void remove(const std::shared_ptr<Session>& session);
  void close_listener(double longest);

  tcp::acceptor acceptor;
  asio::steady_timer accept_pause, drain_timer;
  std::set<std::shared_ptr<Session>> sessions;
  bool accepting = false;
  uint16_t port = 0;
  std::atomic<size_t> connections{0};
};

void Server::Impl::listen() {
  const tcp::endpoint endpoint = endpoint_of(options);
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (error)
    throw Error(ErrorKind::kFile,
                fmt::format("cannot listen on {} port {}: {}. --host and --port choose others",
                            options.address, options.port, error.message()));
  port = acceptor.local_endpoint().port();
  accept();
}

// At the limit the next client waits in the system's queue until another one leaves.
void Server::Impl::accept() {
  if (accepting || closing || sessions.size() >= options.limits.connections) return;
  acceptor.async_accept([this](error_code error, tcp::socket socket) {
    accepting = false;
    if (closing) return;
    if (!error && begin(std::move(socket))) return accept();
    accept_pause.expires_after(duration_of(kAcceptPause));
    accept_pause.async_wait([this](error_code) { accept(); });
  });
  accepting = true;
}

// False where there is no memory for one more.
bool Server::Impl::begin(tcp::socket socket) {
  std::shared_ptr<Session> session;
  try {
    session = std::make_shared<Session>(*this, std::move(socket));
    sessions.insert(session);
    connections = sessions.size();
    session->start();
    return true;
  } catch (const std::bad_alloc&) {
    if (session != nullptr) session->close();
    return false;
  }
}

void Server::Impl::remove(const std::shared_ptr<Session>& session) {
  sessions.erase(session);
  connections = sessions.size();
  if (closing && sessions.empty()) io.stop();
  accept();
}

void Server::Impl::close_listener(double longest) {
  closing = true;
  error_code ignored;
  acceptor.close(ignored);
  const auto open = sessions;
  for (const auto& session : open) session->close_if_idle();
  if (sessions.empty()) {
    io.stop();
    return;
  }
  drain_timer.expires_after(duration_of(longest));
  drain_timer.async_wait([this](error_code error) {
    if (!error) io.stop();
  });
}

Server::Server(const ServerOptions& options, Application& application)
    : impl_(std::make_unique<Impl>(options, application)) {}

Server::~Server() {
  impl_->closing = true;
  const auto open = impl_->sessions;
  for (const auto& session : open) session->close();
  // What is still queued lets go of the connections.
  impl_->io.restart();
  impl_->io.poll();
}

uint16_t Server::port() const {
  return impl_->port;
}

void Server::run() {
  while (true) {
    try {
      impl_->accept();  // where an error came between one client and the next
      impl_->io.run();
      return;
    } catch (const std::exception& error) {
      // Of one connection, which its deadline will close.
      talk(std::string("marrow: ") + error.what());
    }
  }
}

void Server::drain(double delay, double longest) {
  asio::post(impl_->io, [impl = impl_.get(), delay, longest] {
    impl->drain_timer.expires_after(duration_of(delay));
    impl->drain_timer.async_wait([impl, longest](error_code error) {
      if (!error) impl->close_listener(longest);
    });
  });
}

void Server::stop() {
  impl_->io.stop();
}

size_t Server::connections() const {
  return impl_->connections;
}

size_t Server::requests_in_flight() const {
  return impl_->in_flight;
}

size_t Server::body_bytes() const {
  return impl_->budget->held();
}

}  // namespace marrow::serve

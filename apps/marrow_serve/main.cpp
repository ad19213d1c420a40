// The program `marrow-serve`: the HTTP server that `marrow serve` starts.
//
// Exit codes: 0 (ended by SIGTERM or SIGINT), 1 (failed), 2 (usage), 128 + the signal when a second one ended
// it.
#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "command_line/program.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/talk.h"
#include "marrow/base/text.h"
#include "marrow/serve/serving.h"
#include "marrow_serve/addresses.h"
#include "marrow_serve/health_check.h"
#include "serving/serve_flags.h"

namespace marrow::cli {
namespace {

constexpr int kUsualPort = 8080;
constexpr double kClusterDelay = 5;  // seconds

int port_of(const ServeFlags& flags) {
  if (flags.port) return *flags.port;
  const char* text = std::getenv("PORT");
  if (text == nullptr || *text == '\0') return kUsualPort;
  char* end = nullptr;
  const long port = std::strtol(text, &end, 10);
  if (*end != '\0' || port < 0 || port > 65535)
    throw Error(ErrorKind::kUsage,
                "the environment variable PORT is '" + printable(text) + "'; wanted is 0 to 65535");
  return static_cast<int>(port);
}

std::string token_of(const ServeFlags& flags) {
  if (flags.token_file.empty()) return {};
  constexpr size_t kMostBytes = 4096;
  std::string token(trimmed(read_file(flags.token_file, kMostBytes)));
  if (token.empty()) throw Error(ErrorKind::kUsage, flags.token_file + ": it is empty; wanted is a token");
  return token;
}

// As browsers write them: the scheme, the host, and a port that is not the scheme's own.
void check_allowed_origin(const std::string& origin) {
  const bool plain = origin.starts_with("http://"), secure = origin.starts_with("https://");
  try {
    if (plain || secure) {
      serve::parse_host(std::string_view(origin).substr(plain ? 7 : 8));
      return;
    }
  } catch (const serve::HttpError&) {
  }
  throw Error(ErrorKind::kUsage,
              "--allow-origin: '" + printable(origin) + "'; wanted is an origin such as https://example.org");
}

serve::HttpLimits limits_of(const ServeFlags& flags) {
  const auto kibibytes = [](int count) { return static_cast<size_t>(count) << 10; };
  serve::HttpLimits limits = flags.limits;
  limits.request_line = kibibytes(flags.request_line);
  limits.head = kibibytes(flags.head);
  limits.fields = static_cast<size_t>(flags.fields);
  limits.body = kibibytes(flags.body) << 10;
  limits.bodies = kibibytes(flags.bodies) << 10;
  limits.body_rate = flags.body_rate * 1024;
  limits.connections = static_cast<size_t>(flags.connections);
  return limits;
}

serve::ServingOptions serving_options(const ServeFlags& flags) {
  serve::ServingOptions options;
  if (flags.tls_certificates.empty() != flags.tls_key.empty())
    throw Error(ErrorKind::kUsage, "--tls-cert and --tls-key belong together; one of them is missing");
  options.models = serve::parse_model_sources(flags.models);
  options.network = flags.network;
  options.network.max_batch = static_cast<size_t>(flags.max_batch);
  options.service.version = MARROW_VERSION;
  options.service.queue = {.pictures = static_cast<size_t>(flags.queue),
                           .delay_seconds = flags.max_delay_ms / 1e3,
                           .longest_seconds = flags.waiting.longest_seconds};
  options.service.calls.infer = {.batch = static_cast<size_t>(flags.request_batch),
                                 .pixels = static_cast<int64_t>(flags.pixels * 1e6),
                                 .mask_bytes = static_cast<size_t>(flags.masks) << 20};
  options.service.workers = flags.workers;
  options.service.site = {.samples = flags.samples, .runs = flags.runs, .labels = flags.labels};
  options.service.access_log = flags.access_log ? stdout : nullptr;
  options.server.address = flags.host;
  options.server.port = static_cast<uint16_t>(port_of(flags));
  options.server.certificates = flags.tls_certificates;
  options.server.key = flags.tls_key;
  options.server.limits = limits_of(flags);
  options.server.origins.allowed_hosts = flags.allowed_hosts;
  std::ranges::for_each(flags.allowed_origins, check_allowed_origin);
  options.server.origins.allowed_origins = flags.allowed_origins;
  options.server.origins.token = token_of(flags);
  options.server.origins.open_metrics = flags.open_metrics;
  const bool in_cluster = std::getenv("KUBERNETES_SERVICE_HOST") != nullptr;
  options.drain.delay = flags.drain_delay.value_or(in_cluster ? kClusterDelay : options.drain.delay);
  options.drain.longest = flags.drain_longest;
  return options;
}

// Waits for signals as long as the process lives.
[[noreturn]] void obey_signals(const sigset_t& signals, serve::Serving& serving) {
  bool draining = false;
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal == SIGHUP) {
      serving.reload();
      continue;
    }
    if (draining) _exit(128 + signal);
    draining = true;
    talk("marrow: finishing what is under way; a second signal ends it at once");
    serving.drain();
  }
}

int serve_models(const ServeFlags& flags) {
  if (flags.health_check) return check_health(flags.host, port_of(flags));
  if (flags.models.empty())
    throw Error(ErrorKind::kUsage,
                "no model is given. 'marrow serve --help' lists the options, with an example");
  std::signal(SIGPIPE, SIG_IGN);
  // Before there are threads, which take it over: one alone waits for them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // Static, since the thread that waits for signals may outlive this function.
  static serve::Serving serving(serving_options(flags));
  std::thread([signals] { obey_signals(signals, serving); }).detach();
  talk(
      fmt::format("marrow: listening on {}",
                  fmt::join(server_urls(flags.host, serving.port(), !flags.tls_certificates.empty()), ", ")));
  serving.run();
  return 0;
}

}  // namespace
}  // namespace marrow::cli

int main(int argc, char** argv) {
  marrow::cli::ServeFlags flags;
  const auto declare = [&](marrow::cli::Command& command) {
    marrow::cli::declare_serve_flags(command, flags);
    command.action([&flags] { return marrow::cli::serve_models(flags); });
  };
  return marrow::cli::run_program("marrow serve", declare, argc, argv);
}

#include "marrow/serve/serving.h"

#include <fmt/format.h>

#include "marrow/base/talk.h"

namespace marrow::serve {
namespace {

ServiceOptions checked(ServiceOptions options, const HttpLimits& limits) {
  options.calls.body = limits.body;
  return options;
}

}  // namespace

Serving::Serving(const ServingOptions& options)
    : options_(options),
      models_(options.models, options.network),
      service_(models_, checked(options.service, options.server.limits)),
      server_(options.server, service_),
      loader_(1) {
  service_.set_server(&server_);
}

void Serving::run() {
  std::exception_ptr failure;
  loader_.post([&] {
    try {
      models_.load();
      talk(fmt::format("marrow: ready, on port {}", port()));
    } catch (...) {
      failure = std::current_exception();
      server_.stop();
    }
  });
  server_.run();
  service_.stop();
  if (failure) std::rethrow_exception(failure);
}

void Serving::drain() {
  service_.drain();
  server_.drain(options_.drain_delay, options_.drain_longest);
}

void Serving::reload() {
  loader_.post([this] {
    try {
      models_.load();
      talk("marrow: the models were read again");
    } catch (const std::exception& error) {
      talk(
          fmt::format("marrow: the models could not be read again, and stay as they were: {}", error.what()));
    }
  });
}

}  // namespace marrow::serve

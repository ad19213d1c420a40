#include "marrow/serve/serving.h"

#include <fmt/format.h>

#include <future>

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
  // The loader's, which may go on for longer than this function.
  const auto loading = std::make_shared<std::promise<void>>();
  std::future<void> loaded = loading->get_future();
  loader_.post([this, loading] {
    try {
      models_.load();
      talk(fmt::format("marrow: ready, on port {}", port()));
      loading->set_value();
    } catch (...) {
      loading->set_exception(std::current_exception());
      server_.stop();
    }
  });
  server_.run();
  service_.stop();
  if (loaded.wait_for(std::chrono::seconds(0)) == std::future_status::ready) loaded.get();
}

void Serving::drain() {
  service_.drain();
  server_.drain(options_.drain.delay, options_.drain.longest);
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

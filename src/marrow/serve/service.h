// The routes of the server: health, the Open Inference Protocol, pictures, metrics.
#pragma once

#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include "marrow/serve/access_log.h"
#include "marrow/serve/call.h"
#include "marrow/serve/http/server.h"
#include "marrow/serve/models.h"
#include "marrow/serve/routes.h"
#include "marrow/serve/site/site.h"

namespace marrow::serve {

struct ServiceOptions {
  std::string version;  // of the program
  QueueOptions queue;
  CallLimits calls;
  int workers = kUsualWorkers;  // threads that decode, and read and write JSON
  std::FILE* access_log = nullptr;
  SiteOptions site;
};

class Service : public Application {
 public:
  // `models` outlives it.
  Service(Models& models, const ServiceOptions& options);

  void check(Exchange& exchange) override;
  void handle(const std::shared_ptr<Exchange>& exchange) override;
  void finished(const Exchange* exchange, const std::string& peer, int status, size_t sent) override;

  // Gives up what is under way, and what comes later. Before the server goes, which the answers go to.
  void stop();

  // From now on it is not ready; what comes is still answered. Any thread.
  void drain() { draining_ = true; }
  // What the metrics tell of the connections. Before any request.
  void set_server(const Server* server) { server_ = server; }

 private:
  Response answer_at_once(const Route& route, const Exchange& exchange) const;
  Response model_answer(const Route& route) const;
  Response index(const Exchange& exchange) const;
  void answer_site(const Route& route, Exchange& exchange) const;
  void start_call(const Route& route, const std::shared_ptr<Exchange>& exchange);
  std::string metrics_text() const;
  bool ready() const { return models_.ready() && !draining_; }

  Models& models_;
  const ServiceOptions options_;
  HttpMetrics http_;
  AccessLog log_;
  const Site site_;
  std::atomic<bool> draining_{false};
  const Server* server_ = nullptr;
  // The queue hands its results to the workers, so it goes first.
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<BatchQueue> queue_;
};

}  // namespace marrow::serve

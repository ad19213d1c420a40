#include "marrow/serve/service.h"

#include <nlohmann/json.hpp>

#include "marrow/base/text.h"
#include "marrow/serve/http/compression.h"
#include "marrow/serve/oip/metadata.h"
#include "marrow/serve/picture_options.h"
#include "marrow/serve/picture_route.h"
#include "marrow/serve/static_files.h"

namespace marrow::serve {
namespace {

bool is_classifying(RouteId id) {
  return id == RouteId::kClassify || id == RouteId::kClassifyBatch;
}

bool is_picture_route(RouteId id) {
  return id == RouteId::kDetect || id == RouteId::kDetectBatch || is_classifying(id);
}

bool is_site_route(RouteId id) {
  return id == RouteId::kPageModels || id == RouteId::kSample || id == RouteId::kRuns ||
         id == RouteId::kRun || id == RouteId::kRunPicture || id == RouteId::kLabels;
}

// The routes of pictures, and labels, name a model in their query.
std::string model_name(const Route& route, const Exchange& exchange) {
  return is_picture_route(route.id) || route.id == RouteId::kLabels ? queried_model(exchange.target.query)
                                                                    : route.model;
}

void check_version(const std::string& version) {
  if (!version.empty() && version != kModelVersion)
    throw HttpError(404, "there is no version '" + printable(version, 20) + "' of this model; it has 1");
}

void check_task(const Route& route, const Network& network) {
  if (!is_picture_route(route.id) || is_classifying(route.id) != network.is_detector()) return;
  throw HttpError(400, network.name() + (network.is_detector() ? " is a detector; wanted is /v1/detect"
                                                               : " is a classifier; wanted is /v1/classify"));
}

void answer_inference(const std::shared_ptr<Call>& call, BatchQueue& queue, Workers& workers) {
  call->unpack_body();
  const Stopwatch clock;
  Exchange& exchange = call->exchange();
  const auto read = std::make_shared<InferCall>(
      read_infer_call(exchange.head, exchange.body, call->network(), call->limits().infer,
                      [&](size_t pictures) { call->admit(pictures); }));
  exchange.body = {};
  call->decoded(clock.seconds());
  call->run(std::move(read->inputs), queue, workers,
            [call = call.get(), read](std::vector<Outputs>& outputs) {
              call->answer(infer_response(*read, call->network(), outputs));
            });
}

}  // namespace

Service::Service(Models& models, const ServiceOptions& options)
    : models_(models),
      options_(options),
      log_(options.access_log),
      site_(models, options.site, options.calls.infer.pixels),
      workers_(std::make_unique<Workers>(options.workers)),
      queue_(std::make_unique<BatchQueue>(options.queue)) {}

void Service::stop() {
  // The workers hand pictures to the queue, and the queue its results to the workers.
  workers_->stop();
  queue_.reset();
  workers_.reset();
}

void Service::check(Exchange& exchange) {
  const Route route = find_route(exchange.head.method, exchange.target, exchange.route);
  check_version(route.version);
  if (!route.wants_body) return;
  if (!exchange.framing.chunked && !exchange.framing.length)
    throw HttpError(411, "the request has no Content-Length");
  content_coding(exchange.head);
  check_task(route, *models_.find(model_name(route, exchange)));
}

void Service::handle(const std::shared_ptr<Exchange>& exchange) {
  const Route route = find_route(exchange->head.method, exchange->target, exchange->route);
  if (is_site_route(route.id))
    workers_->post([this, route, exchange] { answer_site(route, *exchange); });
  else if (route.wants_body)
    start_call(route, exchange);
  else
    exchange->answer(answer_at_once(route, *exchange));
}

void Service::start_call(const Route& route, const std::shared_ptr<Exchange>& exchange) {
  const std::string name = model_name(route, *exchange);
  const auto call = std::make_shared<Call>(exchange, models_.find(name), models_.state(name).metrics,
                                           options_.queue.pictures, options_.calls);
  workers_->post([this, call, id = route.id] {
    if (call->exchange().gone()) return;
    call->guarded([&] {
      if (id == RouteId::kInfer)
        answer_inference(call, *queue_, *workers_);
      else
        answer_pictures(call, id == RouteId::kDetectBatch || id == RouteId::kClassifyBatch, *queue_,
                        *workers_);
    });
  });
}

// It reads and writes files: not a matter of the server's own thread.
void Service::answer_site(const Route& route, Exchange& exchange) const {
  try {
    exchange.answer(route.id == RouteId::kLabels ? site_.save_labels(exchange) : site_.answer(route));
  } catch (...) {
    exchange.answer(exception_response());
  }
}

Response Service::answer_at_once(const Route& route, const Exchange& exchange) const {
  switch (route.id) {
    case RouteId::kPage: {
      const PageFile& file = *find_static_file(exchange.target.path);
      return {
          200, std::string(static_type(file)), std::string(file.content), {{"Cache-Control", "no-cache"}}};
    }
    case RouteId::kMetrics:
      return {200, kMetricsType, metrics_text()};
    case RouteId::kServer:
      return {200, kJson, server_metadata(options_.version)};
    case RouteId::kLive:
      return {200, kJson, R"({"live":true})"};
    case RouteId::kReady:
      if (ready()) return {200, kJson, R"({"ready":true})"};
      return {503, kJson, R"({"ready":false})", {{"Retry-After", "1"}}};
    case RouteId::kModels: {
      nlohmann::json names = nlohmann::json::array();
      for (const ModelState& model : models_.states()) names.push_back(model.name);
      return {200, kJson, nlohmann::json({{"models", names}}).dump()};
    }
    case RouteId::kAllStatistics:
      return {200, kJson, model_statistics(models_.states())};
    case RouteId::kIndex:
      return index(exchange);
    case RouteId::kLoading:
      throw HttpError(403, "the models of this server are those that it was started with");
    default:
      return model_answer(route);
  }
}

Response Service::model_answer(const Route& route) const {
  if (route.id == RouteId::kModelStatistics)
    return {200, kJson, model_statistics({models_.state(route.model)})};
  if (route.id == RouteId::kModelReady) {
    const bool is_ready = models_.state(route.model).network != nullptr && !draining_;
    const nlohmann::json body = {{"name", route.model}, {"ready", is_ready}};
    return {is_ready ? 200 : 503, kJson, body.dump()};
  }
  const std::shared_ptr<Network> network = models_.find(route.model);
  return {200, kJson,
          route.id == RouteId::kModelConfig ? model_config(*network, options_.calls.infer)
                                            : model_metadata(*network)};
}

// The body is empty, {} or {"ready": true}.
Response Service::index(const Exchange& exchange) const {
  using nlohmann::json;
  constexpr size_t kMostBytes = 4096;
  const std::string body = unpack(exchange.body, content_coding(exchange.head), kMostBytes);
  bool ready_only = false;
  if (!trimmed(body).empty()) {
    const json wish = body.size() > kMostBytes ? json() : json::parse(body, nullptr, false);
    if (!wish.is_object() || (wish.contains("ready") && !wish["ready"].is_boolean()))
      throw HttpError(400, "the body is not empty, and not {\"ready\": true or false}");
    ready_only = wish.value("ready", false);
  }
  return {200, kJson, repository_index(models_.states(), ready_only)};
}

void Service::finished(const Exchange* exchange, const std::string& peer, int status, size_t sent) {
  AccessLog::Line line{.peer = peer, .route = "malformed", .status = status, .bytes_out = sent};
  if (exchange != nullptr) {
    line.method = exchange->head.method;
    line.target = exchange->head.target;
    line.route = exchange->route;
    line.bytes_in = exchange->body_bytes;
    line.seconds = std::chrono::duration<double>(Exchange::Clock::now() - exchange->begin).count();
  }
  http_.finished(line.route, status, line.seconds);
  log_.add(line);
}

}  // namespace marrow::serve

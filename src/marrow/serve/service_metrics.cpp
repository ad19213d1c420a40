// What /metrics says.
#include "marrow/engine/precision.h"
#include "marrow/serve/service.h"

namespace marrow::serve {
namespace {

using Values = ModelMetrics::Values;

struct Measured {
  std::string name;
  Values values;
};

void add_histogram(MetricsText& text, const char* name, const char* help, const std::vector<Measured>& models,
                   const Histogram Values::*member) {
  text.family(name, help, "histogram");
  for (const Measured& model : models) text.histogram({{"model", model.name}}, model.values.*member);
}

void add_models(MetricsText& text, const std::vector<ModelState>& states) {
  std::vector<Measured> models;
  for (const ModelState& state : states) models.push_back({state.name, state.metrics->values()});
  text.family("marrow_requests_total", "Requests for a model, by how they ended.", "counter");
  for (const Measured& model : models)
    for (size_t i = 0; i < kOutcomeNames.size(); ++i)
      text.sample({{"model", model.name}, {"outcome", std::string(kOutcomeNames[i])}},
                  static_cast<double>(model.values.outcomes[i]));
  add_histogram(text, "marrow_request_duration_seconds", "From a request's first byte to its answer.", models,
                &Values::request);
  add_histogram(text, "marrow_queue_duration_seconds", "How long pictures waited for the engine.", models,
                &Values::queue);
  add_histogram(text, "marrow_inference_duration_seconds", "Runs of the engine, of one picture or several.",
                models, &Values::inference);
  add_histogram(text, "marrow_decode_duration_seconds",
                "Reading a request's input: decoding, JSON, resizing.", models, &Values::decode);
  add_histogram(text, "marrow_batch_size", "Pictures that ran at once.", models, &Values::batch);
  text.family("marrow_queue_depth", "Pictures that are being decoded, wait, or run.", "gauge");
  for (const ModelState& state : states)
    text.sample({{"model", state.name}}, static_cast<double>(state.metrics->depth()));
  text.family("marrow_model_info", "The models that are loaded.", "gauge");
  for (const ModelState& state : states)
    if (state.network != nullptr)
      text.sample(
          {{"name", state.name},
           {"version", kModelVersion},
           {"task", state.network->model().task},
           {"precision", std::string(engine::precision_name(state.network->options().engine.precision))}},
          1);
}

}  // namespace

std::string Service::metrics_text() const {
  MetricsText text;
  const auto routes = http_.routes();
  text.family("marrow_http_requests_total", "Requests, by route and status.", "counter");
  for (const auto& [route, counted] : routes)
    for (const auto& [code, count] : counted.codes)
      text.sample({{"route", route}, {"code", std::to_string(code)}}, static_cast<double>(count));
  text.family("marrow_http_request_duration_seconds",
              "From a request's first byte to the last of its answer.", "histogram");
  for (const auto& [route, counted] : routes) text.histogram({{"route", route}}, counted.seconds);
  text.family("marrow_http_connections", "Open connections.", "gauge");
  text.sample({}, server_ == nullptr ? 0 : static_cast<double>(server_->connections()));
  text.family("marrow_http_requests_in_flight", "Requests that are not answered yet.", "gauge");
  text.sample({}, server_ == nullptr ? 0 : static_cast<double>(server_->requests_in_flight()));
  add_models(text, models_.states());
  text.family("marrow_build_info", "The program.", "gauge");
  text.sample({{"version", options_.version}}, 1);
  add_process_metrics(text);
  return std::move(text).text();
}

}  // namespace marrow::serve

#include "train/train_state.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace marrow {
namespace {

using nlohmann::json;

// A number of JSON is never NaN or infinite, a metric may be.
json number(double value) {
  return std::isfinite(value) ? json(value) : json();
}
double number_of(const json& value) {
  return value.is_null() ? std::nan("") : value.get<double>();
}
json numbers(const std::vector<double>& values) {
  json list = json::array();
  for (const double value : values) list.push_back(number(value));
  return list;
}
std::vector<double> numbers_of(const json& list) {
  std::vector<double> values;
  for (const json& value : list) values.push_back(number_of(value));
  return values;
}

}  // namespace

std::string to_json_text(const TrainState& s) {
  json validations = json::object();
  for (const auto& [epoch, result] : s.validations)
    validations[std::to_string(epoch)] = {{"metrics", numbers(result.metrics)},
                                          {"losses", numbers(result.losses)},
                                          {"fitness", number(result.fitness)}};
  return json{{"epochs", s.epochs},
              {"epoch", s.epoch},
              {"next_batch", s.next_batch},
              {"last_step", s.last_step},
              {"loss_sums", numbers(s.loss_sums)},
              {"best_fitness", s.best.best_fitness},
              {"best_epoch", s.best.best_epoch},
              {"recoveries", s.recoveries},
              {"seconds", s.seconds},
              {"loss_scale", s.loss_scale},
              {"steps_since_scale", s.steps_since_scale},
              {"optimizer_steps", s.optimizer_steps},
              {"momentum_product", s.momentum_product},
              {"ema_updates", s.ema_updates},
              {"validations", validations}}
      .dump();
}

TrainState train_state_of(const std::string& json_text, const std::string& where) {
  try {
    const json j = json::parse(json_text);
    TrainState s;
    j.at("epochs").get_to(s.epochs);
    j.at("epoch").get_to(s.epoch);
    j.at("next_batch").get_to(s.next_batch);
    j.at("last_step").get_to(s.last_step);
    s.loss_sums = numbers_of(j.at("loss_sums"));
    j.at("best_fitness").get_to(s.best.best_fitness);
    j.at("best_epoch").get_to(s.best.best_epoch);
    j.at("recoveries").get_to(s.recoveries);
    j.at("seconds").get_to(s.seconds);
    j.at("loss_scale").get_to(s.loss_scale);
    j.at("steps_since_scale").get_to(s.steps_since_scale);
    j.at("optimizer_steps").get_to(s.optimizer_steps);
    j.at("momentum_product").get_to(s.momentum_product);
    j.at("ema_updates").get_to(s.ema_updates);
    for (const auto& [epoch, result] : j.at("validations").items())
      s.validations[std::stoi(epoch)] = {numbers_of(result.at("metrics")), numbers_of(result.at("losses")),
                                         number_of(result.at("fitness"))};
    constexpr int kMostEpochs = 1'000'000;
    if (s.epochs < 1 || s.epochs > kMostEpochs || s.epoch < 0 || s.epoch > s.epochs || s.next_batch < 0 ||
        s.last_step < -1 || s.optimizer_steps < 0 || s.ema_updates < 0)
      throw Error(ErrorKind::kFormat, "a number is out of its range");
    return s;
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kFormat, where + ": " + printable(error.what(), 300));
  }
}

}  // namespace marrow

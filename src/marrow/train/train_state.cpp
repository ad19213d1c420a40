#include "marrow/train/train_state.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/train/recipe/option_text.h"

namespace marrow::train {
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

constexpr int64_t kMostEpochs = 1'000'000;
constexpr int64_t kMany = 1'000'000'000'000;  // iterations; far from an overflow

[[noreturn]] void refuse(const json& value, const char* key, const std::string& wanted) {
  throw Error(ErrorKind::kFormat,
              fmt::format("'{}' is {}; wanted {}", key, printable(value.dump(), 40), wanted));
}
int64_t whole(const json& state, const char* key, int64_t low, int64_t high) {
  const json& value = state.at(key);
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(high)) &&
                    value.get<int64_t>() >= low && value.get<int64_t>() <= high;
  if (!fits) refuse(value, key, fmt::format("a whole number from {} to {}", low, high));
  return value.get<int64_t>();
}
double real(const json& state, const char* key, double low, double high) {
  const json& value = state.at(key);
  if (!value.is_number() || !(value.get<double>() >= low && value.get<double>() <= high))
    refuse(value, key, fmt::format("a number from {} to {}", low, high));
  return value.get<double>();
}

json optimizer_json(const OptimizerChoice& choice) {
  return {{"name", kOptimizerNames[static_cast<size_t>(choice.kind)]},
          {"lr0", choice.lr0},
          {"momentum", choice.momentum},
          {"warmup_bias_lr", choice.warmup_bias_lr}};
}
OptimizerChoice optimizer_of(const json& j) {
  OptimizerChoice choice;
  choice.kind = optimizer_named(j.at("name").get<std::string>());
  choice.lr0 = real(j, "lr0", 0, kLargestRate);
  choice.momentum = real(j, "momentum", 0, 1);
  choice.warmup_bias_lr = real(j, "warmup_bias_lr", 0, kLargestRate);
  return choice;
}

}  // namespace

std::string fit_state(TrainState& state, int64_t batches_per_epoch, size_t losses, size_t measured) {
  const auto contradiction = [](const std::string& what) {
    return Error(ErrorKind::kFormat, "the checkpoint's training state contradicts itself: " + what);
  };
  if (state.loss_sums.empty()) state.loss_sums.assign(losses, 0);
  if (state.loss_sums.size() != losses)
    throw contradiction(fmt::format("it has {}, but the model {}",
                                    counted(static_cast<int64_t>(state.loss_sums.size()), "loss"), losses));
  for (const auto& [epoch, result] : state.validations)
    if (const size_t found = result.metrics.size() + result.losses.size(); found != measured)
      throw contradiction(fmt::format("the validation of epoch {} has {} instead of {}", epoch + 1,
                                      counted(static_cast<int64_t>(found), "number"), measured));
  std::string note;
  if (state.batches_per_epoch != 0 && state.batches_per_epoch != batches_per_epoch) {
    note = fmt::format("the dataset has changed: an epoch had {} and has {} now; epoch {} begins anew",
                       counted(state.batches_per_epoch, "batch"), batches_per_epoch, state.epoch + 1);
    state.next_batch = 0;
    state.last_step = state.epoch * batches_per_epoch - 1;
    state.loss_sums.assign(losses, 0);
    state.validations.clear();
  }
  state.batches_per_epoch = batches_per_epoch;
  if (state.next_batch > batches_per_epoch ||
      state.last_step >= state.epoch * batches_per_epoch + state.next_batch)
    throw contradiction(fmt::format(
        "batch {} of epoch {} comes next, the last step was after iteration {}, and an epoch has {}",
        state.next_batch, state.epoch + 1, state.last_step, counted(batches_per_epoch, "batch")));
  return note;
}

std::string to_json_text(const TrainSnapshot& snapshot) {
  const TrainState& s = snapshot.state;
  json validations = json::object();
  for (const auto& [epoch, result] : s.validations)
    validations[std::to_string(epoch)] = {{"metrics", numbers(result.metrics)},
                                          {"losses", numbers(result.losses)},
                                          {"fitness", number(result.fitness)}};
  json state{{"epochs", s.epochs},
             {"data", s.data},
             {"batch", s.batch},
             {"epoch", s.epoch},
             {"batches_per_epoch", s.batches_per_epoch},
             {"next_batch", s.next_batch},
             {"last_step", s.last_step},
             {"loss_sums", numbers(s.loss_sums)},
             {"best_fitness", s.best.best_fitness},
             {"best_epoch", s.best.best_epoch},
             {"any_fitness", s.best.any},
             {"recoveries", s.recoveries},
             {"seconds", s.seconds},
             {"loss_scale", s.loss_scale},
             {"steps_since_scale", s.steps_since_scale},
             {"optimizer_steps", snapshot.optimizer_steps},
             {"momentum_product", snapshot.momentum_product},
             {"ema_updates", snapshot.average_updates},
             {"validations", validations}};
  if (s.optimizer) state["optimizer"] = optimizer_json(*s.optimizer);
  return state.dump();
}

TrainSnapshot snapshot_of(const std::string& json_text, const std::string& where) {
  try {
    const json j = json::parse(json_text);
    TrainSnapshot snapshot;
    TrainState& s = snapshot.state;
    s.epochs = static_cast<int>(whole(j, "epochs", 1, kMostEpochs));
    s.epoch = static_cast<int>(whole(j, "epoch", 0, s.epochs));
    // Files of the first versions do not say it.
    if (j.contains("batches_per_epoch")) s.batches_per_epoch = whole(j, "batches_per_epoch", 0, kMany);
    if (j.contains("data")) s.data = j.at("data").get<std::string>();
    if (j.contains("batch")) s.batch = static_cast<int>(whole(j, "batch", 0, kMostEpochs));
    if (j.contains("optimizer")) s.optimizer = optimizer_of(j.at("optimizer"));
    s.next_batch = whole(j, "next_batch", 0, kMany);
    s.last_step = whole(j, "last_step", -1, kMany);
    s.loss_sums = numbers_of(j.at("loss_sums"));
    s.best.best_fitness = real(j, "best_fitness", 0, 1e9);
    s.best.best_epoch = static_cast<int>(whole(j, "best_epoch", 0, s.epochs));
    s.best.any = j.contains("any_fitness") ? j.at("any_fitness").get<bool>() : s.epoch > 0;
    s.recoveries = static_cast<int>(whole(j, "recoveries", 0, kMostEpochs));
    s.seconds = real(j, "seconds", 0, 1e12);
    s.loss_scale = real(j, "loss_scale", 1e-9, 1e30);
    s.steps_since_scale = static_cast<int>(whole(j, "steps_since_scale", 0, kMostEpochs));
    snapshot.optimizer_steps = whole(j, "optimizer_steps", 0, kMany);
    snapshot.momentum_product = real(j, "momentum_product", 0, 1);
    snapshot.average_updates = whole(j, "ema_updates", 0, kMany);
    for (const auto& [text, result] : j.at("validations").items()) {
      const std::optional<double> epoch = parse_number(text);
      if (!epoch || *epoch < 0 || *epoch >= s.epochs || *epoch != std::floor(*epoch))
        throw Error(ErrorKind::kFormat,
                    fmt::format("'validations' names the epoch '{}'", printable(text, 40)));
      s.validations[static_cast<int>(*epoch)] = {
          numbers_of(result.at("metrics")), numbers_of(result.at("losses")), number_of(result.at("fitness"))};
    }
    return snapshot;
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kFormat, where + ": " + printable(error.what(), 300));
  }
}

}  // namespace marrow::train

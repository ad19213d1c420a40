#include "marrow/train/native/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "marrow/base/error.h"
#include "marrow/base/stopwatch.h"
#include "marrow/cpu/caches.h"
#include "marrow/engine/compile/memory_plan.h"

namespace marrow::train::native {

// A block of gradients is written by its last reader in the program's order, which is the first to travel
// back; those before it add.
void Program::plan_gradients() {
  const int lanes = kernels_.lanes;
  std::vector<std::vector<bool>> written;
  for (const Map& map : maps_) written.emplace_back(static_cast<size_t>(map.blocks(lanes)), false);
  for (const int output : outputs_)
    std::fill(written[static_cast<size_t>(output)].begin(), written[static_cast<size_t>(output)].end(), true);
  unwritten_.resize(steps_.size());
  for (size_t i = steps_.size(); i-- > 0;) {
    const auto output = static_cast<size_t>(steps_[i]->output);
    if (!maps_[output].has_gradient) continue;
    for (size_t block = 0; block < written[output].size(); ++block)
      if (!written[output][block]) unwritten_[i].push_back({steps_[i]->output, static_cast<int64_t>(block)});
    for (Reader& reader : steps_[i]->inputs)
      reader.for_uses([&](int map, int64_t number, bool& adds) {
        auto block = written[static_cast<size_t>(map)].begin() + number;
        adds = *block;
        *block = true;
      });
  }
}

void Program::plan_memory() {
  const int lanes = kernels_.lanes;
  const auto count = static_cast<int>(steps_.size());
  const auto backward_time = [&](int step) { return 2 * count - step; };  // the loss is at time `count`
  const size_t maps = maps_.size();
  std::vector<engine::Lifetime> lives(2 * maps);  // values, then gradients
  for (size_t m = 0; m < maps; ++m) {
    lives[m].size = maps_[m].floats(lanes);
    lives[maps + m].size = maps_[m].has_gradient ? maps_[m].floats(lanes) : 0;
    lives[maps + m].first = 2 * count;
  }
  for (int i = 0; i < count; ++i) {
    const Step& step = *steps_[static_cast<size_t>(i)];
    const auto output = static_cast<size_t>(step.output);
    const bool travels_back = maps_[output].has_gradient;
    const int last = travels_back ? backward_time(i) : i;
    lives[output].first = i;
    lives[output].last = std::max(lives[output].last, last);
    lives[maps + output].last = backward_time(i);
    lives[maps + output].first = std::min(lives[maps + output].first, backward_time(i));
    for (const Reader& reader : step.inputs)
      reader.for_maps([&](int number) {
        const auto map = static_cast<size_t>(number);
        lives[map].last = std::max(lives[map].last, last);
        lives[maps + map].first = std::min(lives[maps + map].first, backward_time(i));
      });
  }
  for (const int output : outputs_) {
    auto& value = lives[static_cast<size_t>(output)];
    value.last = std::max(value.last, count);
    // The loss writes it, also where nothing before is trained.
    lives[maps + static_cast<size_t>(output)].first = count;
    lives[maps + static_cast<size_t>(output)].size = maps_[static_cast<size_t>(output)].floats(lanes);
  }
  const engine::MemoryPlan plan = engine::plan_memory(lives, engine::kLineFloats);
  arena_floats_ = plan.size;
  // Beyond a share of the last cache a map is not there any more when it is read.
  const int64_t streamed_bytes = cpu::cache_bytes(3) / 8;
  for (Map& map : maps_)
    map.streamed = map.floats(lanes) * static_cast<int64_t>(sizeof(float)) > streamed_bytes;
  for (size_t m = 0; m < maps; ++m) {
    maps_[m].value_at = plan.offsets[m];
    maps_[m].gradient_at = plan.offsets[maps + m];
  }
  for (const StepPtr& step : steps_) {
    scratch_floats_ = std::max(scratch_floats_, step->scratch_floats());
    shared_floats_ = std::max(shared_floats_, step->shared_floats());
  }
  for (const Check& check : checks_)
    scratch_floats_ = std::max(scratch_floats_, check.reader.pixels() * lanes);
  scratch_floats_ = (scratch_floats_ / engine::kLineFloats + 2) * engine::kLineFloats;
}

void Program::bind() {
  const auto fit = [this](Tensor& tensor, int64_t floats) {
    if (tensor.size() >= floats) return;
    tensor = {};  // first of all gives back what it had
    try {
      tensor = Tensor({floats});
    } catch (const std::bad_alloc&) {
      throw Error(
          ErrorKind::kShape,
          fmt::format("training on a batch of {} takes {:.1f} GB of memory, which the system does not "
                      "give; fewer or smaller images take less",
                      to_string(images_), static_cast<double>(floats) * sizeof(float) / 1e9));
    }
  };
  fit(workspace_.arena, arena_floats_);
  fit(workspace_.shared, shared_floats_);
  fit(workspace_.scratch, scratch_floats_ * pool_.threads());
  float* arena = workspace_.arena.values().data();
  for (Map& map : maps_) {
    map.value = arena + map.value_at;
    map.gradient = arena + map.gradient_at;
  }
}

void Program::check_inputs(std::span<const Tensor> inputs) const {
  bool fit = inputs.size() == inputs_.size();
  for (size_t i = 0; fit && i < inputs.size(); ++i) {
    const Map& map = maps_[static_cast<size_t>(inputs_[i])];
    fit = inputs[i].shape() == Shape{map.images, map.channels, map.height, map.width};
  }
  if (!fit)
    throw Error(ErrorKind::kShape,
                "a batch of other shapes than the training program is for: images of " + to_string(images_));
}

Run Program::run_of(std::span<const Tensor> inputs, const TrainingPlace& place, int64_t version, bool moves) {
  return {.kernels = &kernels_,
          .engine = &engine::kernels_of(kernels_.level),
          .pool = &pool_,
          .maps = maps_,
          .norms = norms_,
          .inputs = inputs,
          .place = place,
          .moves_statistics = moves,
          .version = version,
          .shared = workspace_.shared.values().data(),
          .scratch = workspace_.scratch.values().data(),
          .scratch_floats = scratch_floats_};
}

template <class AfterStep>
void Program::run_forward(const Run& run, const AfterStep& after) {
  for (Norm& norm : norms_) norm.begin();
  for (size_t i = 0; i < steps_.size(); ++i) {
    steps_[i]->forward(run);
    after(i + 1);
  }
}

void Program::forward(std::span<const Tensor> inputs, const TrainingPlace& place, int64_t version) {
  check_inputs(inputs);
  place_ = place;
  version_ = version;
  bind();
  run_forward(run_of(inputs, place, version, true), [](size_t) {});
}

void Program::step_back(const Run& run, size_t step) {
  const int lanes = kernels_.lanes;
  for (const Unwritten& unwritten : unwritten_[step]) {
    const Map& map = maps_[static_cast<size_t>(unwritten.map)];
    for (int64_t image = 0; image < map.images; ++image)
      std::memset(map.gradient + map.at(lanes, image, unwritten.block, 0), 0,
                  static_cast<size_t>(map.pixels() * lanes) * sizeof(float));
  }
  steps_[step]->backward(run);
}

// A loss writes the channels alone.
void Program::clear_spare_lanes() {
  const int lanes = kernels_.lanes;
  for (const int output : outputs_) {
    const Map& map = maps_[static_cast<size_t>(output)];
    const int used = map.channels % lanes;
    if (used == 0) continue;
    for (int64_t image = 0; image < map.images; ++image) {
      float* block = map.gradient + map.at(lanes, image, map.blocks(lanes) - 1, 0);
      for (int64_t pixel = 0; pixel < map.pixels(); ++pixel)
        std::fill_n(block + pixel * lanes + used, lanes - used, 0.0F);
    }
  }
}

void Program::backward(const std::function<void(size_t)>& reached) {
  clear_spare_lanes();
  const Run run = run_of({}, place_, version_, false);
  for (size_t i = steps_.size(); i-- > 0;) {
    if (travels_back(*steps_[i])) step_back(run, i);
    if (reached) reached(i);
  }
}

Norm& Program::norm_of(const Step& step) {
  return norms_[static_cast<size_t>(maps_[static_cast<size_t>(step.output)].norm)];
}

void Program::forward_without_images(bool moves_statistics) {
  for (Norm& norm : norms_) norm.begin();
  for (const StepPtr& step : steps_) norm_of(*step).settle_without_images(moves_statistics);
  clear_outputs();
}

void Program::clear_outputs() {
  bind();
  for (const int output : outputs_) {
    const Map& map = maps_[static_cast<size_t>(output)];
    std::fill_n(map.value, map.floats(kernels_.lanes), 0.0F);
  }
}

void Program::backward_without_images(const std::function<void(size_t)>& reached) {
  for (size_t i = steps_.size(); i-- > 0;) {
    if (travels_back(*steps_[i])) norm_of(*steps_[i]).settle_gradient();
    if (reached) reached(i);
  }
}

std::vector<StepTime> Program::time_steps(const Tensor& images, int64_t version, int repeats) {
  bind();
  std::vector<StepTime> times;
  for (const StepPtr& step : steps_)
    times.push_back({step->name, step->kind(), step->macs(), INFINITY, travels_back(*step) ? INFINITY : 0});
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const Run run = run_of(std::span(&images, 1), {}, version + repeat, true);
    Stopwatch clock;
    run_forward(run, [&](size_t done) {
      times[done - 1].forward_ms = std::min(times[done - 1].forward_ms, clock.seconds() * 1e3);
      clock = {};
    });
    for (size_t i = steps_.size(); i-- > 0;) {
      if (!travels_back(*steps_[i])) continue;
      clock = {};
      step_back(run, i);
      times[i].backward_ms = std::min(times[i].backward_ms, clock.seconds() * 1e3);
    }
  }
  return times;
}

namespace {

template <class T>
loss::MapView<T> view_of(const Map& map, T* data, int lanes) {
  return {data, map.images, map.channels, map.height, map.width, lanes, map.image_floats(lanes)};
}

}  // namespace

loss::MapView<const float> Program::output(size_t index) const {
  const Map& map = maps_[static_cast<size_t>(outputs_.at(index))];
  return view_of<const float>(map, map.value, kernels_.lanes);
}

loss::MapView<float> Program::output_gradient(size_t index) const {
  const Map& map = maps_[static_cast<size_t>(outputs_.at(index))];
  return view_of<float>(map, map.gradient, kernels_.lanes);
}

// The input is the first map.
loss::MapView<const float> Program::input_gradient() const {
  return view_of<const float>(maps_.front(), maps_.front().gradient, kernels_.lanes);
}

bool Program::is_finite(const Run& run, const Check& check) const {
  const Reader& reader = check.reader;
  const int lanes = run.lanes();
  float* plane = run.thread_scratch(0);
  std::vector<bool> counts(static_cast<size_t>(reader.blocks() * lanes), false);
  for (int c = 0; c < reader.channels(); ++c) counts[static_cast<size_t>(reader.lane_of(c))] = true;
  for (int64_t image = 0; image < reader.images(); ++image)
    for (int block = 0; block < reader.blocks(); ++block) {
      const float* values = plane;
      if (check.raw) {
        const Reader::Block& part = reader.parts()[static_cast<size_t>(block)];
        const Map& map = maps_[static_cast<size_t>(part.reading.term.map)];
        values = map.value + map.at(lanes, image, part.block, 0);
      } else {
        reader.prepare(run, image, block, 0, reader.pixels(), plane);
      }
      for (int64_t i = 0; i < reader.pixels() * lanes; ++i)
        if (counts[static_cast<size_t>(block * lanes + i % lanes)] && !std::isfinite(values[i])) return false;
    }
  return true;
}

std::string Program::first_non_finite(std::span<const Tensor> inputs, const TrainingPlace& place,
                                      int64_t version) {
  check_inputs(inputs);
  bind();
  const Run run = run_of(inputs, place, version, false);
  std::string found;
  size_t next = 0;
  // To the end in any case: other workers may wait for all of it.
  run_forward(run, [&](size_t done) {
    for (; next < checks_.size() && checks_[next].after <= done && found.empty(); ++next)
      if (!is_finite(run, checks_[next])) found = checks_[next].name;
  });
  return found;
}

}  // namespace marrow::train::native

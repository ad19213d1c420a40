#include "marrow/engine/compile/tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <sstream>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/tensor.h"
#include "marrow/base/tensor_slab.h"
#include "marrow/base/user_folders.h"
#include "marrow/cpu/processor.h"

namespace marrow::engine {
namespace {

// Raised when implementations change so much that older choices mean nothing.
constexpr int kVersion = 3;
constexpr size_t kMostBytes = 4 << 20;
constexpr int kFewestRounds = 3, kMostRounds = 6;
constexpr std::chrono::milliseconds kEnough{4};  // for each rival
// What stands first in the table is taken if it is slower by less: so much is noise.
constexpr double kNoise = 1.03;
constexpr double kHopeless = 2;  // a rival that takes so many times as long runs once only

using Clock = std::chrono::steady_clock;

// Lines of machine, layer and implementation with tabs between; other lines are passed over.
std::map<std::string, std::string> read_lines(const std::filesystem::path& file) {
  std::map<std::string, std::string> lines;  // implementations by machine and layer
  std::error_code ignored;
  if (file.empty() || !std::filesystem::exists(file, ignored)) return lines;
  try {
    std::istringstream text(read_file(file, kMostBytes));
    for (std::string line; std::getline(text, line);)
      if (const size_t tab = line.rfind('\t'); tab != std::string::npos)
        lines[line.substr(0, tab)] = line.substr(tab + 1);
  } catch (const Error&) {
    lines.clear();
  }
  return lines;
}

// With some numbers, none of them tiny: those take longer.
void fill(std::span<float> values) {
  constexpr size_t kPeriod = 7 << 8;
  for (size_t i = 0; i < std::min(kPeriod, values.size()); ++i)
    values[i] = static_cast<float>(i % 7) * 0.25f - 0.5f;
  for (size_t i = kPeriod; i < values.size(); i += kPeriod)
    std::copy_n(values.begin(), std::min(kPeriod, values.size() - i),
                values.begin() + static_cast<std::ptrdiff_t>(i));
}

// An implementation of a layer, on numbers of its own.
class Trial {
 public:
  Trial(const ConvImplementation& implementation, ConvDescription conv) {
    int64_t floats = 0;
    const auto place = [&](View& view) {
      view.image_stride = view.image_floats(conv.kernels->lanes);
      view.buffer = {Buffer::Where::kArena, 0, floats};
      floats += (view.images * view.image_stride + 15) / 16 * 16;
    };
    place(conv.src);
    for (View& source : conv.sources) place(source);
    place(conv.dst);
    if (conv.epilogue.join != Epilogue::Join::kNone) place(conv.epilogue.other);
    step_ = implementation.make(conv);
    memory_ = Tensor({floats + step_->shared_floats() + conv.pool->threads() * step_->scratch_floats()});
    fill(memory_.values());
    context_.arena = memory_.values().data();
    context_.shared = context_.arena + floats;
    context_.scratch = context_.shared + step_->shared_floats();
    context_.scratch_floats = step_->scratch_floats();
    context_.pool = conv.pool;
  }

  // Returns how long it took.
  Clock::duration run() {
    const auto start = Clock::now();
    step_->run(context_);
    const auto took = Clock::now() - start;
    shortest_ = std::min(shortest_, took);
    return took;
  }
  Clock::duration shortest() const { return shortest_; }

 private:
  StepPtr step_;
  Tensor memory_;
  RunContext context_;
  Clock::duration shortest_ = Clock::duration::max();
};

// Of the rivals the one with the shortest time. They take turns, so that what else the machine does meets
// all, and large weights of one push those of another out of the caches, as other layers do in a network.
const ConvImplementation& fastest_of(std::span<const ConvImplementation* const> rivals,
                                     const ConvDescription& conv) {
  ConvDescription part = measured_part(conv);
  if (!std::ranges::all_of(rivals, [&](const auto* rival) { return rival->accepts(part); })) part = conv;
  const TensorSlab ends_with_the_trials;
  std::vector<Trial> trials;
  for (const ConvImplementation* rival : rivals) trials.emplace_back(*rival, part);
  Clock::duration total{};
  const auto within = [&](double factor) {
    const Clock::duration shortest = std::ranges::min_element(trials, {}, &Trial::shortest)->shortest();
    return [=](const Trial& trial) {
      return static_cast<double>(trial.shortest().count()) <= factor * static_cast<double>(shortest.count());
    };
  };
  for (int round = 0; round < kFewestRounds || (round < kMostRounds && total < kEnough * trials.size());
       ++round) {
    const auto may_win = within(round == 0 ? 1 : kHopeless);
    if (round > 0 && std::ranges::count_if(trials, may_win) == 1) break;
    for (Trial& trial : trials) {
      if (round > 0 && !may_win(trial)) continue;
      const Clock::duration took = trial.run();
      if (round > 0) total += took;  // the first one touches fresh memory
    }
  }
  const auto best = std::ranges::find_if(trials, within(kNoise));
  return *rivals[static_cast<size_t>(best - trials.begin())];
}

}  // namespace

ConvDescription measured_part(const ConvDescription& conv) {
  constexpr double kMostMacs = 2.5e8;  // a thread: some 5 ms
  // Fewer would not be cut into tasks as the whole is; a 1x1 convolution knows no rows.
  constexpr int64_t kFewestRows = 16, kFewestPixels = 256;
  const int64_t tile_rows = conv.kernel == 1 ? 1 : 4;
  const double macs =
      static_cast<double>(conv.dst.images * conv.dst.pixels()) * static_cast<double>(conv.weight.size());
  const double most = kMostMacs * conv.pool->threads();
  if (macs <= most || conv.src.height != conv.dst.height * conv.stride) return conv;
  const int64_t fewest =
      conv.kernel == 1 ? (kFewestPixels + conv.dst.width - 1) / conv.dst.width : kFewestRows;
  const auto rows =
      std::max(static_cast<int64_t>(static_cast<double>(conv.dst.height) * most / macs), fewest);
  ConvDescription part = conv;
  part.dst.height = std::min((rows + tile_rows - 1) / tile_rows * tile_rows, conv.dst.height);
  part.src.height = part.dst.height * conv.stride;
  part.epilogue.other.height = part.dst.height;
  for (View& source : part.sources) source.height = part.src.height;
  return part;
}

Tuner::Tuner(bool measures, std::filesystem::path file, cpu::ThreadPool& pool)
    : measures_(measures), file_(std::move(file)), pool_(pool) {
  if (!measures_) return;
  machine_ = fmt::format("{}, {} threads", cpu::processor_name(), pool.threads());
  const std::string prefix = machine_ + '\t';
  for (const auto& [line, implementation] : read_lines(file_))
    if (line.starts_with(prefix)) choices_[line.substr(prefix.size())] = implementation;
}

std::string Tuner::key(const ConvDescription& conv) const {
  const Epilogue& epilogue = conv.epilogue;
  const std::string scattered =
      conv.scattered.empty() ? "" : fmt::format(" {} of {} maps", conv.scattered.size(), conv.sources.size());
  return fmt::format("{} {}x{}/{} {}x{}x{}{} -> {}x{}x{} images {} epilogue {} {} {}",
                     cpu::simd_name(conv.kernels->level), conv.kernel, conv.kernel, conv.stride,
                     conv.src.channels, conv.src.height, conv.src.width, scattered, conv.dst.channels,
                     conv.dst.height, conv.dst.width, conv.dst.images, epilogue.before.kind,
                     static_cast<int>(epilogue.join), epilogue.after.kind);
}

const ConvImplementation& Tuner::choose(const ConvDescription& conv) {
  std::vector<const ConvImplementation*> rivals;
  for (const ConvImplementation& implementation : conv_implementations()) {
    if (!implementation.accepts(conv)) continue;
    rivals.push_back(&implementation);
    if (!measures_ || !implementation.has_rivals(conv)) break;
  }
  if (rivals.size() == 1) return *rivals[0];
  std::string& choice = choices_[key(conv)];
  const auto known =
      std::ranges::find_if(rivals, [&](const ConvImplementation* rival) { return rival->name == choice; });
  if (known != rivals.end()) return **known;
  const ConvImplementation& fastest = fastest_of(rivals, conv);
  choice = fastest.name;
  changed_ = true;
  return fastest;
}

StepPtr Tuner::make_convolution(const ConvDescription& conv) {
  return choose(conv).make(conv);
}

void Tuner::save() const {
  if (!changed_ || file_.empty()) return;
  auto lines = read_lines(file_);
  for (const auto& [layer, implementation] : choices_) lines[machine_ + '\t' + layer] = implementation;
  std::string text;
  for (const auto& [line, implementation] : lines) text += line + '\t' + implementation + '\n';
  if (text.size() > kMostBytes) return;
  try {
    std::filesystem::create_directories(file_.parent_path());
    write_file_atomically(file_, text);
  } catch (const Error&) {
  } catch (const std::filesystem::filesystem_error&) {
  }
}

std::filesystem::path Tuner::default_file() {
  const std::filesystem::path folder = user_cache_folder();
  return folder.empty() ? folder : folder / fmt::format("tuning-{}.txt", kVersion);
}

}  // namespace marrow::engine

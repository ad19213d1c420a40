#include "marrow/engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/base/stopwatch.h"
#include "marrow/engine/compile/program.h"

namespace marrow::engine {
namespace {

constexpr int kMostThreads = 1024;

int checked_threads(int threads) {
  if (threads < 0 || threads > kMostThreads)
    throw Error(ErrorKind::kUsage,
                fmt::format("{} threads; wanted 1 to {}, or 0 for all processors", threads, kMostThreads));
  return threads;
}

std::shared_ptr<const Program> make_program(const Graph& graph, const Weights& weights, const Shape& input,
                                            std::span<const std::string> outputs,
                                            const EngineOptions& options, cpu::ThreadPool& pool) {
  Tuner tuner(options.autotune, Tuner::default_file(), pool);
  auto program =
      std::make_shared<const Program>(compile(graph, weights, input, outputs, options, tuner, pool));
  tuner.save();
  return program;
}

}  // namespace

struct Engine::Impl {
  Impl(const Graph& graph, const Weights& weights, const Shape& input, std::span<const std::string> names,
       const EngineOptions& options)
      : pool(checked_threads(options.threads)),
        program(make_program(graph, weights, input, names, options, pool)) {
    prepare();
  }
  Impl(std::shared_ptr<const Program> shared, int threads)
      : pool(checked_threads(threads)), program(std::move(shared)) {
    prepare();
  }

  void prepare() {
    arena =
        Tensor({program->arena_floats + program->shared_floats + pool.threads() * program->scratch_floats});
    for (const ProgramOutput& output : program->outputs) outputs.emplace_back(output.shape);
    for (Tensor& output : outputs) output_floats.push_back(output.values().data());
    context.arena = arena.values().data();
    context.outputs = output_floats;
    context.shared = context.arena + program->arena_floats;
    context.scratch = context.shared + program->shared_floats;
    context.scratch_floats = program->scratch_floats;
    context.pool = &pool;
  }

  cpu::ThreadPool pool;
  std::shared_ptr<const Program> program;
  Tensor arena;
  std::vector<Tensor> outputs;
  std::vector<float*> output_floats;
  RunContext context;
};

Engine::Engine(const Graph& graph, const Weights& weights, const Shape& input,
               std::span<const std::string> outputs, const EngineOptions& options)
    : impl_(std::make_unique<Impl>(graph, weights, input, outputs, options)) {}
Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine Engine::share(int threads) const {
  return Engine(std::make_unique<Impl>(impl_->program, threads));
}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

namespace {

[[noreturn]] void wrong_input(const Program& program, const std::string& found) {
  throw Error(ErrorKind::kShape, fmt::format("the engine was compiled for an input of {}, got {}",
                                             marrow::to_string(program.input), found));
}

}  // namespace

void Engine::run(std::span<const float> nchw) {
  if (static_cast<int64_t>(nchw.size()) != element_count(impl_->program->input))
    wrong_input(*impl_->program, fmt::format("{} numbers", nchw.size()));
  impl_->context.input = nchw.data();
  for (const ProgramStep& step : impl_->program->steps) step.step->run(impl_->context);
}

void Engine::run(const Tensor& input) {
  if (input.shape() != impl_->program->input || input.dtype() != DType::kFloat32)
    wrong_input(*impl_->program,
                fmt::format("{} {}", dtype_name(input.dtype()), marrow::to_string(input.shape())));
  run(input.values());
}

size_t Engine::output_count() const {
  return impl_->outputs.size();
}

int64_t Engine::bytes() const {
  size_t bytes = impl_->arena.byte_size();
  for (const Tensor& output : impl_->outputs) bytes += output.byte_size();
  return static_cast<int64_t>(bytes);
}

const Tensor& Engine::output(size_t i) const {
  return impl_->outputs.at(i);
}

void Engine::swap_output(size_t i, Tensor& tensor) {
  Tensor& output = impl_->outputs.at(i);
  if (tensor.shape() != output.shape() || tensor.dtype() != output.dtype())
    throw Error(ErrorKind::kShape, "the tensor that takes an output's place has another shape");
  std::swap(output, tensor);
  impl_->output_floats[i] = output.values().data();
}

namespace {

// "arena 0..409600", the bytes from the first to the one behind the last; a part of a concatenation has the
// other parts of an image in between.
std::string place_text(const View& view, int lanes) {
  const int64_t bytes = element_bytes(view.element), begin = view.buffer.offset * bytes;
  const int64_t end = begin + ((view.images - 1) * view.image_stride + view.image_floats(lanes)) * bytes;
  switch (view.buffer.where) {
    case Buffer::Where::kInput:
      return "input";
    case Buffer::Where::kOutput:
      return fmt::format("output {}", view.buffer.output);
    case Buffer::Where::kArena:
      break;
  }
  return fmt::format("arena {}..{}", begin, end);
}

std::string element_text(Element element) {
  switch (element) {
    case Element::kFloat32:
      return "";
    case Element::kBfloat16:
      return " bf16";
    case Element::kByte:
      return " bytes";
  }
  return "";
}

}  // namespace

std::string Engine::describe() const {
  const Program& program = *impl_->program;
  const int lanes = program.kernels->lanes;
  std::string text = fmt::format(
      "{} ({} lanes), {} threads, input {}, arena {} bytes, scratch {} bytes a thread\n",
      cpu::simd_name(program.kernels->level), lanes, impl_->pool.threads(), marrow::to_string(program.input),
      (program.arena_floats + program.shared_floats) * static_cast<int64_t>(sizeof(float)),
      program.scratch_floats * static_cast<int64_t>(sizeof(float)));
  text += fmt::format("{:<40} {:<48} {:<24} {:<24} {}\n", "step", "kernel", "shape", "writes", "reads");
  for (const ProgramStep& step : program.steps) {
    std::vector<std::string> reads;
    for (const View& view : step.reads) reads.push_back(place_text(view, lanes));
    text += fmt::format("{:<40} {:<48} {:<24} {:<24} {}\n", step.step->name, step.step->kernel(),
                        marrow::to_string(step.shape) + element_text(step.writes.element),
                        place_text(step.writes, lanes), fmt::join(reads, ", "));
  }
  return text;
}

std::vector<StepTime> Engine::time_steps(const Tensor& input, int repeats) {
  run(input);
  std::vector<StepTime> times;
  for (const ProgramStep& step : impl_->program->steps)
    times.push_back(
        {step.step->name, step.step->kernel(), std::numeric_limits<double>::infinity(), step.macs});
  for (int i = 0; i < repeats; ++i)
    for (size_t s = 0; s < times.size(); ++s) {
      const Stopwatch clock;
      impl_->program->steps[s].step->run(impl_->context);
      times[s].ms = std::min(times[s].ms, clock.milliseconds());
    }
  return times;
}

}  // namespace marrow::engine

// The training executor on Marrow's own kernels: the processor, in float32 or, where it has AVX-512 BF16,
// with products of bfloat16 ("bf16").
#pragma once

#include <memory>

#include "marrow/train/step/training_executor.h"

namespace marrow::train {

// A MakeExecutor. Throws Error{kUsage} for a device or a precision that it does not have, and Error{kModel}
// as TrainingExecutor::load does. A batch that it refuses has changed nothing; one that is too large for the
// memory that the system gives is refused so.
std::unique_ptr<TrainingExecutor> make_native_executor(const Graph& graph, const ExecutorState& start,
                                                       const ExecutorSettings& settings);

// A ChooseBackend. Throws Error{kUsage} for another device than the processor. `amp` is bf16 where the
// processor has products of it; otherwise float32, and that is said.
TrainingBackend native_backend(const TrainOptions& options);

}  // namespace marrow::train

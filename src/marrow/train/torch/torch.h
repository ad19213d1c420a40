// LibTorch, for the train layer alone: the one header that includes it, precompiled because parsing it takes
// longer than compiling what uses it. Of LibTorch only what is used (torch/torch.h adds its modules, datasets
// and optimizers), and of that only what both 1.13 (Debian's package) and 2.x offer.
#pragma once

#include <torch/autograd.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "marrow/base/tensor.h"

namespace marrow::train {

// Copies with the same shape and type. to_torch gives an independent, contiguous tensor on `device`;
// from_torch copies to the processor's memory. Throw Error{kUnsupported} for a type the other side lacks.
torch::Tensor to_torch(const Tensor& tensor, torch::Device device = torch::kCPU);
Tensor from_torch(const torch::Tensor& tensor);

// Gives LibTorch available_threads() threads (Debian's build reports one on some processors), or `threads`
// when that is positive. Call once, before the first operation.
void set_torch_threads(int threads = 0);

// Whether CUDA is to take algorithms that give the same bytes every time; where it has none it warns. On a
// CPU they always do.
void prefer_deterministic(bool wanted);

// On CUDA, convolutions in float32 are by default TF32's, whose factors have 10 bits. Not after this.
void forbid_tf32();

// "cpu", "cuda", "cuda:1" or "1" as a device. Throws Error{kUsage} for anything else and for a device that is
// not here.
torch::Device parse_device(const std::string& name);

// Memory that work on this device takes, for a person to read: of a CPU, what this process holds; of a CUDA
// device, all that is in use on it, by other processes too. 0 where it is not known.
int64_t bytes_in_use(const torch::Device& device);

}  // namespace marrow::train

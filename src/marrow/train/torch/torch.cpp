#include "marrow/train/torch/torch.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "marrow/base/error.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/train/recipe/progress.h"

namespace marrow::train {
namespace {

constexpr std::pair<DType, torch::ScalarType> kTypes[] = {
    {DType::kFloat32, torch::kFloat32},   {DType::kFloat16, torch::kFloat16},
    {DType::kBFloat16, torch::kBFloat16}, {DType::kFloat64, torch::kFloat64},
    {DType::kInt64, torch::kInt64},       {DType::kInt32, torch::kInt32},
    {DType::kInt16, torch::kInt16},       {DType::kInt8, torch::kInt8},
    {DType::kUInt8, torch::kUInt8},       {DType::kBool, torch::kBool},
};

}  // namespace

torch::Tensor to_torch(const Tensor& tensor, torch::Device device) {
  for (const auto& [ours, theirs] : kTypes)
    if (ours == tensor.dtype()) {
      torch::Tensor copy = torch::empty(tensor.shape(), torch::dtype(theirs));
      if (tensor.byte_size() > 0) std::memcpy(copy.data_ptr(), tensor.bytes(), tensor.byte_size());
      return copy.to(device);
    }
  throw Error(ErrorKind::kUnsupported, fmt::format("LibTorch has no type {}", dtype_name(tensor.dtype())));
}

Tensor from_torch(const torch::Tensor& tensor) {
  const torch::Tensor source = tensor.detach().to(torch::kCPU).contiguous();
  for (const auto& [ours, theirs] : kTypes)
    if (theirs == source.scalar_type()) {
      Tensor copy(source.sizes().vec(), ours);
      if (copy.byte_size() > 0) std::memcpy(copy.bytes(), source.data_ptr(), copy.byte_size());
      return copy;
    }
  throw Error(ErrorKind::kUnsupported, fmt::format("a tensor of LibTorch's type {} has no counterpart",
                                                   c10::toString(source.scalar_type())));
}

void set_torch_threads(int threads) {
  at::set_num_threads(cpu::thread_count(threads));
}

void prefer_deterministic(bool wanted) {
  at::globalContext().setDeterministicAlgorithms(wanted, /*warn_only=*/true);
  at::globalContext().setDeterministicCuDNN(wanted);
}

void forbid_tf32() {
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
}

torch::Device parse_device(const std::string& name) {
  if (name == "cpu") return torch::kCPU;
  int index = 0;
  bool well_formed = name == "cuda";
  constexpr std::string_view kPrefix = "cuda:";
  const bool is_digits = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
  if (name.starts_with(kPrefix) || is_digits) {  // "0" is cuda:0
    const char* end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + (is_digits ? 0 : kPrefix.size()), end, index);
    well_formed = error == std::errc() && rest == end && index >= 0;
  }
  if (!well_formed)
    throw Error(ErrorKind::kUsage,
                fmt::format("unknown device '{}'. Known: cpu, cuda, cuda:N, or N alone", name));
  const auto here = static_cast<int>(torch::cuda::device_count());
  if (index >= here)
    throw Error(ErrorKind::kUsage,
                here == 0 ? fmt::format("device '{}': no CUDA device is here; use cpu", name)
                          : fmt::format("device '{}': {} CUDA devices are here, cuda:0 to cuda:{}", name,
                                        here, here - 1));
  return torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(index));
}

// Looked up when it is needed: LibTorch without CUDA has no header that declares it.
int64_t bytes_in_use(const torch::Device& device) {
  if (!device.is_cuda()) return resident_bytes();
  using MemoryInfo = int (*)(size_t * free, size_t * total);
  static const auto memory_info = reinterpret_cast<MemoryInfo>(dlsym(RTLD_DEFAULT, "cudaMemGetInfo"));
  size_t free = 0, total = 0;
  if (memory_info == nullptr || memory_info(&free, &total) != 0) return 0;
  return static_cast<int64_t>(total - free);
}

}  // namespace marrow::train

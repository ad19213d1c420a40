// Memory that many tensors share.
#pragma once

#include <cstddef>
#include <memory>

namespace marrow {

// While one lives, the tensors of more than a few pages that its thread makes lie side by side in mappings of
// huge pages: for many that live and end together, since a mapping stays until all in it have ended. Fresh
// small pages cost as much as what fills them. Of several the youngest counts.
class TensorSlab {
 public:
  TensorSlab();
  ~TensorSlab();
  TensorSlab(const TensorSlab&) = delete;
  TensorSlab& operator=(const TensorSlab&) = delete;

  // Zeros, or nothing where there is no slab, or where so many have a mapping or a page of their own.
  static std::shared_ptr<std::byte> take(size_t bytes);

 private:
  TensorSlab* older_;
  std::shared_ptr<std::byte> mapping_;
  size_t left_ = 0;  // of the mapping, at its end
};

}  // namespace marrow

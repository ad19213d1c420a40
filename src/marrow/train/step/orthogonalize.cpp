#include "marrow/train/step/orthogonalize.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace marrow::train {
namespace {

// To the nearest bfloat16, ties to even; `value` is finite.
float rounded(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fffU + ((bits >> 16) & 1U)) & 0xffff0000U);
}

// to[c][r] = from[r][c]
void transpose(std::span<const float> from, int64_t rows, int64_t columns, float* to) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) to[c * rows + r] = from[static_cast<size_t>(r * columns + c)];
}

}  // namespace

Orthogonalizer::Orthogonalizer(cpu::SimdLevel level) : multiply_(matrix_multiply(level)) {}

void Orthogonalizer::orthogonalize(std::span<float> matrix, int64_t rows, int64_t columns) {
  constexpr int kSteps = 5;
  constexpr float kA = 3.4445F, kB = -4.7750F, kC = 2.0315F, kNormEps = 1e-7F;
  // The iteration is of X or of its transpose, whichever is wide: its squares are small.
  const bool tall = rows > columns;
  const int64_t m = std::min(rows, columns), n = std::max(rows, columns);
  x_.resize(matrix.size());
  product_.resize(matrix.size());
  gram_.resize(static_cast<size_t>(m * m));
  polynomial_.resize(static_cast<size_t>(m * m));
  panel_.resize(static_cast<size_t>(n * kPanelColumns));

  for (float& value : matrix) value = rounded(value);
  double squares = 0;
  for (const double value : matrix) squares += value * value;
  const float norm = rounded(rounded(static_cast<float>(std::sqrt(squares))) + kNormEps);
  for (float& value : matrix) value = rounded(value / norm);
  if (tall)
    transpose(matrix, rows, columns, x_.data());
  else
    std::ranges::copy(matrix, x_.begin());

  for (int step = 0; step < kSteps; ++step) {
    // A = X X^T,   B = b A + c A A,   X = a X + B X
    multiply_({m, n, m}, x_.data(), {x_.data(), 1, n}, panel_.data(), gram_.data());
    for (float& value : gram_) value = rounded(value);
    multiply_({m, m, m}, gram_.data(), {gram_.data(), m, 1}, panel_.data(), polynomial_.data());
    // A product and what is added to it are rounded together.
    for (size_t i = 0; i < gram_.size(); ++i) polynomial_[i] = rounded(gram_[i] * kB + polynomial_[i] * kC);
    multiply_({m, m, n}, polynomial_.data(), {x_.data(), n, 1}, panel_.data(), product_.data());
    for (size_t i = 0; i < x_.size(); ++i) x_[i] = rounded(x_[i] * kA + product_[i]);
  }
  if (tall)
    transpose(x_, columns, rows, matrix.data());
  else
    std::ranges::copy(x_, matrix.begin());
}

}  // namespace marrow::train

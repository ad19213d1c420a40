// Winograd's minimal filtering for 3x3 convolutions, 4 x 4 outputs at a time: the points that its polynomials
// are evaluated at, and the matrices that follow.
//
//   Y = A^T [ (G g G^T) * (B^T d B) ] A      d: patch of inputs, g: 3 x 3 weights, Y: 4 x 4 outputs
//
// The usual points 0, +-1, +-2 have small whole numbers in their matrices; these have a third of their
// rounding error, and are exact in binary all the same. Source: Lavin and Gray, Fast Algorithms for
// Convolutional Neural Networks, 2015; on the
// points: Barabasz et al., Error Analysis and Improving the Accuracy of Winograd Convolution, 2018.
#pragma once

#include <array>

namespace marrow::engine::winograd {

constexpr int kTile = 4;  // output pixels a side

// F(4x4, 3x3) with stride 1, at the points 0, +-kA, +-kB and infinity: 36 products instead of 144.
struct Unit {
  static constexpr int kStride = 1;
  static constexpr int kPatch = 6;     // input pixels a side
  static constexpr int kProducts = 6;  // of one dimension
  // Products of one dimension that have the same weights are a class; those from the last class on are one.
  static constexpr int kClasses = 6;

  static constexpr double kA = 0.75, kB = 1.5;
  static constexpr double kA2 = kA * kA, kB2 = kB * kB;
  static constexpr double kInput[kProducts][kPatch] = {
      {kA2 * kB2, 0, -(kA2 + kB2), 0, 1, 0},  // B^T
      {0, -kA* kB2, -kB2, kA, 1, 0},         {0, kA* kB2, -kB2, -kA, 1, 0},
      {0, -kB* kA2, -kA2, kB, 1, 0},         {0, kB* kA2, -kA2, -kB, 1, 0},
      {0, kA2* kB2, 0, -(kA2 + kB2), 0, 1}};
  static constexpr double kOutput[kTile][kProducts] = {{1, 1, 1, 1, 1, 0},  // A^T
                                                       {0, kA, -kA, kB, -kB, 0},
                                                       {0, kA2, kA2, kB2, kB2, 0},
                                                       {0, kA* kA2, -kA* kA2, kB* kB2, -kB* kB2, 1}};
  static constexpr double kScaleA = 1 / (2 * kA2 * (kA2 - kB2)), kScaleB = 1 / (2 * kB2 * (kB2 - kA2));
  static constexpr double kWeight[kClasses][3] = {{1 / (kA2 * kB2), 0, 0},  // the rows of G that differ
                                                  {kScaleA, kScaleA* kA, kScaleA* kA2},
                                                  {kScaleA, -kScaleA* kA, kScaleA* kA2},
                                                  {kScaleB, kScaleB* kB, kScaleB* kB2},
                                                  {kScaleB, -kScaleB* kB, kScaleB* kB2},
                                                  {0, 0, 1}};
};

// Stride 2. The even inputs meet weights 0 and 2: F(4, 2) at +-kA, +-kB and infinity. The odd ones meet
// weight 1 alone: four products of one class. In two dimensions, 81 products instead of 144.
struct Strided {
  static constexpr int kStride = 2;
  static constexpr int kPatch = 9;
  static constexpr int kProducts = 9;
  static constexpr int kClasses = 6;

  static constexpr double kA = 0.5, kB = 1.25;
  static constexpr double kA2 = kA * kA, kB2 = kB * kB;
  static constexpr double kInput[kProducts][kPatch] = {{-kA * kB2, 0, -kB2, 0, kA, 0, 1, 0, 0},
                                                       {kA * kB2, 0, -kB2, 0, -kA, 0, 1, 0, 0},
                                                       {-kB * kA2, 0, -kA2, 0, kB, 0, 1, 0, 0},
                                                       {kB * kA2, 0, -kA2, 0, -kB, 0, 1, 0, 0},
                                                       {kA2 * kB2, 0, 0, 0, -(kA2 + kB2), 0, 0, 0, 1},
                                                       {0, 1, 0, 0, 0, 0, 0, 0, 0},
                                                       {0, 0, 0, 1, 0, 0, 0, 0, 0},
                                                       {0, 0, 0, 0, 0, 1, 0, 0, 0},
                                                       {0, 0, 0, 0, 0, 0, 0, 1, 0}};
  static constexpr double kOutput[kTile][kProducts] = {
      {1, 1, 1, 1, 0, 1, 0, 0, 0},
      {kA, -kA, kB, -kB, 0, 0, 1, 0, 0},
      {kA2, kA2, kB2, kB2, 0, 0, 0, 1, 0},
      {kA * kA2, -kA* kA2, kB* kB2, -kB* kB2, 1, 0, 0, 0, 1}};
  static constexpr double kScaleA = 1 / (2 * kA * (kA2 - kB2)), kScaleB = 1 / (2 * kB * (kB2 - kA2));
  static constexpr double kWeight[kClasses][3] = {{kScaleA, 0, kScaleA* kA},
                                                  {-kScaleA, 0, kScaleA* kA},
                                                  {kScaleB, 0, kScaleB* kB},
                                                  {-kScaleB, 0, kScaleB* kB},
                                                  {0, 0, 1},
                                                  {0, 1, 0}};
};

// G g G^T of one kernel g[y][x], by class: i * kClasses + j with i down and j across.
template <class Form>
std::array<double, std::size_t{Form::kClasses} * Form::kClasses> transform_weights(const float* g) {
  double half[Form::kClasses][3] = {};
  for (int i = 0; i < Form::kClasses; ++i)
    for (int x = 0; x < 3; ++x)
      for (int y = 0; y < 3; ++y) half[i][x] += Form::kWeight[i][y] * double{g[3 * y + x]};
  std::array<double, std::size_t{Form::kClasses}* Form::kClasses> result = {};
  std::size_t at = 0;
  for (int i = 0; i < Form::kClasses; ++i)
    for (int j = 0; j < Form::kClasses; ++j, ++at)
      for (int x = 0; x < 3; ++x) result[at] += half[i][x] * Form::kWeight[j][x];
  return result;
}

// Products of both dimensions, numbered i * kProducts + j with i down and j across, in the order of their
// classes: neighbours share their weights.
template <class Form>
constexpr auto products_by_class() {
  struct Product {
    int number, weights;  // weights: the class, as transform_weights orders them
  };
  constexpr int kProducts = Form::kProducts, kClasses = Form::kClasses;
  const auto class_of = [](int i) { return i < kClasses ? i : kClasses - 1; };
  std::array<Product, std::size_t{kProducts} * kProducts> products{};
  std::size_t place = 0;
  for (int weights = 0; weights < kClasses * kClasses; ++weights)
    for (int number = 0; number < kProducts * kProducts; ++number)
      if (class_of(number / kProducts) * kClasses + class_of(number % kProducts) == weights)
        products[place++] = {number, weights};
  return products;
}
template <class Form>
constexpr auto kProductsByClass = products_by_class<Form>();

}  // namespace marrow::engine::winograd

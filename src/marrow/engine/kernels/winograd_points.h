// Winograd's F(4x4, 3x3): the points that its polynomials are evaluated at, and the matrices that follow.
//
//   Y = A^T [ (G g G^T) * (B^T d B) ] A      d: 6 x 6 inputs, g: 3 x 3 weights, Y: 4 x 4 outputs
//
// The usual points 0, +-1, +-2 have small whole numbers in their matrices; these have a third of their rounding error, and
// are exact in binary all the same. Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015; on the
// points: Barabasz et al., Error Analysis and Improving the Accuracy of Winograd Convolution, 2018.
#pragma once

namespace marrow::winograd {

// 0, +-kA, +-kB, and infinity.
constexpr double kA = 0.75, kB = 1.5;
constexpr double kA2 = kA * kA, kB2 = kB * kB;

constexpr int kTile = 4;   // output pixels a side
constexpr int kPatch = 6;  // input pixels a side
constexpr int kProducts = kPatch * kPatch;

constexpr double kInput[kPatch][kPatch] = {
    {kA2 * kB2, 0, -(kA2 + kB2), 0, 1, 0},  // B^T
    {0, -kA* kB2, -kB2, kA, 1, 0},         {0, kA* kB2, -kB2, -kA, 1, 0},       {0, -kB* kA2, -kA2, kB, 1, 0},
    {0, kB* kA2, -kA2, -kB, 1, 0},         {0, kA2* kB2, 0, -(kA2 + kB2), 0, 1}};

constexpr double kOutput[kTile][kPatch] = {{1, 1, 1, 1, 1, 0},  // A^T
                                           {0, kA, -kA, kB, -kB, 0},
                                           {0, kA2, kA2, kB2, kB2, 0},
                                           {0, kA* kA2, -kA* kA2, kB* kB2, -kB* kB2, 1}};

constexpr double kScaleA = 1 / (2 * kA2 * (kA2 - kB2)), kScaleB = 1 / (2 * kB2 * (kB2 - kA2));
constexpr double kWeight[kPatch][3] = {{1 / (kA2 * kB2), 0, 0},  // G
                                       {kScaleA, kScaleA* kA, kScaleA* kA2},
                                       {kScaleA, -kScaleA* kA, kScaleA* kA2},
                                       {kScaleB, kScaleB* kB, kScaleB* kB2},
                                       {kScaleB, -kScaleB* kB, kScaleB* kB2},
                                       {0, 0, 1}};

}  // namespace marrow::winograd

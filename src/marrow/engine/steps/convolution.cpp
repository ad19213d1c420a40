#include "engine/steps/convolution.h"

namespace marrow {
namespace {

constexpr ConvImplementation kConvImplementations[] = {
    {accepts_depthwise, make_depthwise},
    {accepts_winograd, make_winograd},
    {[](const ConvDescription&) { return true; }, make_direct},
};

}  // namespace

std::span<const ConvImplementation> conv_implementations() {
  return kConvImplementations;
}

StepPtr make_convolution(const ConvDescription& conv) {
  for (const ConvImplementation& implementation : conv_implementations())
    if (implementation.accepts(conv)) return implementation.make(conv);
  return nullptr;
}

}  // namespace marrow

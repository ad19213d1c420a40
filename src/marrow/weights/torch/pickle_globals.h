// Which Python names a pickle may mention. Nothing is ever imported or called, so the rule is there to tell
// the user the truth about a file, and to build data only from what is understood:
//
// 1. kRefused: names that run code or touch the machine (os, posix, subprocess, sys, builtins.eval,
// importlib, torch.load, ...), wherever they
//    stand, also as a part of a dotted name. The file is refused as soon as it mentions one.
// 2. kSimulated: names whose meaning is known (OrderedDict, set, torch.Size, _codecs.encode, ...): the pickle
// machine builds the plain value.
// 3. kOpaque: other names of packages that checkpoints are made with (torch, torchvision, timm, ultralytics,
// numpy,
//    paddle, argparse, pathlib, a training script's own `models` and `utils`, ...): an object with a class
//    name and a dict.
// 4. kOpaqueClass: any other package, for instance the module that a user's own network class stands in:
// instances
//    (NEWOBJ) are opaque objects, but a call (REDUCE) is refused.
#pragma once

#include "marrow/weights/torch/pickle.h"

namespace marrow::weights {

enum class GlobalRule { kRefused, kSimulated, kOpaque, kOpaqueClass };

enum class SimulatedGlobal {
  kNone,
  kOrderedDict,  // also dict and defaultdict, whose factory is dropped
  kList,
  kTuple,  // also torch.Size
  kSet,    // also frozenset
  kByteArray,
  kEncode,         // _codecs.encode(text, 'latin1'): how protocol 2 spells bytes
  kReconstructor,  // copyreg._reconstructor(class, base, state)
};

struct GlobalPolicy {
  GlobalRule rule;
  SimulatedGlobal simulated = SimulatedGlobal::kNone;
};

GlobalPolicy policy_of(const PickleGlobal& global);

}  // namespace marrow::weights

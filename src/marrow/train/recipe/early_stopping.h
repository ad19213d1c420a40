// Ends a run that no longer gets better.
#pragma once

#include "marrow/base/rules.h"

namespace marrow::train {

class EarlyStopping {
 public:
  struct State {
    double best_fitness = 0;
    int best_epoch = 0;  // from 0
    bool any = false;    // whether a fitness came yet
  };

  // Epochs without a better fitness before the run ends; 0 = never.
  explicit EarlyStopping(int patience) : EarlyStopping(patience, State()) {}
  EarlyStopping(int patience, State state, Rules rules = kDefaultRules)
      : patience_(patience), state_(state), rules_(rules) {}

  // Call after each validated epoch (from 0). Returns whether the run should end. NaN counts as nothing
  // found. The first fitness is the best so far, whatever it is. With 8.3's rules so is every fitness until
  // one is above 0, so that patience runs from when the model begins to find anything.
  bool update(int epoch, double fitness) {
    const bool first = rules_ == Rules::k84 ? !state_.any : state_.best_fitness == 0;
    if (fitness > state_.best_fitness || first) state_ = {fitness > 0 ? fitness : 0, epoch, true};
    return patience_ > 0 && epoch - state_.best_epoch >= patience_;
  }

  const State& state() const { return state_; }

 private:
  int patience_;
  State state_;
  Rules rules_;
};

}  // namespace marrow::train

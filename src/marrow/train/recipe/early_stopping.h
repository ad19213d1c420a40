// Ends a run that no longer gets better.
#pragma once

namespace marrow::train {

class EarlyStopping {
 public:
  struct State {
    double best_fitness = 0;
    int best_epoch = 0;  // from 0
  };

  // Epochs without a better fitness before the run ends; 0 = never.
  explicit EarlyStopping(int patience) : patience_(patience) {}
  EarlyStopping(int patience, State state) : patience_(patience), state_(state) {}

  // Call after each validated epoch (from 0). Returns whether the run should end. A first fitness of 0 counts
  // as the best one so far, so that patience runs from when the model begins to find
  // anything. NaN counts as nothing found.
  bool update(int epoch, double fitness) {
    if (fitness > state_.best_fitness || state_.best_fitness == 0)
      state_ = {fitness > 0 ? fitness : 0, epoch};
    return patience_ > 0 && epoch - state_.best_epoch >= patience_;
  }

  const State& state() const { return state_; }

 private:
  int patience_;
  State state_;
};

}  // namespace marrow::train

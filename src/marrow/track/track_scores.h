// How well tracks follow the truth: MOTA and its counts (CLEAR), IDF1, HOTA, as MOTChallenge's evaluation
// (TrackEval) computes them.
//
// Classes are ignored. Rows of the ground truth whose flag is 0 do not count.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "marrow/track/mot_text.h"

namespace marrow::track {

// Sums, of one sequence or of several; ratios follow from them. Where nothing is divided by nothing they
// are 0.

// Bernardin and Stiefelhagen 2008. A pair counts from IoU 0.5 on.
struct ClearSums {
  int64_t true_positives = 0, false_negatives = 0, false_positives = 0;
  int64_t switches = 0;
  int64_t fragments = 0;  // times that an object was lost and found again
  int64_t mostly_tracked = 0, partly_tracked = 0, mostly_lost = 0;  // objects: above 0.8, below 0.2 of frames
  double overlap = 0;                                               // IoU of the true positives

  double mota() const;
  double motp() const;
  void add(const ClearSums& other);
};

// Ristani et al. 2016: each object has one track at most for the whole sequence.
struct IdentitySums {
  int64_t true_positives = 0, false_negatives = 0, false_positives = 0;

  double idf1() const;
  double precision() const;
  double recall() const;
  void add(const IdentitySums& other);
};

// Luiten et al. 2020. Each value is the mean over the thresholds 0.05, 0.10, ... 0.95 of IoU.
struct HotaSums {
  static constexpr size_t kThresholds = 19;
  struct AtThreshold {
    int64_t true_positives = 0, false_negatives = 0, false_positives = 0;
    double overlap = 0;  // IoU of the true positives
    double association = 0, association_recall = 0, association_precision = 0;

    double detection_accuracy() const;
    double detection_recall() const;
    double detection_precision() const;
    double association_accuracy() const;
    double association_recall_mean() const;
    double association_precision_mean() const;
    double localisation() const;
    double hota() const;
  };
  std::array<AtThreshold, kThresholds> at;

  double mean(double (AtThreshold::*value)() const) const;
  void add(const HotaSums& other);
};

struct TrackScores {
  ClearSums clear;
  IdentitySums identity;
  HotaSums hota;

  void add(const TrackScores& other);
};

// Throws what pair_up (overlaps.h) and best_matching throw.
TrackScores score_tracks(const MotFrames& truth, const MotFrames& result);

// "MOTA 0.833, IDF1 0.842, HOTA 0.800 (...)": a line for people.
std::string scores_text(const TrackScores& scores);
// All values by the names that TrackEval has for them, as JSON in one line.
std::string scores_json(const TrackScores& scores);

}  // namespace marrow::track

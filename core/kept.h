#pragma once
// Results that depend on frozen weights and a key alone, made once.
#include <any>
#include <atomic>
#include <utility>
#include <vector>

#include <torch/utils.h>

namespace lpnsr {

// Lives while a graph is recorded (core/cuda_graph.h), on whatever threads. Nothing is kept that is made meanwhile: its memory is filled
// only when the graph runs. What is found belongs to the graph too, which reads it whenever it runs.
class RecordingScope {
 public:
  // `change`: the graph is to follow its weights, so all that is made of weights is made within it.
  enum class Weights { stay, change };
  explicit RecordingScope(Weights weights) : weights_(weights), outer_(current().exchange(this)) {}
  ~RecordingScope() { current() = outer_; }
  RecordingScope(const RecordingScope&) = delete;
  RecordingScope& operator=(const RecordingScope&) = delete;

  static RecordingScope* now() { return current(); }
  bool finds(bool of_weights) const { return weights_ == Weights::stay || !of_weights; }
  void hold(std::any found) { held_.push_back(std::move(found)); }
  std::vector<std::any> held() { return std::move(held_); }

 private:
  static std::atomic<RecordingScope*>& current() {
    static std::atomic<RecordingScope*> scope = nullptr;
    return scope;
  }
  Weights weights_;
  RecordingScope* outer_;
  std::vector<std::any> held_;
};

// The memory and the contents that weights had at the last look.
class SeenWeights {
 public:
  // Whether they are in other memory or were written to since; true at first.
  bool changed(at::TensorList weights) {
    std::vector<std::pair<const void*, int64_t>> now;
    now.reserve(weights.size());
    for (const auto& w : weights) now.emplace_back(w.const_data_ptr(), static_cast<int64_t>(w._version()));
    if (now == seen_) return false;
    seen_ = std::move(now);
    return true;
  }

 private:
  std::vector<std::pair<const void*, int64_t>> seen_;
};

template <class Key, class Result>
class Kept {
 public:
  // What `make()` made of `weights`, of which there may be none, for this key; made again where the weights are in other memory or were
  // written to since. Weights that are trained, and those of the inference mode, which count no writes, make theirs at every call; a
  // trained weight detached counts as frozen until it is written to.
  template <class Make>
  Result of(at::TensorList weights, const Key& key, const Make& make) {
    auto* recording = RecordingScope::now();
    if (std::any_of(weights.begin(), weights.end(), [](const at::Tensor& w) { return w.requires_grad() || w.is_inference(); }) ||
        (recording != nullptr && !recording->finds(!weights.empty()))) {
      return make();
    }
    constexpr size_t kMost = 64;
    if (seen_.changed(weights) || results_.size() == kMost) results_.clear();
    for (const auto& [known, result] : results_) {
      if (known != key) continue;
      if (recording != nullptr) recording->hold(result);
      return result;
    }
    if (recording != nullptr) return make();
    const c10::InferenceMode usable_in_every_mode(false);
    const torch::NoGradGuard no_gradients;
    return results_.emplace_back(key, make()).second;
  }

 private:
  SeenWeights seen_;
  std::vector<std::pair<Key, Result>> results_;
};

// A module that keeps something: to be asked for it before the first pass. Made in the middle of one it would lie between maps, whose
// memory the allocator could not join again.
class Prepared {
 public:
  virtual ~Prepared() = default;
  virtual void prepare() = 0;
};

}  // namespace lpnsr

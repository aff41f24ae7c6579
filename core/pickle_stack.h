#pragma once
// What a pickle's instructions work on: values made so far, the stack, its marks and the memo. Every step checks that what it takes is
// there.
#include <cstdint>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "core/byte_source.h"
#include "core/pickle.h"

namespace lpnsr {

class PickleStack {
 protected:
  // No real file comes near; a hostile one must not fill the memory.
  static constexpr size_t most_values = size_t{1} << 24;

  PickleStack(const ByteSource& source, ByteCursor& cursor) : source_(source), cursor_(cursor) {}

  [[noreturn]] void fail(const std::string& what) const {
    source_.fail(fmt::format("the pickle {} (at byte {})", what, cursor_.position()));
  }

  void push_again(PickleId id) {
    if (stack_.size() == most_values) fail(fmt::format("has a stack of more than {} values", most_values));
    stack_.push_back(id);
  }
  PickleValue& push(PickleKind kind) {
    if (values_.size() == most_values) fail(fmt::format("has more than {} values", most_values));
    push_again(static_cast<PickleId>(values_.size()));
    values_.emplace_back();
    values_.back().kind = kind;
    return values_.back();
  }
  void push_integer(PickleKind kind, int64_t value) { push(kind).integer = value; }
  void push_items(PickleKind kind, std::vector<PickleId> items) { push(kind).items = std::move(items); }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleId top() const {
    if (stack_.size() <= floor()) fail("takes a value that is not there");
    return stack_.back();
  }
  PickleId pop() {
    const PickleId id = top();
    stack_.pop_back();
    return id;
  }
  std::vector<PickleId> pop_mark() {
    if (marks_.empty()) fail("closes a group that was not opened");
    std::vector<PickleId> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  std::vector<PickleId> pop_some(size_t count) {
    std::vector<PickleId> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    return items;
  }
  PickleValue& value(PickleId id) { return values_[id]; }

  // What is put into a called object's result stays unknown: nobody reads it.
  void extend(PickleKind wanted, const std::vector<PickleId>& items) {
    PickleValue& target = value(top());
    if (target.kind == PickleKind::call) return;
    if (target.kind != wanted) fail("puts items into a value that takes none");
    if (wanted == PickleKind::dict && items.size() % 2 != 0) fail("has a key without a value");
    target.items.insert(target.items.end(), items.begin(), items.end());
  }

  void push_mark() {
    if (marks_.size() == most_values) fail(fmt::format("opens more than {} groups", most_values));
    marks_.push_back(stack_.size());
  }
  void pop_value_or_mark() {
    if (!marks_.empty() && stack_.size() == marks_.back()) {
      marks_.pop_back();
    } else {
      pop();
    }
  }

  size_t memo_size() const { return memo_.size(); }
  void keep(uint64_t place) { memo_[place] = top(); }
  void recall(uint64_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) fail(fmt::format("recalls value {} which was never kept", place));
    push_again(found->second);
  }

  const ByteSource& source_;
  ByteCursor& cursor_;
  std::vector<PickleValue> values_;

 private:
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleId> memo_;
};

}  // namespace lpnsr

#pragma once
// Python's pickles (protocols 2 to 5) as a tree of values. Nothing is looked up, imported or called: a call that the pickle asks for is
// a value like any other, which the reader of the tree accepts or refuses.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/byte_source.h"

namespace lpnsr {

using PickleId = uint32_t;

enum class PickleKind {
  none,
  boolean,       // integer
  integer,       // integer
  long_integer,  // text: two's complement, little-endian; only where 64 bits do not hold it
  real,          // real
  text,          // text, UTF-8
  bytes,         // text
  list,          // items
  tuple,         // items
  set,           // items
  dict,          // items: key, value, key, value, …; OrderedDict and defaultdict too
  global,        // text: module.name
  persistent,    // items: the identifier (PyTorch's storages)
  call           // items: callable, arguments, and what the pickle then sets on the result
};

struct PickleValue {
  PickleKind kind = PickleKind::none;
  int64_t integer = 0;
  double real = 0.0;
  std::string text;
  std::vector<PickleId> items;
};

// Values live in one list and refer to one another by place, so that neither depth nor cycles cost stack.
class PickleTree {
 public:
  PickleTree() = default;
  PickleTree(std::vector<PickleValue> values, PickleId root) : values_(std::move(values)), root_(root) {}
  // Reads one pickle from the cursor. Throws DataError for anything that is not a well-formed pickle of protocol 2 to 5.
  static PickleTree parse(const ByteSource& source, ByteCursor& cursor);

  const PickleValue& operator[](PickleId id) const { return values_[id]; }
  const PickleValue& root() const { return values_[root_]; }
  PickleId root_id() const { return root_; }
  const std::vector<PickleValue>& values() const { return values_; }

 private:
  std::vector<PickleValue> values_;
  PickleId root_ = 0;
};

// What a person would call the value: "a list", "a call of posix.system".
std::string describe(const PickleTree& tree, PickleId id);

}  // namespace lpnsr

#include "core/pickle.h"

#include <fmt/format.h>

#include "core/pickle_opcodes.h"
#include "core/pickle_stack.h"

namespace lpnsr {
namespace {

using namespace pickle_opcode;

constexpr uint64_t longest_name = 256;

class PickleMachine : private PickleStack {
 public:
  PickleMachine(const ByteSource& source, ByteCursor& cursor) : PickleStack(source, cursor) {}

  PickleTree run() {
    if (cursor_.byte() != PROTO) source_.fail(fmt::format("is not a pickle of protocol 2 or later (at byte {})", cursor_.position() - 1));
    const uint8_t protocol = cursor_.byte();
    if (protocol < 2 || protocol > 5) fail(fmt::format("has protocol {}; 2 to 5 can be read", protocol));
    for (uint8_t opcode = cursor_.byte(); opcode != STOP; opcode = cursor_.byte()) {
      if (!scalar(opcode) && !container(opcode) && !memory(opcode) && !object(opcode))
        fail(fmt::format("has an opcode that is not allowed, 0x{:02x}", opcode));
    }
    const PickleId root = pop();
    return {std::move(values_), root};
  }

 private:
  void push_long(uint64_t length) {
    std::string bytes = cursor_.text(length);
    if (bytes.size() > 8) {
      push(PickleKind::long_integer).text = std::move(bytes);
      return;
    }
    uint64_t bits = !bytes.empty() && (bytes.back() & 0x80) ? ~uint64_t{0} : 0;
    for (size_t i = bytes.size(); i-- > 0;) bits = bits << 8 | static_cast<uint8_t>(bytes[i]);
    push_integer(PickleKind::integer, static_cast<int64_t>(bits));
  }

  bool scalar(uint8_t opcode) {
    switch (opcode) {
      case NONE:
        push(PickleKind::none);
        return true;
      case NEWTRUE:
        push_integer(PickleKind::boolean, 1);
        return true;
      case NEWFALSE:
        push_integer(PickleKind::boolean, 0);
        return true;
      case BININT:
        push_integer(PickleKind::integer, static_cast<int32_t>(cursor_.little_endian(4)));
        return true;
      case BININT1:
        push_integer(PickleKind::integer, cursor_.byte());
        return true;
      case BININT2:
        push_integer(PickleKind::integer, static_cast<int64_t>(cursor_.little_endian(2)));
        return true;
      case LONG1:
        push_long(cursor_.byte());
        return true;
      case LONG4:
        push_long(cursor_.little_endian(4));
        return true;
      case BINFLOAT: {
        const double number = cursor_.big_endian_double();
        push(PickleKind::real).real = number;
        return true;
      }
      case SHORT_BINUNICODE:
      case SHORT_BINSTRING:
        push_text(PickleKind::text, cursor_.byte());
        return true;
      case BINUNICODE:
      case BINSTRING:
        push_text(PickleKind::text, cursor_.little_endian(4));
        return true;
      case BINUNICODE8:
        push_text(PickleKind::text, cursor_.little_endian(8));
        return true;
      case SHORT_BINBYTES:
        push_text(PickleKind::bytes, cursor_.byte());
        return true;
      case BINBYTES:
        push_text(PickleKind::bytes, cursor_.little_endian(4));
        return true;
      case BINBYTES8:
      case BYTEARRAY8:
        push_text(PickleKind::bytes, cursor_.little_endian(8));
        return true;
      default:
        return false;
    }
  }

  bool container(uint8_t opcode) {
    switch (opcode) {
      case EMPTY_LIST:
        push(PickleKind::list);
        return true;
      case EMPTY_TUPLE:
        push(PickleKind::tuple);
        return true;
      case EMPTY_DICT:
        push(PickleKind::dict);
        return true;
      case EMPTY_SET:
        push(PickleKind::set);
        return true;
      case LIST:
        push_items(PickleKind::list, pop_mark());
        return true;
      case TUPLE:
        push_items(PickleKind::tuple, pop_mark());
        return true;
      case FROZENSET:
        push_items(PickleKind::set, pop_mark());
        return true;
      case DICT: {
        std::vector<PickleId> items = pop_mark();
        push(PickleKind::dict);
        extend(PickleKind::dict, items);
        return true;
      }
      case TUPLE1:
        push_items(PickleKind::tuple, pop_some(1));
        return true;
      case TUPLE2:
        push_items(PickleKind::tuple, pop_some(2));
        return true;
      case TUPLE3:
        push_items(PickleKind::tuple, pop_some(3));
        return true;
      case APPEND:
        extend(PickleKind::list, pop_some(1));
        return true;
      case APPENDS:
        extend(PickleKind::list, pop_mark());
        return true;
      case ADDITEMS:
        extend(PickleKind::set, pop_mark());
        return true;
      case SETITEM:
        extend(PickleKind::dict, pop_some(2));
        return true;
      case SETITEMS:
        extend(PickleKind::dict, pop_mark());
        return true;
      default:
        return false;
    }
  }

  bool memory(uint8_t opcode) {
    switch (opcode) {
      case MARK:
        push_mark();
        return true;
      case POP:
        pop_value_or_mark();
        return true;
      case POP_MARK:
        pop_mark();
        return true;
      case DUP:
        push_again(top());
        return true;
      case BINPUT:
        keep(cursor_.byte());
        return true;
      case LONG_BINPUT:
        keep(cursor_.little_endian(4));
        return true;
      case MEMOIZE:
        keep(memo_size());
        return true;
      case BINGET:
        recall(cursor_.byte());
        return true;
      case LONG_BINGET:
        recall(cursor_.little_endian(4));
        return true;
      case FRAME:
        cursor_.little_endian(8);
        return true;
      default:
        return false;
    }
  }

  bool object(uint8_t opcode) {
    switch (opcode) {
      case GLOBAL: {
        const std::string module = cursor_.line(longest_name), name = cursor_.line(longest_name);
        push(PickleKind::global).text = module + "." + name;
        return true;
      }
      case STACK_GLOBAL: {
        const std::vector<PickleId> names = pop_some(2);
        if (value(names[0]).kind != PickleKind::text || value(names[1]).kind != PickleKind::text)
          fail("names a class by something that is no text");
        std::string full_name = value(names[0]).text + "." + value(names[1]).text;
        if (full_name.size() > 2 * longest_name) fail("has a class name that is too long");
        push(PickleKind::global).text = std::move(full_name);
        return true;
      }
      case BINPERSID:
        push_items(PickleKind::persistent, pop_some(1));
        return true;
      case REDUCE:
        call(pop_some(2));
        return true;
      case NEWOBJ:
        call(pop_some(2));
        return true;
      case NEWOBJ_EX:
        call(pop_some(3));
        return true;
      case BUILD: {
        const PickleId state = pop();
        PickleValue& target = value(top());
        if (target.kind == PickleKind::call) target.items.push_back(state);
        return true;  // attributes of a dictionary (`_metadata` of a state_dict) say nothing about the weights
      }
      default:
        return false;
    }
  }

  void call(std::vector<PickleId> items) {
    const PickleValue& callable = value(items[0]);
    const PickleValue& arguments = value(items[1]);
    if (arguments.kind != PickleKind::tuple) fail("calls something with arguments that are no tuple");
    const bool ordered = callable.kind == PickleKind::global && callable.text == "collections.OrderedDict";
    const bool with_default = callable.kind == PickleKind::global && callable.text == "collections.defaultdict";
    if (!(ordered && arguments.items.size() <= 1) && !with_default) {
      push_items(PickleKind::call, std::move(items));
      return;
    }
    std::vector<PickleId> entries;
    if (ordered && arguments.items.size() == 1) {
      // The only place where one byte of a pickle can copy many items.
      copied_ += value(arguments.items[0]).items.size();
      if (copied_ > most_values) fail("copies too many items");
      for (const PickleId pair : value(arguments.items[0]).items) {
        if (value(pair).items.size() != 2) fail("makes a dictionary of something that is no list of pairs");
        entries.insert(entries.end(), value(pair).items.begin(), value(pair).items.end());
      }
    }
    push_items(PickleKind::dict, std::move(entries));
  }

  void push_text(PickleKind kind, uint64_t length) {
    std::string text = cursor_.text(length);
    push(kind).text = std::move(text);
  }

  size_t copied_ = 0;
};

}  // namespace

PickleTree PickleTree::parse(const ByteSource& source, ByteCursor& cursor) { return PickleMachine(source, cursor).run(); }

std::string describe(const PickleTree& tree, PickleId id) {
  const PickleValue& value = tree[id];
  switch (value.kind) {
    case PickleKind::none:
      return "None";
    case PickleKind::boolean:
      return "a truth value";
    case PickleKind::integer:
    case PickleKind::long_integer:
    case PickleKind::real:
      return "a number";
    case PickleKind::text:
      return "a text";
    case PickleKind::bytes:
      return "bytes";
    case PickleKind::list:
      return "a list";
    case PickleKind::tuple:
      return "a tuple";
    case PickleKind::set:
      return "a set";
    case PickleKind::dict:
      return "a dictionary";
    case PickleKind::global:
      return "the name " + value.text;
    case PickleKind::persistent:
      return "a storage";
    case PickleKind::call:
      break;
  }
  const PickleValue& callable = tree[value.items[0]];
  return callable.kind == PickleKind::global ? "a call of " + callable.text : "a call";
}

}  // namespace lpnsr

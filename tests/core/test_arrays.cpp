// MATLAB's .mat and NumPy's .npz.
#include <cstring>

#include "core/error.h"
#include "core/mat_file.h"
#include "core/npy.h"
#include "tests/support/fault.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::testing::HasSubstr;

// The bytes of a level-5 file, written by its specification.
class MatBytes {
 public:
  MatBytes() : bytes_(124, ' ') { bytes_ += std::string("\x00\x01IM", 4); }
  static std::string element(uint32_t type, const std::string& data) {
    std::string text = number(type) + number(static_cast<uint32_t>(data.size())) + data;
    return text + std::string((8 - data.size() % 8) % 8, '\0');
  }
  static std::string number(uint32_t value) { return {reinterpret_cast<const char*>(&value), 4}; }
  static std::string doubles(const std::vector<double>& values) {
    return element(9, {reinterpret_cast<const char*>(values.data()), values.size() * 8});
  }
  static std::string header(uint32_t array_class, uint32_t rows, uint32_t columns, const std::string& name) {
    return element(6, number(array_class) + number(0)) + element(5, number(rows) + number(columns)) + element(1, name);
  }
  static std::string matrix(const std::string& content) { return element(14, content); }
  MatBytes& add(const std::string& text) {
    bytes_ += text;
    return *this;
  }
  std::string text() const { return bytes_; }

 private:
  std::string bytes_;
};

std::string numbers_file() {
  const auto inner = MatBytes::matrix(MatBytes::header(6, 1, 1, "") + MatBytes::doubles({7}));
  const std::string names = std::string("first\0\0\0", 8) + std::string("second\0\0", 8);
  // int16 values in a double array, as MATLAB stores whole numbers.
  const std::string small = MatBytes::element(3, std::string("\x01\x00\x02\x00\xff\xff\x04\x00\x05\x00\x06\x00", 12));
  return MatBytes()
      .add(MatBytes::matrix(MatBytes::header(6, 2, 3, "a") + small))
      .add(MatBytes::matrix(MatBytes::header(2, 1, 1, "s") + MatBytes::element(5, MatBytes::number(8)) + MatBytes::element(1, names) +
                            inner + MatBytes::matrix(MatBytes::header(1, 1, 2, "") + inner + inner)))
      .text();
}

TEST(MatFile, NumbersStructsAndCells) {
  const testing::TemporaryFolder folder;
  testing::write_text(folder / "x.mat", numbers_file());
  const auto variables = read_mat(folder / "x.mat");
  ASSERT_EQ(variables.size(), 2u);
  EXPECT_EQ(variables[0].first, "a");
  EXPECT_TRUE(variables[0].second.numbers.equal(torch::tensor({{1.0, -1.0, 5.0}, {2.0, 4.0, 6.0}}, at::kDouble)));
  const auto& structure = variables[1].second;
  EXPECT_EQ(structure.at("first").numbers.item<double>(), 7.0);
  ASSERT_EQ(structure.at("second").values.size(), 2u);
  EXPECT_EQ(structure.at("second").values[1].numbers.item<double>(), 7.0);
  EXPECT_THROW_MESSAGE(structure.at("third"), Error, HasSubstr("first, second"));
}

class DamagedMat : public ::testing::TestWithParam<testing::Fault> {};

TEST_P(DamagedMat, IsRefused) {
  const testing::TemporaryFolder folder;
  testing::write_text(folder / "x.mat", GetParam().bytes);
  EXPECT_THROW_MESSAGE(read_mat(folder / "x.mat"), DataError, ::testing::AllOf(HasSubstr("x.mat"), HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    Faults, DamagedMat,
    ::testing::Values(testing::Fault{"NotAMatFile", std::string(200, 'x'), "version 5 to 7"},
                      testing::Fault{"Truncated", numbers_file().substr(0, 200), "is truncated"},
                      testing::Fault{"TooManyNumbers",
                                     MatBytes().add(MatBytes::matrix(MatBytes::header(6, 2, 2, "a") + MatBytes::doubles({1}))).text(),
                                     "holds 1 numbers where its size says 4"},
                      testing::Fault{"LargerThanTheFile",
                                     MatBytes().add(MatBytes::matrix(MatBytes::header(1, 0x7fffffff, 0x7fffffff, "a"))).text(),
                                     "larger than the file"},
                      testing::Fault{"DamagedCompression", MatBytes().add(MatBytes::element(15, "not deflated bytes")).text(),
                                     "compressed data are damaged"}),
    [](const auto& fault) { return fault.param.name; });

}  // namespace
}  // namespace lpnsr

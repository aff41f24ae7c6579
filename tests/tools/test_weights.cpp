#include <arpa/inet.h>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <sys/file.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/files.h"
#include "core/published_weights.h"
#include "core/sha256.h"
#include "diffusion/rrdbnet.h"
#include "tests/support/fixtures.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A weights folder, a published file of full size "on the net" (a file:// address) and the registry that knows it.
class WeightsCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "net");
    RRDBNet network{RRDBNetOptions{}};
    fill_synthetic(*network, "weights");
    write_safetensors(folder_ / "net/upsampler.safetensors", state_dict(*network));
    register_as(sha256_of_file(folder_ / "net/upsampler.safetensors"));
  }
  void register_as(const std::string& hash, const std::string& more = "") {
    const auto file = folder_ / "net/upsampler.safetensors";
    write_text(folder_ / "registry.toml",
               "[\"upsampler.safetensors\"]\nwhat = \"a start\"\nmodule = \"rrdbnet\"\nproject = \"https://example.org\"\n"
               "address = \"file://" +
                   file.string() + "\"\nsha256 = \"" + hash + "\"\n" + more);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  ProgramResult weights(const std::string& action, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"weights", action, "--registry", path("registry.toml"), "--weights-dir", path("weights")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  TemporaryFolder folder_;
};

TEST_F(WeightsCommandTest, ListNamesEveryPublishedFile) {
  const auto result = weights("list", {"--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto files = nlohmann::json::parse(result.out);
  std::map<std::string, nlohmann::json> by_name;
  for (const auto& file : files) by_name[file.at("name")] = file;
  for (const std::string name :
       {"autoencoder_vq_f4.pth", "resshift_realsrx4_s4_v3.pth", "noise_predictor.pth", "noise_predictor(v2).pth",
        "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth", "BSRGAN.pth", "RealESRGAN_x4plus.pth", "upsampler.safetensors"}) {
    ASSERT_TRUE(by_name.contains(name)) << name;
    EXPECT_THAT(by_name[name].at("project"), HasSubstr("https://")) << name;
    EXPECT_TRUE(by_name[name].at("path").is_null()) << name;
  }
  EXPECT_FALSE(by_name["noise_predictor.pth"].contains("sha256"));  // none is published
  write_text(folder_ / "weights/BSRGAN.pth", "x");
  const auto text = weights("list");
  EXPECT_THAT(text.out, AllOf(HasSubstr("+ BSRGAN.pth"), HasSubstr("- RealESRGAN_x4plus.pth")));
}

TEST_F(WeightsCommandTest, FetchResumesAndVerifies) {
  const auto result = weights("fetch", {"upsampler.safetensors"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, path("weights/upsampler.safetensors") + "\n");
  EXPECT_TRUE(same_bytes(folder_ / "weights/upsampler.safetensors", folder_ / "net/upsampler.safetensors"));
  EXPECT_THAT(weights("fetch", {"upsampler.safetensors"}).err, HasSubstr("is there already"));
  EXPECT_EQ(weights("verify", {"upsampler.safetensors"}).status, 0);

  // A transfer that stopped half-way goes on: what is there already is not fetched again, as a changed byte of it shows.
  std::filesystem::remove(folder_ / "weights/upsampler.safetensors");
  std::string half = read_file(folder_ / "net/upsampler.safetensors").substr(0, 1'000'000);
  write_text(folder_ / "weights/upsampler.safetensors.partial", half);
  ASSERT_EQ(weights("fetch", {"upsampler.safetensors"}).status, 0);
  EXPECT_TRUE(same_bytes(folder_ / "weights/upsampler.safetensors", folder_ / "net/upsampler.safetensors"));
  std::filesystem::remove(folder_ / "weights/upsampler.safetensors");
  half[500'000] = static_cast<char>(half[500'000] ^ 1);
  write_text(folder_ / "weights/upsampler.safetensors.partial", half);
  const auto damaged = weights("fetch", {"upsampler.safetensors"});
  EXPECT_EQ(damaged.status, 1);
  EXPECT_THAT(damaged.err, HasSubstr("SHA-256"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "weights/upsampler.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "weights/upsampler.safetensors.partial"));
}

// Nothing that an earlier attempt left keeps the file from coming.
TEST_F(WeightsCommandTest, FetchBeginsAnewWhereItCannotGoOn) {
  const auto whole = read_file(folder_ / "net/upsampler.safetensors");
  const auto fetch_after = [this](const std::string& left) {
    std::filesystem::remove(folder_ / "weights/upsampler.safetensors");
    write_text(folder_ / "weights/upsampler.safetensors.partial", left);
    const auto result = weights("fetch", {"upsampler.safetensors"});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "weights/upsampler.safetensors.partial"));
    return std::filesystem::exists(folder_ / "weights/upsampler.safetensors") ? read_file(folder_ / "weights/upsampler.safetensors") : "";
  };
  const auto hash = sha256_of_file(folder_ / "net/upsampler.safetensors");
  for (const std::string& size : {std::string(), fmt::format("size = {}\n", whole.size())}) {
    register_as(hash, size);
    EXPECT_TRUE(fetch_after(whole) == whole) << size;
    EXPECT_TRUE(fetch_after(whole + "more than was published") == whole) << size;
  }
  // Complete, as its hash shows, while the other side has nothing more to send: it is taken as it is.
  register_as(hash);
  write_text(folder_ / "net/upsampler.safetensors", whole.substr(0, 1000));
  EXPECT_TRUE(fetch_after(whole) == whole);
}

// Half of an array's file shows nothing by itself: without a hash it is fetched again instead of taken for the whole.
TEST_F(WeightsCommandTest, FetchTakesNoUnprovenRestForTheFile) {
  write_text(folder_ / "net/parameters.npz", "short");
  write_text(folder_ / "registry.toml",
             "[\"parameters.npz\"]\nwhat = \"arrays\"\nmodule = \"niqe\"\nproject = \"https://example.org\"\n"
             "address = \"file://" +
                 path("net/parameters.npz") + "\"\n");
  write_text(folder_ / "weights/parameters.npz.partial", "something longer");
  const auto result = weights("fetch", {"parameters.npz"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(read_file(folder_ / "weights/parameters.npz"), "short");
}

// Answers each request on a port of this machine with what `answer` makes of its text, then closes the connection.
class HttpServer {
 public:
  explicit HttpServer(std::function<std::string(const std::string&)> answer)
      : answer_(std::move(answer)), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_, plain, size) != 0 || ::listen(socket_, 8) != 0 || ::getsockname(socket_, plain, &size) != 0)
      throw std::runtime_error("no server can be started");
    address_ = fmt::format("http://127.0.0.1:{}/", ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~HttpServer() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  const std::string& address() const { return address_; }

 private:
  void serve() const {
    for (int client = 0; (client = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ::close(client)) {
      std::string request;
      std::array<char, 4096> bytes{};
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t count = ::read(client, bytes.data(), bytes.size());
        if (count <= 0) break;
        request.append(bytes.data(), static_cast<size_t>(count));
      }
      const std::string text = answer_(request);
      ::send(client, text.data(), text.size(), MSG_NOSIGNAL);
    }
  }

  std::function<std::string(const std::string&)> answer_;
  int socket_;
  std::string address_;
  std::thread thread_;
};

TEST_F(WeightsCommandTest, FetchKeepsWhatHasComeUnlessTheServerCannotGoOn) {
  setenv("no_proxy", "127.0.0.1", 1);
  const std::string whole = "0123456789", all = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + whole;
  const auto fetch_after = [&](const std::string& left, const std::string& answer_to_ranges) {
    const HttpServer server(
        [&](const std::string& request) { return request.find("Range:") == std::string::npos ? all : answer_to_ranges; });
    write_text(folder_ / "registry.toml",
               "[\"parameters.npz\"]\nwhat = \"arrays\"\nmodule = \"niqe\"\nproject = \"https://example.org\"\n" +
                   fmt::format("address = \"{}parameters.npz\"\nsha256 = \"{}\"\n", server.address(), sha256(whole)));
    std::filesystem::remove(folder_ / "weights/parameters.npz");
    write_text(folder_ / "weights/parameters.npz.partial", left);
    return weights("fetch", {"parameters.npz"});
  };
  const auto kept = [this] { return read_file(folder_ / "weights/parameters.npz.partial"); };
  const std::string rest = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n";

  const auto failing = fetch_after("01234", "HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(failing.status, 1);
  EXPECT_THAT(failing.err, HasSubstr("The same command goes on where it stopped"));
  EXPECT_EQ(kept(), "01234");
  EXPECT_EQ(fetch_after("01234", rest + "56").status, 1);  // the connection breaks
  EXPECT_EQ(kept(), "0123456");
  EXPECT_EQ(fetch_after("01234", rest + "56789").status, 0);
  for (const std::string& no : {std::string("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n"), all}) {
    const auto anew = fetch_after("damaged, and longer", no);
    EXPECT_EQ(anew.status, 0) << anew.err;
    EXPECT_EQ(read_file(folder_ / "weights/parameters.npz"), whole);
  }
}

TEST_F(WeightsCommandTest, TwoDoNotFetchTheSameFileAtOnce) {
  write_text(folder_ / "weights/.upsampler.safetensors.lock", "");
  const int other = open((folder_ / "weights/.upsampler.safetensors.lock").c_str(), O_RDWR);
  ASSERT_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
  const auto refused = weights("fetch", {"upsampler.safetensors"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr("upsampler.safetensors"), HasSubstr("another process is fetching it"), HasSubstr(path("weights"))));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "weights/upsampler.safetensors.partial"));
  close(other);
  EXPECT_EQ(weights("fetch", {"upsampler.safetensors"}).status, 0);
}

TEST_F(WeightsCommandTest, FetchSaysWhatItCannotDo) {
  const auto by_hand = weights("fetch", {"noise_predictor.pth"});
  EXPECT_EQ(by_hand.status, 1);
  EXPECT_THAT(by_hand.err, AllOf(HasSubstr("https://huggingface.co/mirpri/LPNSR"), HasSubstr("lpnsr weights add noise_predictor.pth")));
  std::filesystem::remove(folder_ / "net/upsampler.safetensors");
  const auto gone = weights("fetch", {"upsampler.safetensors"});
  EXPECT_EQ(gone.status, 1);
  EXPECT_THAT(gone.err, HasSubstr("could not be fetched"));
  const auto unknown = weights("fetch", {"upsampler.safetensor"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean 'upsampler.safetensors'"));
  EXPECT_EQ(weights("fecth").status, 2);
}

TEST_F(WeightsCommandTest, FilesLaidInByHandAreVerified) {
  EXPECT_EQ(weights("verify").status, 0);  // nothing is there, so nothing is wrong
  const auto missing = weights("verify", {"upsampler.safetensors"});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.out, HasSubstr("is missing"));
  std::filesystem::create_directories(folder_ / "weights");
  std::filesystem::copy_file(folder_ / "net/upsampler.safetensors", folder_ / "weights/upsampler.safetensors");
  const auto good = weights("verify");
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("upsampler.safetensors: every key and shape fits, and so does the hash"));
  // Without a hash the keys still tell.
  register_as("");
  write_safetensors(folder_ / "weights/upsampler.safetensors", {});
  const auto foreign = weights("verify", {"--json"});
  EXPECT_EQ(foreign.status, 1);
  EXPECT_THAT(foreign.out, HasSubstr("holds no weights of a rrdbnet"));
  write_text(folder_ / "weights/upsampler.safetensors", "half a file");
  EXPECT_EQ(weights("verify").status, 1);
}

TEST_F(WeightsCommandTest, AddTakesAFileUnderItsPublishedName) {
  std::filesystem::rename(folder_ / "net/upsampler.safetensors", folder_ / "download (1)");
  const auto unnamed = weights("add", {path("download (1)")});
  EXPECT_EQ(unnamed.status, 2);
  EXPECT_THAT(unnamed.err, HasSubstr("upsampler.safetensors"));
  const auto added = weights("add", {path("download (1)"), "--name", "upsampler.safetensors"});
  ASSERT_EQ(added.status, 0) << added.err;
  EXPECT_TRUE(same_bytes(folder_ / "weights/upsampler.safetensors", folder_ / "download (1)"));
  write_text(folder_ / "upsampler.safetensors", "something else");
  const auto wrong = weights("add", {path("upsampler.safetensors")});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.err, HasSubstr("is not upsampler.safetensors"));
  EXPECT_TRUE(same_bytes(folder_ / "weights/upsampler.safetensors", folder_ / "download (1)"));
}

TEST(PublishedWeights, TheRegistryIsComplete) {
  for (const auto& file : published_files()) {
    EXPECT_NE(file.what, "") << file.name;
    EXPECT_NE(file.module, "") << file.name;
    EXPECT_THAT(file.project, HasSubstr("https://")) << file.name;
    EXPECT_TRUE(file.address.empty() || file.address.ends_with("/" + file.name)) << file.name;
  }
}

TEST(PublishedWeights, FaultsOfARegistryAreTold) {
  const TemporaryFolder folder;
  write_text(folder / "a.toml", "[\"x.pth\"]\nadress = \"https://example.org/x.pth\"\n");
  EXPECT_THROW_MESSAGE(published_files(folder / "a.toml"), UsageError, HasSubstr("address"));
  write_text(folder / "a.toml", "[\"x.pth\"]\nsha256 = \"no hash\"\n");
  EXPECT_THROW_MESSAGE(published_files(folder / "a.toml"), UsageError, HasSubstr("sha256 of x.pth"));
}

}  // namespace
}  // namespace lpnsr::testing

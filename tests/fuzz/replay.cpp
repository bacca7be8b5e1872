/// Feeds a fuzzer's function without libFuzzer: every file of the folders that are named, then inputs made from a fixed
/// seed. A crash or a sanitizer's report is the failure; with --some or --all first, so it is when none of the files,
/// or not each, of the first folder that has some is one that the reader takes.
#include "tests/fuzz/accepted.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace {

constexpr unsigned madeUpInputs = 300;
constexpr std::size_t longestMadeUp = 2048;

struct Input {
    std::string name;
    std::vector<std::uint8_t> bytes;
};

std::vector<Input> readFolder(std::filesystem::path const& folder)
{
    std::vector<Input> inputs;
    std::error_code absent; // a fuzzer needs no corpus to begin with
    for (auto const& entry : std::filesystem::directory_iterator(folder, absent)) {
        std::ifstream file(entry.path(), std::ios::binary);
        std::vector<std::uint8_t> bytes(std::istreambuf_iterator<char>(file), {});
        inputs.push_back({ entry.path().string(), std::move(bytes) });
    }
    std::ranges::sort(inputs, {}, &Input::name);
    return inputs;
}

/// A place to change: in every second case where headers are.
std::size_t anyPlace(std::vector<std::uint8_t> const& bytes, std::mt19937& random)
{
    constexpr std::size_t header = 256;
    return random() % (random() % 2 == 0 ? std::min(bytes.size(), header) : bytes.size());
}

/// A number as a length, a count or an offset goes wrong: none, one beyond, huge.
void changeNumber(std::vector<std::uint8_t>& bytes, std::mt19937& random)
{
    std::array<std::uint64_t, 10> const numbers { 0, 1, bytes.size() - 1, bytes.size(), bytes.size() + 1, 0x7fffffff,
        0x80000000, 0xffffffff, 0x7fffffffffffffff, ~std::uint64_t(0) };
    auto const number = numbers[random() % numbers.size()];
    auto const width = std::min<std::size_t>(std::size_t(1) << random() % 4, bytes.size());
    bool const big = random() % 2 == 0;
    auto const place = std::min(anyPlace(bytes, random) / width * width, bytes.size() - width);
    for (std::size_t i = 0; i < width; ++i)
        bytes[place + (big ? width - 1 - i : i)] = static_cast<std::uint8_t>(number >> 8 * i);
}

std::vector<std::uint8_t> spoilt(std::vector<std::uint8_t> bytes, std::mt19937& random)
{
    for (auto changes = 1 + random() % 4; changes > 0 && !bytes.empty(); --changes) {
        switch (random() % 8) {
        case 0:
        case 1: bytes[anyPlace(bytes, random)] ^= static_cast<std::uint8_t>(1U << random() % 8); break;
        case 2:
        case 3: bytes[anyPlace(bytes, random)] = static_cast<std::uint8_t>(random()); break;
        case 4: bytes.resize(random() % bytes.size()); break;
        case 5: bytes.insert(bytes.end(), random() % 600, static_cast<std::uint8_t>(random())); break;
        default: changeNumber(bytes, random); break;
        }
    }
    return bytes;
}

std::vector<std::uint8_t> noise(std::mt19937& random)
{
    std::vector<std::uint8_t> bytes(random() % longestMadeUp);
    std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(random()); });
    return bytes;
}

}

int main(int argc, char** argv)
{
    int first = 1;
    std::string_view const wanted = argc > 1 ? argv[1] : "";
    if (wanted == "--some" || wanted == "--all")
        ++first;
    std::vector<Input> files;
    std::size_t judged = 0; // what was found later may be refused
    for (int i = first; i < argc; ++i) {
        std::ranges::move(readFolder(argv[i]), std::back_inserter(files));
        if (judged == 0)
            judged = files.size();
    }

    std::size_t taken = 0;
    for (std::size_t i = 0; i < files.size(); ++i) {
        auto const& [name, bytes] = files[i];
        auto const before = fuzz::acceptedFiles;
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
        if (i >= judged)
            continue;
        if (fuzz::acceptedFiles != before)
            ++taken;
        else if (wanted == "--all")
            std::printf("%s is refused\n", name.c_str());
    }
    LLVMFuzzerTestOneInput(nullptr, 0);
    std::mt19937 random(1);
    for (unsigned i = 0; i < madeUpInputs; ++i) {
        // What is nearly right comes further than noise.
        auto const input
            = files.empty() || i % 8 == 7 ? noise(random) : spoilt(files[random() % files.size()].bytes, random);
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    std::printf("%zu files, of which %zu of %zu were taken, and %u made-up inputs\n", files.size(), taken, judged,
        madeUpInputs);
    bool const hollow = (wanted == "--some" && taken == 0) || (wanted == "--all" && (taken == 0 || taken < judged));
    return hollow ? 1 : 0;
}

/// Feeds a fuzzer's function without libFuzzer: every file of the folders that are named, then inputs made from a fixed
/// seed. A crash or a sanitizer's report is the failure.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace {

constexpr unsigned madeUpInputs = 300;
constexpr std::size_t longestMadeUp = 2048;

std::vector<std::vector<std::uint8_t>> readFolder(std::filesystem::path const& folder)
{
    std::vector<std::vector<std::uint8_t>> inputs;
    std::error_code absent; // a fuzzer needs no corpus to begin with
    for (auto const& entry : std::filesystem::directory_iterator(folder, absent)) {
        std::ifstream file(entry.path(), std::ios::binary);
        inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    std::sort(inputs.begin(), inputs.end());
    return inputs;
}

}

int main(int argc, char** argv)
{
    std::vector<std::vector<std::uint8_t>> inputs { {} };
    for (int i = 1; i < argc; ++i) {
        auto const found = readFolder(argv[i]);
        inputs.insert(inputs.end(), found.begin(), found.end());
    }
    auto const fromFiles = inputs.size() - 1;
    std::mt19937 random(1);
    for (unsigned i = 0; i < madeUpInputs; ++i) {
        // Half are noise, half are a corpus file with a few bytes changed, which comes further.
        std::vector<std::uint8_t> input;
        if (fromFiles > 0 && i % 2 == 0) {
            input = inputs[1 + random() % fromFiles];
            for (unsigned change = 0; change < 4 && !input.empty(); ++change)
                input[random() % input.size()] = static_cast<std::uint8_t>(random());
        } else {
            input.resize(random() % longestMadeUp);
            std::generate(input.begin(), input.end(), [&] { return static_cast<std::uint8_t>(random()); });
        }
        inputs.push_back(std::move(input));
    }
    for (auto const& input : inputs)
        LLVMFuzzerTestOneInput(input.data(), input.size());
    std::printf("%zu files and %u made-up inputs\n", fromFiles, madeUpInputs);
    return 0;
}

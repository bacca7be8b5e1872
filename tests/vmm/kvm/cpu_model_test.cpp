#include "tests/support/suite.h"
#include "vmm/kvm/cpu_model.h"

#include <algorithm>

using namespace vmm;

namespace {

/// What KVM shows on a host that is named by its vendor and model, with the features of 1.ECX, 7.EBX and of KVM itself.
struct Host {
    std::array<std::uint32_t, 3> vendor; ///< EBX, ECX, EDX
    std::uint32_t signature, ecx, ebx7, kvm, addresses;

    std::vector<CpuidEntry> cpuid() const
    {
        bool const repeats = vendor[0] == 0x68747541; // AMD, in its extended leaves
        return {
            { 0, 0, false, 0x16, vendor[0], vendor[1], vendor[2] },
            { 1, 0, false, signature, 0x05100800, ecx, 0x0f8bfbfd },
            { 2, 0, false, 0x76036301, 0xf0b5ff, 0, 0xc30000 },
            { 7, 0, true, 0, ebx7, 0, 0 },
            { 0xd, 0, true, 7, 0x340, 0x340, 0 },
            { 0x40000000, 0, false, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d },
            { 0x40000001, 0, false, kvm, 0, 0, 0 },
            { 0x80000000, 0, false, 0x80000008 + (signature & 0xf), repeats ? vendor[0] : 0, repeats ? vendor[1] : 0,
                repeats ? vendor[2] : 0 },
            { 0x80000001, 0, false, repeats ? signature : 0, 0, 0x121, 0x2c100800 },
            { 0x80000002, 0, false, signature, 1, 2, 3 },
            { 0x80000006, 0, false, 0, 0, 0x1006040 + signature, 0 },
            { 0x80000007, 0, false, 0, 0, 0, 0x100 },
            { 0x80000008, 0, false, addresses, ebx7, 0, 0 },
        };
    }
};

constexpr std::array<std::uint32_t, 3> intel { 0x756e6547, 0x6c65746e, 0x49656e69 };
constexpr std::array<std::uint32_t, 3> amd { 0x68747541, 0x444d4163, 0x69746e65 };
constexpr std::uint32_t v2 = 0x982201; // SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT
constexpr std::uint32_t oldKvm = 0x0100000b, newKvm = 0x0100feff;
constexpr Host westmere { intel, 0x000206c2, v2, 0, oldKvm, 0x3028 };
constexpr Host cascadeLake { intel, 0x00050657, v2 | 0x7ed8fa00, 0xd19f4fbb, newKvm, 0x302e };
constexpr Host bulldozer { amd, 0x00600f12, v2, 0, oldKvm, 0x3030 };
constexpr Host rome { amd, 0x00830f10, v2 | 0x76d83200, 0x219c91a9, newKvm, 0x303030 };

CpuFeatures featuresOf(CpuModel model, Host const& host)
{
    return tests::must(cpuFeatures(model, host.cpuid()));
}

}

/// A machine's processor, from what KVM says of a host.
class CpuModelTest final : public QObject {
    Q_OBJECT
private slots:
    void theBaselineIsOneOnAllHostsOfAVendor()
    {
        QVERIFY(featuresOf(CpuModel::Baseline, westmere) == featuresOf(CpuModel::Baseline, cascadeLake));
        QVERIFY(featuresOf(CpuModel::Baseline, bulldozer) == featuresOf(CpuModel::Baseline, rome));
        QVERIFY(featuresOf(CpuModel::Host, westmere) != featuresOf(CpuModel::Host, cascadeLake));
    }

    void theBaselineGoesOnAnywhere()
    {
        for (auto const& [one, other] : { std::pair(westmere, cascadeLake), std::pair(bulldozer, rome) }) {
            REQUIRE_OK(checkFeatures(featuresOf(CpuModel::Baseline, one), other.cpuid()));
            REQUIRE_OK(checkFeatures(featuresOf(CpuModel::Baseline, other), one.cpuid()));
        }
    }

    void theHostsOwnFeaturesGoOnWhereTheyAre()
    {
        REQUIRE_OK(checkFeatures(featuresOf(CpuModel::Host, westmere), cascadeLake.cpuid()));
        auto const refused = checkFeatures(featuresOf(CpuModel::Host, cascadeLake), westmere.cpuid());
        QVERIFY(!refused);
        for (auto const* name : { "AVX2", "40000001.EAX bit 11" })
            QVERIFY2(refused.error().detail.find(name) != std::string::npos, refused.error().detail.c_str());
    }

    void anotherVendorsProcessorIsRefused()
    {
        for (auto const model : { CpuModel::Baseline, CpuModel::Host }) {
            auto const refused = checkFeatures(featuresOf(model, bulldozer), cascadeLake.cpuid());
            QVERIFY(!refused);
            QVERIFY2(
                refused.error().detail.ends_with("a processor of AuthenticAMD, and this host's is of GenuineIntel"),
                refused.error().detail.c_str());
        }
        // What a file says of the vendor is shown, and need not be letters.
        auto strange = featuresOf(CpuModel::Baseline, westmere);
        strange.entries[0].ebx = 0x1b5b0a00;
        auto const refused = checkFeatures(strange, westmere.cpuid());
        QVERIFY(!refused);
        QVERIFY2(refused.error().detail.find(" ??[?ineIntel,") != std::string::npos, refused.error().detail.c_str());
        std::erase_if(strange.entries, [](auto const& entry) { return entry.function == 0; });
        QVERIFY(!checkFeatures(strange, westmere.cpuid()));
        REQUIRE_OK(checkFeatures({}, westmere.cpuid())); // a moment of a machine that was off
    }

    void addressesThatTheHostHasNotAreRefused()
    {
        auto desktop = cascadeLake;
        desktop.addresses = 0x3027; // 39 bits
        REQUIRE_OK(checkFeatures(featuresOf(CpuModel::Baseline, cascadeLake), desktop.cpuid()));
        auto const refused = checkFeatures(featuresOf(CpuModel::Host, cascadeLake), desktop.cpuid());
        QVERIFY(!refused);
        QVERIFY2(refused.error().detail.find("of 46 bits, and this host's has 39") != std::string::npos,
            refused.error().detail.c_str());
    }

    void memoryThatTheProcessorCannotReachIsRefused()
    {
        auto const features = featuresOf(CpuModel::Baseline, westmere);
        REQUIRE_OK(checkAddresses(features, std::uint64_t(1) << 39));
        auto const refused = checkAddresses(features, (std::uint64_t(1) << 39) + 1);
        QVERIFY(!refused);
        QVERIFY2(refused.error().detail.find("of 40 bits, and its processor has 39") != std::string::npos,
            refused.error().detail.c_str());
        REQUIRE_OK(checkAddresses(featuresOf(CpuModel::Host, cascadeLake), (std::uint64_t(1) << 39) + 1));
    }

    void theBaselineHasWhatItPromises()
    {
        auto const entries = featuresOf(CpuModel::Baseline, cascadeLake).entries;
        auto const leaf = [&](std::uint32_t function) {
            return *std::find_if(
                entries.begin(), entries.end(), [&](CpuidEntry const& entry) { return entry.function == function; });
        };
        QCOMPARE(leaf(0).eax, 1u);
        QCOMPARE(leaf(0).ebx, intel[0]);
        QCOMPARE(leaf(1).eax, 0x106a3u);
        QCOMPARE(leaf(1).ecx, v2 | 1u << 31 | 1u << 24 | 1u << 21);
        QCOMPARE(leaf(1).edx, 0x078bfbfdu);
        QCOMPARE(leaf(0x40000001).eax, 0x01000009u);
        QCOMPARE(leaf(0x80000001).edx, 1u << 29 | 1u << 20 | 1u << 11);
        QCOMPARE(leaf(0x80000008).eax, 0x3027u);
        QCOMPARE(std::string(reinterpret_cast<char const*>(&entries[6].eax), 4), std::string("x86-"));
    }

    /// Linux divides by the ways of AMD's first cache (bsp_init_amd(), arch/x86/kernel/cpu/amd.c).
    void aCacheOfAmdsBaselineHasWays()
    {
        auto const entries = featuresOf(CpuModel::Baseline, rome).entries;
        auto const cache = std::ranges::find(entries, 0x80000005u, &CpuidEntry::function);
        QVERIFY(cache != entries.end());
        QCOMPARE(cache->edx >> 16 & 0xff, 2u);
    }

    void aHostThatHasLessIsToldWhat()
    {
        auto poor = westmere;
        poor.ecx &= ~(1u << 23);
        poor.kvm &= ~(1u << 24);
        auto const refused = cpuFeatures(CpuModel::Baseline, poor.cpuid());
        QVERIFY(!refused);
        poor.addresses = 0x3024;
        auto const narrow = cpuFeatures(CpuModel::Baseline, poor.cpuid());
        QVERIFY(!narrow && narrow.error().detail.find("addresses of 39 bits") != std::string::npos);
        for (auto const* name : { "POPCNT", "40000001.EAX bit 24" })
            QVERIFY2(refused.error().detail.find(name) != std::string::npos, refused.error().detail.c_str());
    }
};

REGISTER_SUITE(CpuModelTest);
#include "cpu_model_test.moc"

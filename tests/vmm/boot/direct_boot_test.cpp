#include "tests/fakes/fake_board.h"
#include "tests/support/suite.h"
#include "vmm/boot/direct_boot.h"
#include "vmm/memory/layout.h"

#include <QTemporaryDir>
#include <fstream>
#include <random>

using namespace vmm;

namespace {

constexpr std::uint64_t ramSize = 32 << 20;

template<typename T>
void put(Bytes& file, std::size_t offset, T value)
{
    storeLittle(ByteSpan(file).subspan(offset, sizeof value), value);
}

/// A bzImage of one setup sector and a payload of 4096 bytes of 5A.
Bytes linuxImage()
{
    Bytes file(1024 + 4096, 0x5a);
    std::fill_n(file.begin(), 1024, std::uint8_t(0));
    file[0x1f1] = 1;
    put<std::uint32_t>(file, 0x1f4, 4096 / 16);
    put<std::uint16_t>(file, 0x1fe, 0xaa55);
    file[0x200] = 0xeb;
    file[0x201] = 0x6a;
    put<std::uint32_t>(file, 0x202, 0x53726448);
    put<std::uint16_t>(file, 0x206, 0x020f);
    put<std::uint32_t>(file, 0x22c, 0x7fffffff);
    put<std::uint32_t>(file, 0x230, 0x200000);
    file[0x234] = 1;
    put<std::uint16_t>(file, 0x236, 1);
    put<std::uint32_t>(file, 0x238, 2047);
    put<std::uint64_t>(file, 0x258, 0x1000000);
    put<std::uint32_t>(file, 0x260, 0x300000);
    file[0x26c] = 0xcc; // code behind the header
    return file;
}

/// An ELF32 file with a note that says 200010h, and one segment of 16 bytes at 200000h that is 64 bytes in memory.
Bytes pvhImage()
{
    Bytes file(0x200);
    put<std::uint32_t>(file, 0, 0x464c457f);
    file[4] = 1;
    file[5] = 1;
    put<std::uint16_t>(file, 18, 3);
    put<std::uint32_t>(file, 28, 52);
    put<std::uint16_t>(file, 42, 32);
    put<std::uint16_t>(file, 44, 2);
    put<std::uint32_t>(file, 52, 4); // the notes
    put<std::uint32_t>(file, 52 + 4, 0x100);
    put<std::uint32_t>(file, 52 + 16, 40);
    put<std::uint32_t>(file, 84, 1); // the segment
    put<std::uint32_t>(file, 84 + 4, 0x180);
    put<std::uint32_t>(file, 84 + 12, 0x200000);
    put<std::uint32_t>(file, 84 + 16, 16);
    put<std::uint32_t>(file, 84 + 20, 64);
    // Another owner's note of the same type, then ours.
    put<std::uint32_t>(file, 0x100, 4);
    put<std::uint32_t>(file, 0x104, 4);
    put<std::uint32_t>(file, 0x108, 18);
    std::copy_n("GNU", 4, file.begin() + 0x10c);
    put<std::uint32_t>(file, 0x114, 4);
    put<std::uint32_t>(file, 0x118, 4);
    put<std::uint32_t>(file, 0x11c, 18);
    std::copy_n("Xen", 4, file.begin() + 0x120);
    put<std::uint32_t>(file, 0x124, 0x200010);
    std::fill_n(file.begin() + 0x180, 16, std::uint8_t(0x5a));
    return file;
}

struct Fixture : tests::FakeBoard {
    Fixture() : FakeBoard(ramSize) { }
    Result<BootCpuState> boot(Bytes const& kernel, std::string_view commandLine = "console=ttyS0")
    {
        MemorySource const source(kernel), initrdSource(initrd);
        return bootDirectly(ram, { source, &initrdSource, commandLine },
            { .ramSize = ramSize, .ecamBase = layout::ecam },
            { .uuid = "00112233-4455-6677-8899-aabbccddeeff", .name = "m", .ramSize = ramSize });
    }
    template<typename T>
    T at(std::uint64_t address)
    {
        return ram.load<T>(address).value_or(0);
    }
    std::string text(std::uint64_t address) { return reinterpret_cast<char const*>(ramBlock->data() + address); }
    Bytes initrd = Bytes(5000, 0x1d);
};

}

class DirectBootTest : public QObject {
    Q_OBJECT
private slots:
    void linuxIsEnteredAtItsWideEntry()
    {
        Fixture f;
        auto const state = f.boot(linuxImage());
        REQUIRE_OK(state);
        QVERIFY(state->mode == BootCpuState::Mode::Long64);
        QCOMPARE(state->rip, 0x1000200u);
        QCOMPARE(f.at<std::uint8_t>(0x1000000), 0x5a);
        auto const zero = state->rsi;
        QCOMPARE(f.at<std::uint32_t>(zero + 0x202), 0x53726448u);
        QCOMPARE(f.at<std::uint8_t>(zero + 0x26c), 0);
        QCOMPARE(f.at<std::uint8_t>(zero + 0x210), 0xff);
        QCOMPARE(f.text(f.at<std::uint32_t>(zero + 0x228)), std::string("console=ttyS0"));
        QCOMPARE(f.at<std::uint64_t>(zero + 0x70), 0xe0000u);
        QCOMPARE(f.at<std::uint8_t>(zero + 0x1e8), 7);
        QCOMPARE(f.at<std::uint64_t>(zero + 0x2d0 + 8), 0x9fc00u);
    }

    void initrdIsAsHighAsItMayBe()
    {
        Fixture f;
        auto image = linuxImage();
        auto state = f.boot(image);
        REQUIRE_OK(state);
        QCOMPARE(f.at<std::uint32_t>(state->rsi + 0x218), std::uint32_t(ramSize - 8192));
        QCOMPARE(f.at<std::uint32_t>(state->rsi + 0x21c), 5000u);
        QCOMPARE(f.at<std::uint8_t>(ramSize - 8192 + 4999), 0x1d);
        put<std::uint32_t>(image, 0x22c, 0x17fffff);
        state = f.boot(image);
        REQUIRE_OK(state);
        QCOMPARE(f.at<std::uint32_t>(state->rsi + 0x218), 0x17fe000u);
        put<std::uint32_t>(image, 0x22c, 0x1000000);
        QVERIFY(!f.boot(image));
    }

    void kernelThatCannotHaveItsPlaceIsMoved()
    {
        Fixture f;
        auto image = linuxImage();
        put<std::uint64_t>(image, 0x258, 0x10000000);
        auto const state = f.boot(image);
        REQUIRE_OK(state);
        QCOMPARE(state->rip, 0x200200u);
        image[0x234] = 0;
        QVERIFY(!f.boot(image));
    }

    void lowMemoryIsMappedToItself()
    {
        Fixture f;
        auto const state = f.boot(linuxImage());
        REQUIRE_OK(state);
        for (std::uint64_t const address : { 0x1000200ull, 0xfee00000ull }) {
            auto const pdpt = f.at<std::uint64_t>(state->cr3) & ~0xfffull;
            auto const table = f.at<std::uint64_t>(pdpt + (address >> 30) * 8) & ~0xfffull;
            QCOMPARE(f.at<std::uint64_t>(table + (address >> 21 & 511) * 8), (address & ~0x1fffffull) | 0x83);
        }
        QCOMPARE(f.at<std::uint64_t>(state->gdtBase + state->codeSelector), 0x00af9b000000ffffu);
        QCOMPARE(f.at<std::uint64_t>(state->gdtBase + state->dataSelector), 0x00cf93000000ffffu);
    }

    void pvhIsEnteredInProtectedMode()
    {
        Fixture f;
        f.ramBlock->data()[0x200020] = 0x77; // left over from before the reset
        auto const state = f.boot(pvhImage());
        REQUIRE_OK(state);
        QVERIFY(state->mode == BootCpuState::Mode::Protected32);
        QCOMPARE(state->rip, 0x200010u);
        QCOMPARE(f.at<std::uint8_t>(0x20000f), 0x5a);
        QCOMPARE(f.at<std::uint8_t>(0x200020), 0);
        auto const info = state->rbx;
        QCOMPARE(f.at<std::uint32_t>(info), 0x336ec578u);
        QCOMPARE(f.at<std::uint32_t>(info + 12), 1u);
        auto const module = f.at<std::uint64_t>(info + 16);
        QCOMPARE(f.at<std::uint8_t>(f.at<std::uint64_t>(module)), 0x1d);
        QCOMPARE(f.at<std::uint64_t>(module + 8), 5000u);
        QCOMPARE(f.text(f.at<std::uint64_t>(info + 24)), std::string("console=ttyS0"));
        QCOMPARE(f.at<std::uint64_t>(f.at<std::uint64_t>(info + 32)), 0x2052545020445352u); // "RSD PTR "
        auto const map = f.at<std::uint64_t>(info + 40);
        QCOMPARE(f.at<std::uint32_t>(info + 48), 7u);
        QCOMPARE(f.at<std::uint64_t>(map + 8), 0x9fc00u);
        QCOMPARE(f.at<std::uint32_t>(map + 16), 1u);
        QCOMPARE(f.at<std::uint64_t>(state->gdtBase + state->codeSelector), 0x00cf9b000000ffffu);
    }

    void wideElfIsTakenToo()
    {
        Bytes file(0x200);
        put<std::uint32_t>(file, 0, 0x464c457f);
        file[4] = 2;
        file[5] = 1;
        put<std::uint16_t>(file, 18, 62);
        put<std::uint64_t>(file, 32, 64);
        put<std::uint16_t>(file, 54, 56);
        put<std::uint16_t>(file, 56, 2);
        auto const small = pvhImage();
        std::copy(small.begin() + 0x100, small.end(), file.begin() + 0x100);
        put<std::uint32_t>(file, 64, 4);
        put<std::uint64_t>(file, 64 + 8, 0x114);
        put<std::uint64_t>(file, 64 + 32, 20);
        put<std::uint32_t>(file, 120, 1);
        put<std::uint64_t>(file, 120 + 8, 0x180);
        put<std::uint64_t>(file, 120 + 24, 0x200000);
        put<std::uint64_t>(file, 120 + 32, 16);
        put<std::uint64_t>(file, 120 + 40, 64);
        Fixture f;
        auto const state = f.boot(file);
        REQUIRE_OK(state);
        QCOMPARE(state->rip, 0x200010u);
    }

    void smbiosIsWhereItIsLookedFor()
    {
        Fixture f;
        REQUIRE_OK(f.boot(linuxImage()));
        QCOMPARE(f.at<std::uint32_t>(0xf0000), 0x5f4d535fu); // "_SM_"
        QCOMPARE(f.at<std::uint32_t>(0xf0000 + 24), 0xf0020u);
    }

    void wrongKernelsAreRefused_data()
    {
        QTest::addColumn<bool>("pvh");
        QTest::addColumn<int>("offset");
        QTest::addColumn<quint64>("value");
        QTest::addColumn<int>("width");
        QTest::newRow("no boot flag") << false << 0x1fe << quint64(0) << 2;
        QTest::newRow("no magic") << false << 0x202 << quint64(0) << 4;
        QTest::newRow("old protocol") << false << 0x206 << quint64(0x020b) << 2;
        QTest::newRow("no 64-bit entry") << false << 0x236 << quint64(0) << 2;
        QTest::newRow("more than the file") << false << 0x1f4 << quint64(0x1000) << 4;
        QTest::newRow("setup beyond the file") << false << 0x1f1 << quint64(0xff) << 1;
        QTest::newRow("empty") << false << 0x1f4 << quint64(0) << 4;
        QTest::newRow("needs more memory") << false << 0x260 << quint64(0x7fffffff) << 4;
        QTest::newRow("short command line") << false << 0x238 << quint64(4) << 4;
        QTest::newRow("class") << true << 4 << quint64(3) << 1;
        QTest::newRow("big-endian") << true << 5 << quint64(2) << 1;
        QTest::newRow("other machine") << true << 18 << quint64(183) << 2;
        QTest::newRow("segments elsewhere") << true << 28 << quint64(0xfffffff0) << 4;
        QTest::newRow("no segments") << true << 44 << quint64(0) << 2;
        QTest::newRow("odd entry size") << true << 42 << quint64(56) << 2;
        QTest::newRow("too many segments") << true << 44 << quint64(0xffff) << 2;
        QTest::newRow("notes beyond the file") << true << 52 + 4 << quint64(0xffffff00) << 4;
        QTest::newRow("many notes") << true << 52 + 16 << quint64(0x7fffffff) << 4;
        QTest::newRow("note over the end") << true << 0x118 << quint64(0xfffffffc) << 4;
        QTest::newRow("name over the end") << true << 0x100 << quint64(0xffffffff) << 4;
        QTest::newRow("no note of ours") << true << 0x11c << quint64(17) << 4;
        QTest::newRow("entry outside") << true << 0x124 << quint64(0x100) << 4;
        QTest::newRow("segment too low") << true << 84 + 12 << quint64(0x1000) << 4;
        QTest::newRow("segment too high") << true << 84 + 12 << quint64(0xfffffff0) << 4;
        QTest::newRow("segment too large") << true << 84 + 20 << quint64(0xffffffff) << 4;
        QTest::newRow("file part larger") << true << 84 + 16 << quint64(65) << 4;
        QTest::newRow("segment beyond the file") << true << 84 + 4 << quint64(0x1f8) << 4;
    }
    void wrongKernelsAreRefused()
    {
        QFETCH(bool, pvh);
        QFETCH(int, offset);
        QFETCH(quint64, value);
        QFETCH(int, width);
        auto image = pvh ? pvhImage() : linuxImage();
        storeLittle(ByteSpan(image).subspan(std::size_t(offset), std::size_t(width)), std::uint64_t(value));
        Fixture f;
        QVERIFY(!f.boot(image));
    }

    void truncatedKernelsAreRefused()
    {
        Fixture f;
        for (auto const& whole : { linuxImage(), pvhImage() }) {
            for (std::size_t size :
                { std::size_t(0), std::size_t(3), std::size_t(40), std::size_t(0x150), std::size_t(0x188) })
                QVERIFY(!f.boot(Bytes(whole.begin(), whole.begin() + std::ptrdiff_t(size))));
        }
        QVERIFY(!f.boot(Bytes(100, 0x20)));
    }

    void whatDoesNotFitIsRefused()
    {
        Fixture f;
        QVERIFY(!f.boot(pvhImage(), std::string(65536, 'x')));
        f.initrd.resize(ramSize);
        QVERIFY(!f.boot(pvhImage()));
        QVERIFY(!f.boot(linuxImage()));
    }

    void damagedKernelsDoNoHarm()
    {
        Fixture f;
        std::mt19937 random(11);
        for (int i = 0; i < 400; ++i) {
            auto image = i % 2 ? linuxImage() : pvhImage();
            for (int n = 0; n < 4; ++n)
                image[random() % std::min<std::size_t>(image.size(), 0x270)] = static_cast<std::uint8_t>(random());
            ignore(f.boot(image));
        }
    }

    void filesAreReadFromDisk()
    {
        QTemporaryDir directory;
        auto const path = directory.filePath("kernel").toStdString();
        auto const image = linuxImage();
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<char const*>(image.data()), std::streamsize(image.size()));
        auto const file = FileSource::open(path);
        REQUIRE_OK(file);
        QCOMPARE(file->size(), image.size());
        Bytes bytes(image.size());
        REQUIRE_OK(file->read(0, bytes));
        QVERIFY(bytes == image);
        QVERIFY(!file->read(1, bytes));
        QVERIFY(!FileSource::open(path + ".absent"));
        QVERIFY(!FileSource::open(directory.path().toStdString()));
        std::ofstream(path, std::ios::trunc).close();
        QVERIFY(!file->read(0, bytes));
    }
};

REGISTER_SUITE(DirectBootTest);
#include "direct_boot_test.moc"

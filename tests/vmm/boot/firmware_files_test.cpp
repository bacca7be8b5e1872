#include "tests/support/suite.h"
#include "vmm/boot/firmware_files.h"

using namespace vmm;

namespace {

constexpr std::size_t kib = 1 << 10, largest = 8 << 20;

Bytes bytes(std::size_t size, std::uint8_t value = 0)
{
    return Bytes(size, value);
}

Bytes displayBios(std::size_t size, std::uint8_t blocks)
{
    auto contents = bytes(size, 0xb5);
    std::ranges::copy(std::array<std::uint8_t, 3> { 0x55, 0xaa, blocks }, contents.begin());
    return contents;
}

/// One that is cut off between being looked at and being read.
class CutOff final : public ByteSource {
public:
    explicit CutOff(std::uint64_t size) : m_size(size) { }
    std::uint64_t size() const override { return m_size; }
    Result<> read(std::uint64_t, ByteSpan) const override { return fail(ErrorCode::IoError, "became shorter"); }

private:
    std::uint64_t m_size;
};

QByteArray refusal(Result<Bytes> const& read)
{
    return read ? QByteArray() : QByteArray::fromStdString(read.error().message());
}

}

/// What firmware comes in: wrong, cut off, too large, and what is right.
class FirmwareFilesTest : public QObject {
    Q_OBJECT
private slots:
    void firmware_data()
    {
        rows();
        QTest::newRow("smallest") << bytes(64 * kib) << QByteArray();
        QTest::newRow("largest") << bytes(largest) << QByteArray();
        QTest::newRow("empty") << bytes(0) << QByteArray("file has 0 bytes, up to 8388608 are possible");
        QTest::newRow("too large") << bytes(largest + 1)
                                   << QByteArray("file has 8388609 bytes, up to 8388608 are possible");
        QTest::newRow("cut off") << bytes(60 * kib)
                                 << QByteArray("file has 61440 bytes; a firmware has 64 KiB to 8 MiB of whole pages");
        QTest::newRow("cut off in a page") << bytes(
            128 * kib - 1) << QByteArray("file has 131071 bytes; a firmware has 64 KiB to 8 MiB of whole pages");
    }
    void firmware()
    {
        QFETCH(Bytes, contents);
        auto const read = readFirmware(MemorySource(contents), "file");
        QTEST(refusal(read), "reason");
        QVERIFY(!read || *read == contents);
    }

    /// Below 1 MiB of code.
    void firstVariables_data()
    {
        rows();
        QTest::newRow("one sector") << bytes(4096, 1) << QByteArray();
        QTest::newRow("all that is left") << bytes(7 << 20) << QByteArray();
        QTest::newRow("empty") << bytes(0) << QByteArray("file has 0 bytes, up to 7340032 are possible");
        QTest::newRow("larger than what is left")
            << bytes((7 << 20) + 4096) << QByteArray("file has 7344128 bytes, up to 7340032 are possible");
        QTest::newRow("cut off in a sector")
            << bytes(6000) << QByteArray("file has 6000 bytes, which do not fill whole sectors");
    }
    void firstVariables()
    {
        QFETCH(Bytes, contents);
        auto const read = readFirstVariables(MemorySource(contents), "file", 1 << 20);
        QTEST(refusal(read), "reason");
        QVERIFY(!read || *read == contents);
    }

    void codeThatLeavesNoRoomHasNoVariables()
    {
        auto const contents = bytes(4096);
        QCOMPARE(refusal(readFirstVariables(MemorySource(contents), "file", largest)),
            QByteArray("file has 4096 bytes, up to 0 are possible"));
    }

    void keptVariables_data()
    {
        rows();
        QTest::newRow("kept") << bytes(8192, 7) << QByteArray();
        auto const reason = [](int size) {
            return QByteArray("file has ") + QByteArray::number(size)
                + " bytes, where the firmware wants 8192. Delete it, and the machine begins with the firmware's own "
                  "variables";
        };
        QTest::newRow("cut off") << bytes(8191) << reason(8191);
        QTest::newRow("of another firmware") << bytes(4096) << reason(4096);
        QTest::newRow("longer") << bytes(8193) << reason(8193);
    }
    void keptVariables()
    {
        QFETCH(Bytes, contents);
        auto const read = readKeptVariables(MemorySource(contents), "file", bytes(8192, 1));
        QTEST(refusal(read), "reason");
        QVERIFY(!read || *read == contents);
    }

    void anEmptyFileOfVariablesIsNone()
    {
        QCOMPARE(tests::must(readKeptVariables(MemorySource({}), "file", bytes(8192, 1))), bytes(8192, 1));
    }

    void display_data()
    {
        rows();
        QTest::newRow("whole") << displayBios(1536, 3) << QByteArray();
        QTest::newRow("with more behind it") << displayBios(5000, 1) << QByteArray();
        QTest::newRow("largest") << displayBios(256 * kib, 255) << QByteArray();
        QTest::newRow("empty") << bytes(0) << QByteArray("file has 0 bytes, up to 262144 are possible");
        QTest::newRow("too large") << displayBios(256 * kib + 1, 3)
                                   << QByteArray("file has 262145 bytes, up to 262144 are possible");
        auto const reason = QByteArray("file is not a whole display BIOS");
        QTest::newRow("of two bytes") << Bytes { 0x55, 0xaa } << reason;
        QTest::newRow("cut off") << displayBios(1535, 3) << reason;
        QTest::newRow("without a length") << displayBios(1536, 0) << reason;
        QTest::newRow("something else") << bytes(1536, 0x90) << reason;
        QTest::newRow("half a signature") << Bytes { 0x55, 0x55, 1 } << reason;
    }
    void display()
    {
        QFETCH(Bytes, contents);
        auto const read = readDisplayBios(MemorySource(contents), "file");
        QTEST(refusal(read), "reason");
        if (!read)
            return;
        QVERIFY(std::has_single_bit(read->size()) && read->size() >= 4096);
        QVERIFY(std::equal(contents.begin(), contents.end(), read->begin()));
    }

    void whatIsCutOffMeanwhileIsAnError()
    {
        QCOMPARE(refusal(readFirmware(CutOff(64 * kib), "file")), QByteArray("became shorter"));
        QCOMPARE(refusal(readFirstVariables(CutOff(8192), "file", 0)), QByteArray("became shorter"));
        QCOMPARE(refusal(readKeptVariables(CutOff(8192), "file", bytes(8192))), QByteArray("became shorter"));
        QCOMPARE(refusal(readDisplayBios(CutOff(8192), "file")), QByteArray("became shorter"));
    }

private:
    static void rows()
    {
        QTest::addColumn<Bytes>("contents");
        QTest::addColumn<QByteArray>("reason");
    }
};

REGISTER_SUITE(FirmwareFilesTest);
#include "firmware_files_test.moc"

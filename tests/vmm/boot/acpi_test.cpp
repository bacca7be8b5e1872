#include "tests/support/suite.h"
#include "vmm/boot/acpi.h"
#include "vmm/memory/layout.h"

#include <QFile>
#include <QProcess>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <numeric>

using namespace vmm;

/// The tables byte for byte are in tests/golden/acpi, one file each, as an operating system would find them with
/// direct boot. `CHRONOVISOR_REWRITE_GOLDEN=1 vmm_tests AcpiTest` writes them anew; `iasl -d` makes them readable.
namespace {

constexpr std::uint64_t base = 0xe1000;

AcpiConfig sample()
{
    return { .cpus = 2, .ramSize = std::uint64_t(4) << 30, .ecamBase = layout::ecam, .serialPorts = { 1, 3 } };
}

struct Table {
    std::string signature;
    Bytes bytes;
};

template<typename T>
T get(ConstByteSpan bytes, std::size_t offset)
{
    return loadLittle<T>(bytes.subspan(offset, sizeof(T)));
}

/// Walks from the RSDP as an operating system does.
std::vector<Table> walk(AcpiTables const& placed)
{
    std::vector<Table> found;
    auto const at = [&](std::uint64_t address) {
        auto const offset = address - base;
        auto const length = get<std::uint32_t>(placed.tables, offset + 4);
        auto const bytes = ConstByteSpan(placed.tables).subspan(offset, length);
        found.push_back({ { bytes.begin(), bytes.begin() + 4 }, { bytes.begin(), bytes.end() } });
        return bytes;
    };
    at(get<std::uint32_t>(placed.rsdp, 16));
    auto const xsdt = at(get<std::uint64_t>(placed.rsdp, 24));
    for (std::size_t entry = 36; entry < xsdt.size(); entry += 8) {
        auto const table = at(get<std::uint64_t>(xsdt, entry));
        if (found.back().signature == "FACP") {
            at(get<std::uint32_t>(table, 36));
            at(get<std::uint64_t>(table, 140));
        }
    }
    return found;
}

std::uint8_t sum(ConstByteSpan bytes)
{
    return std::accumulate(bytes.begin(), bytes.end(), std::uint8_t(0));
}

/// Does what firmware does with the script. Addresses: the RSDP at F5000, the tables at `base`.
void runScript(Bytes const& script, Bytes& rsdp, Bytes& tables)
{
    auto const text
        = [&](std::size_t at) { return std::string_view(reinterpret_cast<char const*>(script.data() + at)); };
    auto const file = [&](std::size_t at) -> Bytes& { return text(at) == acpiRsdpFile ? rsdp : tables; };
    for (std::size_t at = 0; at < script.size(); at += 128) {
        switch (get<std::uint32_t>(script, at)) {
        case 2: {
            auto const offset = get<std::uint32_t>(script, at + 116);
            auto const place = ByteSpan(file(at + 4)).subspan(offset, script[at + 120]);
            storeLittle(place, loadLittle<std::uint64_t>(place) + base);
            break;
        }
        case 3: {
            auto const offset = get<std::uint32_t>(script, at + 60);
            auto const covered = ByteSpan(file(at + 4))
                                     .subspan(get<std::uint32_t>(script, at + 64), get<std::uint32_t>(script, at + 68));
            file(at + 4)[offset] = static_cast<std::uint8_t>(file(at + 4)[offset] - sum(covered));
            break;
        }
        default: break;
        }
    }
}

}

class AcpiTest : public QObject {
    Q_OBJECT
private slots:
    void everyTableIsReachableAndAddsUpToZero()
    {
        auto tables = buildAcpi(sample());
        placeAcpi(tables, base);
        QCOMPARE(sum(ConstByteSpan(tables.rsdp).first(20)), 0);
        QCOMPARE(sum(tables.rsdp), 0);
        std::string signatures;
        for (auto const& table : walk(tables)) {
            signatures += table.signature + " ";
            if (table.signature != "FACS")
                QCOMPARE(sum(table.bytes), 0);
        }
        QCOMPARE(signatures, std::string("RSDT XSDT FACP FACS DSDT APIC MCFG WAET "));
    }

    void loaderScriptMakesTheSameTables()
    {
        auto placed = buildAcpi(sample());
        auto const loose = placed;
        placeAcpi(placed, base);
        auto rsdp = loose.rsdp, tables = loose.tables;
        auto const script = acpiLoaderScript(loose);
        QCOMPARE(script.size() % 128, 0u);
        runScript(script, rsdp, tables);
        QVERIFY(rsdp == placed.rsdp);
        QVERIFY(tables == placed.tables);
    }

    void sizesDoNotDependOnWhatFirmwarePrograms()
    {
        auto config = sample();
        auto const first = buildAcpi(config);
        for (std::uint64_t const ecam : { 0ull, 0xe0000000ull, 0xc0000000ull, 0xf0000000ull, 0x1000000000ull }) {
            config.ecamBase = ecam;
            auto const other = buildAcpi(config);
            QCOMPARE(other.tables.size(), first.tables.size());
            QCOMPARE(acpiLoaderScript(other).size(), acpiLoaderScript(first).size());
        }
    }

    void sixteenProcessorsFit()
    {
        auto config = sample();
        config.cpus = 16;
        config.serialPorts = { 1, 2, 3, 4, 9 };
        QCOMPARE(buildAcpi(config).tables.size(), buildAcpi(sample()).tables.size());
    }

    void tablesAreAsRecorded()
    {
        auto tables = buildAcpi(sample());
        placeAcpi(tables, base);
        for (auto const& table : walk(tables)) {
            auto name = QString::fromStdString(table.signature).toLower();
            QFile file(QStringLiteral(CHRONOVISOR_TEST_DATA "/golden/acpi/%1.bin").arg(name));
            QByteArray const bytes(reinterpret_cast<char const*>(table.bytes.data()), qsizetype(table.bytes.size()));
            if (qEnvironmentVariableIsSet("CHRONOVISOR_REWRITE_GOLDEN")) {
                QVERIFY(file.open(QIODevice::WriteOnly));
                file.write(bytes);
                continue;
            }
            QVERIFY2(file.open(QIODevice::ReadOnly), qPrintable(file.fileName()));
            QVERIFY2(bytes == file.readAll(), qPrintable(name + " is not the recorded one"));
        }
    }

    void disassemblerUnderstandsEveryTable()
    {
        auto const iasl = QStandardPaths::findExecutable(QStringLiteral("iasl"));
        if (iasl.isEmpty())
            QSKIP("CHRONOVISOR-SKIP: iasl (package acpica-tools) is not installed");
        auto tables = buildAcpi(sample());
        placeAcpi(tables, base);
        QTemporaryDir directory;
        for (auto const& table : walk(tables)) {
            auto const path = directory.filePath(QString::fromStdString(table.signature) + QStringLiteral(".dat"));
            QFile file(path);
            QVERIFY(file.open(QIODevice::WriteOnly));
            file.write(reinterpret_cast<char const*>(table.bytes.data()), qsizetype(table.bytes.size()));
            file.close();
            QProcess process;
            process.setProcessChannelMode(QProcess::MergedChannels);
            process.setWorkingDirectory(directory.path());
            process.start(iasl, { QStringLiteral("-d"), path });
            QVERIFY(process.waitForFinished(30000));
            auto const output = process.readAll();
            QVERIFY2(
                process.exitCode() == 0 && !output.contains("rror") && !output.contains("nvalid"), output.constData());
            if (table.signature != "DSDT")
                continue;
            process.start(iasl,
                { QStringLiteral("-vw"), QStringLiteral("6040"), directory.filePath(QStringLiteral("DSDT.dsl")) });
            QVERIFY(process.waitForFinished(30000));
            auto const compiled = process.readAll();
            QVERIFY2(compiled.contains(" 0 Errors"), compiled.constData());
        }
    }
};

REGISTER_SUITE(AcpiTest);
#include "acpi_test.moc"

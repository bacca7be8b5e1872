#include "tests/support/still_machine.h"
#include "vmm/base/random.h"
#include "vmm/machine/disk_chains.h"

#include <QFile>
#include <QRegularExpression>
#include <nlohmann/json.hpp>

using namespace vmm;
using namespace vmm::timeline;
using tests::StillMachine;

/// Records of a timeline that cannot be read, or lead to what nobody has kept: they are named, and nothing else is
/// harmed.
class HostileRecordsTest final : public QObject {
    Q_OBJECT

private slots:
    void init()
    {
        m_machine = std::make_unique<tests::TemporaryStillMachine>();
        auto const timeline = m_machine->open();
        m_moments.clear();
        for (auto const number : { 10u, 20u, 30u })
            m_moments.push_back(tests::must(m_machine->keep(*timeline, number)));
    }

    /// What a disk is said to have kept as other files of its folder: another disk, and what a person has put there.
    void whatNobodyKeptStays()
    {
        auto const timeline = m_machine->open();
        auto const letter = m_machine->directory.filePath("letter.txt");
        QFile file(letter);
        QVERIFY(file.open(QIODevice::WriteOnly) && file.write("dear") == 4);
        file.close();
        for (auto const way : { CheckpointWay::Overlay, CheckpointWay::Reflink }) {
            for (auto const& [id, place] : std::vector<std::pair<std::string, std::string>> { { "qcow2", "two.qcow2" },
                     { "txt", "letter.txt" }, { makeUuid(), "letter.txt" }, { makeUuid(), "two.qcow2" } }) {
                LooseDisks const loose { makeUuid(),
                    { { "disk0", m_machine->config.disks[0].path, { way, id, place, ImageFormat::Raw } } } };
                REQUIRE_OK(timeline->setLoose(loose));
                auto const tidied = Machine::tidyDisks(m_machine->config, *timeline);
                QVERIFY2(!tidied && tidied.error().code == ErrorCode::Corrupt, place.c_str());
                REQUIRE_OK(timeline->setLoose({ loose.moment, {} }));
            }
        }
        QVERIFY(QFile::exists(letter));
        isAsItWas({ 10, 20, 30 });
    }

    /// As if it were of a moment: what a machine that ends has kept becomes one file with its disk.
    void whatAPersonHasPutBelowADiskStays()
    {
        auto const base = m_machine->directory.filePath("base").toStdString(),
                   top = m_machine->directory.filePath("top").toStdString();
        tests::must(createImage(base, { .size = 1 << 20 }));
        tests::must(createImage(top, { .backingFile = "base" }));
        InlineEngine engine;
        tests::must(tests::must(BlockImage::open(engine, top))->writeSync(0, Bytes(512, 7)));
        REQUIRE_OK(mergeCheckpoints({ .id = "disk2", .path = top, .format = DiskFormat::Qcow2 }, { base }, {}));
        Bytes data(512);
        tests::must(tests::must(BlockImage::open(engine, base))->readSync(0, data));
        QCOMPARE(data, Bytes(512));
    }

    /// Timers would be due before now, for ever.
    void aTimeThatNoMachineHasRun()
    {
        auto const directory = m_machine->directory.filePath("state").toStdString();
        m_machine->suspendTo(directory);
        QFile file(m_machine->directory.filePath("state/state.json"));
        QVERIFY(file.open(QIODevice::ReadOnly));
        auto const good = QString::fromUtf8(file.readAll());
        REQUIRE_OK(savedMachineFromText(good.toStdString(), directory));
        QRegularExpression const time("(\"guestTime\": \\{\\s*\"i64\": \")-?\\d+");
        QVERIFY(good.contains(time));
        for (auto const* wrong : { "9223372036854775000", "-1" }) {
            auto bad = good;
            auto const read
                = savedMachineFromText(bad.replace(time, QStringLiteral("\\1") + wrong).toStdString(), directory);
            QVERIFY2(!read && read.error().code == ErrorCode::Corrupt, wrong);
            QVERIFY2(read.error().message().find("has not run") != std::string::npos, read.error().message().c_str());
        }
    }

    /// A snapshot that a person has made with other programs is no moment's.
    void aPersonsSnapshotStays()
    {
        auto const timeline = m_machine->open();
        auto const& disk = m_machine->config.disks[1];
        InlineEngine engine;
        auto const open = [&] { return tests::must(BlockImage::open(engine, disk.path, imageOptions(disk))); };
        tests::must(open()->takeSnapshot({ .id = "1", .name = "mine" }));
        REQUIRE_OK(timeline->setLoose(
            { makeUuid(), { { "disk1", disk.path, { CheckpointWay::Internal, "1", "", ImageFormat::Qcow2 } } } }));
        QCOMPARE(Machine::tidyDisks(m_machine->config, *timeline).error().code, ErrorCode::Corrupt);
        QCOMPARE(tests::must(open()->snapshots()).size(), m_moments.size() + 1);
    }

    void aMomentThatLeadsThereIsNamed()
    {
        auto record = Json::parse(recordOf(1).toStdString());
        auto& checkpoint = record["state"]["disks"][0]["checkpoint"];
        checkpoint["id"] = "qcow2";
        checkpoint["place"] = "two.qcow2";
        writeRecord(1, QByteArray::fromStdString(record.dump()));
        auto const timeline = m_machine->open();
        QCOMPARE(timeline->damages().size(), std::size_t(1));
        QCOMPARE(timeline->damages()[0].moment, m_moments[1].id);
        isAsItWas({ 10, 30 });
    }

    /// It can be ended all the same, and its disks let go of what they kept for it.
    void oneThatCannotBeReadIsEnded()
    {
        writeRecord(1, "{}");
        {
            auto const timeline = m_machine->open();
            QCOMPARE(timeline->damages().size(), std::size_t(1));
            QVERIFY(!timeline->sweep()); // what it needs is not known
            REQUIRE_OK(timeline->purge(m_moments[1].id));
            QVERIFY(timeline->damages().empty());
            QCOMPARE(timeline->purge(m_moments[1].id).error().code, ErrorCode::NotFound);
            QCOMPARE(tests::must(timeline->moment(m_moments[2].id)).parent, "");
        }
        auto const timeline = m_machine->open();
        QVERIFY(timeline->damages().empty() && timeline->hasWaste());
        REQUIRE_OK(m_machine->tidy(*timeline));
        REQUIRE_OK(timeline->sweep());
        QCOMPARE(m_machine->leftover(*timeline), QString());
        InlineEngine engine;
        auto const& disk = m_machine->config.disks[1];
        auto const kept
            = tests::must(tests::must(BlockImage::open(engine, disk.path, imageOptions(disk)))->snapshots());
        QCOMPARE(kept.size(), std::size_t(2));
        QVERIFY(!QFile::exists(QString::fromStdString(m_machine->config.disks[0].path + "." + m_moments[1].id)));
        isAsItWas({ 10, 30 });
    }

private:
    QString nameOfRecord(std::size_t which) const
    {
        return m_machine->directory.filePath(
            "timeline/moments/" + QString::fromStdString(m_moments[which].id) + ".json");
    }
    QByteArray recordOf(std::size_t which) const
    {
        QFile file(nameOfRecord(which));
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    }
    void writeRecord(std::size_t which, QByteArray const& text) const
    {
        QFile file(nameOfRecord(which));
        QVERIFY(file.open(QIODevice::WriteOnly) && file.write(text) == text.size());
    }
    /// The moments of these numbers are whole, and the present is the last one's.
    void isAsItWas(std::set<unsigned> const& numbers) const
    {
        auto const timeline = m_machine->open();
        std::set<unsigned> found;
        InlineEngine engine;
        for (auto const& moment : timeline->moments()) {
            auto const number = unsigned(std::stoul(moment.name));
            found.insert(number);
            for (auto const& disk : m_machine->config.disks)
                QCOMPARE(StillMachine::difference(*tests::must(openDiskAt(engine, moment, disk)), number), QString());
        }
        QVERIFY(found == numbers);
        QCOMPARE(m_machine->differenceNow(30), QString());
    }

    std::unique_ptr<tests::TemporaryStillMachine> m_machine;
    std::vector<Moment> m_moments;
};

REGISTER_SUITE(HostileRecordsTest);
#include "hostile_records_test.moc"

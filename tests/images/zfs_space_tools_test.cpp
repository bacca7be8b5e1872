#include "tests/images/qemu_tools.h"
#include "tests/support/suite.h"
#include "vmm/block/zfs_space.h"

#include <QRegularExpression>
#include <QTemporaryDir>
#include <algorithm>
#include <random>

using namespace vmm;

namespace {

QString run(QString const& program, QStringList const& arguments)
{
    auto const ended = tests::runTool(program, arguments);
    if (ended.status != 0)
        qFatal("%s %s: %s", qPrintable(program), qPrintable(arguments.join(' ')), qPrintable(ended.output));
    return ended.output;
}

/// A file system of a pool with a file in it, for as long as the object lives. Those that were made of it go with it.
class Dataset {
public:
    explicit Dataset(QString const& name) : m_name(name)
    {
        run("zfs", { "create", "-o", "mountpoint=" + m_folder.path(), m_name });
        QFile disk(path());
        if (!disk.open(QIODevice::WriteOnly) || !disk.resize(pieces * piece))
            qFatal("no disk");
    }
    Dataset(QString const& name, QString const& origin) : m_name(name)
    {
        run("zfs", { "clone", "-o", "mountpoint=" + m_folder.path(), origin, m_name });
    }
    Dataset(Dataset const&) = delete;
    Dataset& operator=(Dataset const&) = delete;
    ~Dataset() { tests::runTool("zfs", { "destroy", "-r", m_name }); }

    /// Some of it is written anew, and kept: the snapshot's name.
    std::string change(std::mt19937& random)
    {
        write(random, 1 + random() % 19);
        auto const snapshot = m_name + "@s" + QString::number(m_snapshots++);
        run("zfs", { "snapshot", snapshot });
        return snapshot.toStdString();
    }
    void write(std::mt19937& random, unsigned count)
    {
        QFile disk(path());
        if (!disk.open(QIODevice::ReadWrite))
            qFatal("no disk");
        QByteArray data(piece, '\0');
        while (count-- > 0) {
            std::ranges::generate(data, [&] { return static_cast<char>(random()); });
            if (!disk.seek(random() % pieces * piece) || disk.write(data) != data.size())
                qFatal("it cannot be written");
        }
        disk.close();
        run("zpool", { "sync" });
    }
    std::string name() const { return m_name.toStdString(); }

private:
    static constexpr unsigned pieces = 64, piece = 256 << 10;
    QString path() const { return m_folder.filePath("disk"); }

    QString const m_name;
    QTemporaryDir m_folder;
    unsigned m_snapshots = 0;
};

/// What comes back when all of these are destroyed, as zfs(8) says.
std::uint64_t reclaimed(std::vector<std::string> const& snapshots)
{
    QString all = QString::fromStdString(snapshots.front());
    for (std::size_t i = 1; i < snapshots.size(); ++i)
        all += "," + QString::fromStdString(snapshots[i]).section('@', 1);
    auto const said = run("zfs", { "destroy", "-nvp", all });
    auto const found = QRegularExpression("^reclaim\\t(\\d+)$", QRegularExpression::MultilineOption).match(said);
    if (!found.hasMatch())
        qFatal("zfs says: %s", qPrintable(said));
    return found.captured(1).toULongLong();
}

}

/// What we compute of the room that comes back when snapshots go one after the other (zfsReclaimed()), beside what a
/// real ZFS says of each step. tests/lab/zfs_test has one, and sets where.
class ZfsSpaceToolsTest final : public QObject {
    Q_OBJECT

private slots:
    void itIsWhatZfsSays_data()
    {
        QTest::addColumn<bool>("isClone");
        QTest::newRow("a file system") << false;
        QTest::newRow("a clone of one") << true;
    }

    void itIsWhatZfsSays()
    {
        QFETCH(bool, isClone);
        auto const pool = qEnvironmentVariable("CHRONOVISOR_ZFS_POOL");
        if (pool.isEmpty())
            QSKIP("CHRONOVISOR-SKIP: there is no pool of ZFS (tests/lab/zfs_test has one)");
        std::mt19937 random(5);
        Dataset original(pool + "/space");
        std::vector<std::string> snapshots;
        for (int i = 0; i < 12; ++i)
            snapshots.push_back(original.change(random));
        original.write(random, 5);
        if (!isClone)
            return compare(original, snapshots, random);
        Dataset clone(pool + "/clone", QString::fromStdString(snapshots[5]));
        std::vector<std::string> ofClone;
        for (int i = 0; i < 8; ++i)
            ofClone.push_back(clone.change(random));
        clone.write(random, 5);
        compare(clone, ofClone, random);
    }

private:
    /// In random orders, of some of them, of which up to three go together.
    static void compare(Dataset const& dataset, std::vector<std::string> snapshots, std::mt19937& random)
    {
        for (int turn = 0; turn < 12; ++turn) {
            std::ranges::shuffle(snapshots, random);
            auto const count = 1 + random() % snapshots.size();
            std::vector<std::vector<std::string>> order;
            std::vector<std::string> gone;
            std::vector<std::uint64_t> said;
            for (std::size_t at = 0; at < count;) {
                auto const next = std::min<std::size_t>(count, at + 1 + random() % 3);
                order.emplace_back(snapshots.begin() + std::ptrdiff_t(at), snapshots.begin() + std::ptrdiff_t(next));
                auto const before = gone.empty() ? 0 : reclaimed(gone);
                gone.insert(gone.end(), order.back().begin(), order.back().end());
                said.push_back(reclaimed(gone) - before);
                at = next;
            }
            QCOMPARE(tests::must(zfsReclaimed(dataset.name(), order, &runProgram)), said);
        }
    }
};

REGISTER_SUITE(ZfsSpaceToolsTest);
#include "zfs_space_tools_test.moc"

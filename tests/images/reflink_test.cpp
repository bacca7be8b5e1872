#include "tests/images/qemu_tools.h"
#include "tests/support/checkpoint_story.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <unistd.h>

using namespace vmm;
using namespace tests;

/// Checkpoints on file systems that share blocks between files, made in a file and mounted; that needs root.
class ReflinkTest : public QObject {
    Q_OBJECT

private slots:
    void disksFollow_data()
    {
        QTest::addColumn<QString>("fileSystem");
        QTest::addColumn<ImageFormat>("format");
        for (QString const fileSystem : { "btrfs", "xfs" }) {
            QTest::addRow("%s, raw", qPrintable(fileSystem)) << fileSystem << ImageFormat::Raw;
            QTest::addRow("%s, qcow2", qPrintable(fileSystem)) << fileSystem << ImageFormat::Qcow2;
        }
    }

    void disksFollow()
    {
        QFETCH(QString, fileSystem);
        QFETCH(ImageFormat, format);
        QTemporaryDir folder;
        auto const image = folder.filePath("fs"), mountPoint = folder.filePath("mnt");
        QDir().mkpath(mountPoint);
        QFile file(image);
        QVERIFY(file.open(QIODevice::WriteOnly) && file.resize(512 << 20));
        file.close();
        auto const made = runTool("mkfs." + fileSystem, { image });
        auto const mounted = runTool("mount", { "-o", "loop", image, mountPoint });
        if (made.status != 0 || mounted.status != 0) {
            auto const reason = "CHRONOVISOR-SKIP: " + fileSystem + " cannot be made and mounted here (as root, with "
                + "btrfs-progs and xfsprogs): " + made.output.section('\n', 0, 0) + mounted.output;
            std::puts(qPrintable(reason));
            QSKIP(qPrintable(reason));
        }
        {
            auto const method = CheckpointMethod::create(CheckpointWay::Reflink);
            CheckpointStory story(*method, mountPoint.toStdString() + "/disk", format);
            story.tell(mountPoint.toStdString() + "/fork");
            auto const chosen = must(CheckpointMethod::choose(story.disk(), {}));
            QCOMPARE(must(chosen->plan(story.disk(), "chosen")).way, CheckpointWay::Reflink);
        }
        QCOMPARE(runTool("umount", { mountPoint }).status, 0);
    }
};

REGISTER_SUITE(ReflinkTest);
#include "reflink_test.moc"

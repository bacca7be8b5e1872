#pragma once

#include "vmm/base/bytes.h"
#include "vmm/config/vm_config.h"

#include <QFile>
#include <QProcess>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>

namespace tests {

struct ToolOutcome {
    int status = -1;
    QString output;
};

inline ToolOutcome runTool(QString const& program, QStringList const& arguments)
{
    QProcess process;
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.start(program, arguments);
    if (!process.waitForFinished(60000))
        return {};
    return { process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1, process.readAll() };
}

/// A folder for images, and what qemu-img says of them.
class QemuTools {
public:
    static bool areInstalled()
    {
        return !QStandardPaths::findExecutable("qemu-img").isEmpty()
            && !QStandardPaths::findExecutable("qemu-io").isEmpty();
    }

    bool isValid() const { return m_directory.isValid(); }
    QString fresh() { return m_directory.filePath(QString("image%1").arg(m_next++)); }

    /// Clusters that nobody uses: space, no harm. Who loses his power may leave some.
    enum class Leaks : std::uint8_t { No, Allowed };
    /// What qemu-img check has to say against it.
    static QString check(QString const& path, Leaks leaks = Leaks::No)
    {
        constexpr int onlyLeaks = 3; // qemu-img(1), "check"
        auto const verdict = runTool("qemu-img", { "check", "-f", "qcow2", path });
        if (leaks == Leaks::Allowed && verdict.status == onlyLeaks)
            return {};
        return complaint(path, verdict);
    }

    /// Of all images that a machine wrote; what is wrong with one fails the test.
    static void judge(std::vector<vmm::DiskConfig> const& disks, Leaks leaks)
    {
        if (!areInstalled())
            return;
        for (auto const& disk : disks) {
            auto const path = QString::fromStdString(disk.path);
            if (disk.format != vmm::DiskFormat::Qcow2 || disk.readOnly || !QFile::exists(path))
                continue;
            if (auto const wrong = check(path, leaks); !wrong.isEmpty())
                QTest::qFail(qPrintable(wrong), __FILE__, __LINE__);
        }
    }

    static QString compare(QString const& image, QString const& raw)
    {
        return complaint(image, runTool("qemu-img", { "compare", "-f", "qcow2", "-F", "raw", image, raw }));
    }

    static void writeFile(QString const& path, vmm::ConstByteSpan data)
    {
        QFile file(path);
        if (!file.open(QIODevice::WriteOnly | QIODevice::Truncate)
            || file.write(reinterpret_cast<char const*>(data.data()), static_cast<qint64>(data.size()))
                != static_cast<qint64>(data.size()))
            qFatal("cannot write %s", qPrintable(path));
    }

private:
    /// Also where the tool itself has nothing to say.
    static QString complaint(QString const& path, ToolOutcome const& outcome)
    {
        if (outcome.status == 0)
            return {};
        return QString("%1: qemu-img ends with %2: %3").arg(path).arg(outcome.status).arg(outcome.output);
    }

    QTemporaryDir m_directory;
    int m_next = 0;
};

}

#define SKIP_WITHOUT_QEMU_TOOLS()                                                                                      \
    do {                                                                                                               \
        if (!tests::QemuTools::areInstalled()) {                                                                       \
            QSKIP("CHRONOVISOR-SKIP: qemu-img and qemu-io are not installed (package qemu-utils)");                    \
        }                                                                                                              \
    } while (false)

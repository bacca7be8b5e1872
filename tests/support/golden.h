#pragma once

#include "tests/support/guest_machine.h"
#include "tests/support/suite.h"
#include "vmm/machine/saved_machine.h"

#include <QDir>
#include <QDirIterator>
#include <QFile>
#include <QFileInfo>
#include <algorithm>

/// What the tests of golden files have in common: VERSION-…-VENDOR is the name of each, for a processor's state can go
/// on with its vendor's only.
namespace tests {

inline bool rewritesGolden()
{
    return qEnvironmentVariableIsSet("CHRONOVISOR_REWRITE_GOLDEN");
}

inline QString goldenFolder(char const* kind)
{
    return QStringLiteral(CHRONOVISOR_TEST_DATA "/golden/") + kind;
}

inline QStringList goldenOnes(char const* kind)
{
    return QDir(goldenFolder(kind)).entryList(QDir::Dirs | QDir::NoDotAndDotDot);
}

inline void copyTree(QString const& from, QString const& to)
{
    for (QDirIterator found(from, QDir::Files, QDirIterator::Subdirectories); found.hasNext();) {
        auto const file = found.next();
        auto const target = to + file.mid(from.size());
        QVERIFY(QDir().mkpath(QFileInfo(target).path()));
        QVERIFY2(QFile::copy(file, target), qPrintable(target));
        QVERIFY(QFile::setPermissions(target, QFile::ReadOwner | QFile::WriteOwner));
    }
}

inline QString vendorOf(vmm::CpuFeatures const& cpu)
{
    auto const first = std::ranges::find(cpu.entries, 0u, &vmm::CpuidEntry::function);
    switch (first != cpu.entries.end() ? first->ecx : 0) {
    case 0x444d'4163: return "amd";   // AuthenticAMD's end
    case 0x6c65'746e: return "intel"; // GenuineIntel's
    default: qFatal("no release has kept moments of this vendor's processor");
    }
}

/// "0.1.0-intel", or with a kind "0.1.0-kind-intel".
inline QString goldenName(vmm::SavedHeader const& header, QString const& kind = {})
{
    auto const version = QString::fromStdString(header.program).section(' ', -1);
    return version + "-" + (kind.isEmpty() ? kind : kind + "-") + vendorOf(header.cpu);
}

/// With a CPU that each host of the vendor has: the baseline, or all of this host's where that is less.
inline vmm::Result<> startForAll(GuestMachine& guest)
{
    guest.config.cpuModel = vmm::CpuModel::Baseline;
    if (auto started = guest.start(); started || started.error().code == vmm::ErrorCode::NoKvm)
        return started;
    guest.config.cpuModel = vmm::CpuModel::Host;
    return guest.start();
}

/// Why a golden one cannot go on here; empty: it can, and must where `name` is AMD's and this is the lab.
inline QString whyNotHere(vmm::Result<> const& can, QString const& name)
{
    if (can)
        return {};
    if (QFile::exists("/run/lab") && name.endsWith("-amd"))
        QTest::qFail(can.error().message().c_str(), __FILE__, __LINE__);
    return QString::fromStdString("this host's CPU lacks what the moment's had: " + can.error().message());
}

}

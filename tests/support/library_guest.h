#pragma once

#include "app/store/machine_store.h"
#include "tests/images/qemu_tools.h"
#include "tests/support/answer.h"
#include "tests/support/patience.h"

#include <QRegularExpression>
#include <QString>
#include <QThread>

namespace tests {

/// A machine with our demo guest, which counts in its memory and on its disk each second and says when the two differ.
inline app::MachineRequest demoMachine(std::string name)
{
    app::MachineRequest request;
    request.config.name = std::move(name);
    request.config.memoryMiB = 256;
    request.config.firmware = vmm::Firmware::None;
    request.config.kernel = vmm::KernelConfig { CHRONOVISOR_BINARY "/share/chronovisor/demo.elf", {}, {} };
    request.config.serials = { { "serial0", false } };
    request.config.displays.resize(1);
    request.config.networks = { { "net0", {}, vmm::NetworkMode::None, {} } };
    request.config.disks.resize(1);
    request.config.disks[0].id = "disk0";
    request.newDisks = { { "disk0", 1u << 20, vmm::DiskFormat::Qcow2 } };
    return request;
}

/// A machine of the library, by its first serial port.
class LibraryGuest {
public:
    /// `minute`: as MachineRunner has it.
    LibraryGuest(app::MachineStore const& store, app::StoredMachine const& machine,
        vmm::Nanoseconds minute = std::chrono::minutes(1))
        : m_judge { store, machine.id }, runner(machine.config, store.placesOf(machine.id), app::kvmMachines(), minute)
    {
    }

    vmm::Result<> start()
    {
        return answerOf([&](auto done) { runner.start(done); });
    }
    vmm::Result<> end()
    {
        auto const outcome = answerOf([&](auto done) { runner.powerOff(done); });
        runner.drain();
        return outcome;
    }
    vmm::Result<std::string> keep()
    {
        return TRY(answerOf<vmm::timeline::Moment>([&](auto done) { runner.keepMoment({}, done); })).id;
    }

    QString said()
    {
        vmm::Bytes bytes;
        std::uint64_t run = 0;
        runner.console("serial0")->readFrom(0, bytes, run);
        return QString::fromLatin1(reinterpret_cast<char const*>(bytes.data()), qsizetype(bytes.size()));
    }
    /// Types the command, after an empty line: it may have been in the middle of one. What matched, or nothing.
    QRegularExpressionMatch ask(std::string const& command, QString const& pattern)
    {
        auto const before = said().size();
        auto const typed = "\r" + command + "\r";
        runner.console("serial0")->type(vmm::bytesOf(typed));
        return wait(pattern, before);
    }
    QRegularExpressionMatch wait(QString const& pattern, qsizetype from = 0)
    {
        auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(30) * patience();
        QRegularExpressionMatch match;
        do {
            QThread::msleep(10);
            match = QRegularExpression(pattern).match(said(), from);
        } while (!match.hasMatch() && std::chrono::steady_clock::now() < end);
        return match;
    }

private:
    /// When the machine has ended, whoever ended it, qemu-img judges its images.
    struct Judge {
        app::MachineStore store;
        std::string id;
        ~Judge()
        {
            if (auto const machine = store.load(id))
                QemuTools::judge(machine->config.disks, QemuTools::Leaks::Allowed);
        }
    };
    Judge m_judge;

public:
    app::MachineRunner runner;
};

}

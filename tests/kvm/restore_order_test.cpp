#include "tests/support/altered_moment.h"
#include "tests/support/guest_machine.h"
#include "tests/support/suite.h"
#include "vmm/machine/saved_machine.h"

#include <QFile>
#include <array>
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

namespace {

/// From now on KVM makes no virtual machine for this process.
bool forbidVirtualMachines()
{
    auto filter = std::to_array<sock_filter>({
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, KVM_CREATE_VM, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    });
    sock_fprog const program { filter.size(), filter.data() };
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/// What a process says of it in which there are no virtual machines.
QString withoutVirtualMachines(std::function<std::string()> const& story)
{
    std::array<int, 2> pipe {};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
        qFatal("no pipe");
    auto const child = ::fork();
    if (child == 0) {
        auto const said = forbidVirtualMachines() ? story() : "no filter of system calls";
        ::_exit(::write(pipe[1], said.data(), said.size()) == ssize_t(said.size()) ? 0 : 1);
    }
    ::close(pipe[1]);
    QByteArray said;
    std::array<char, 512> some {};
    for (ssize_t got; (got = ::read(pipe[0], some.data(), some.size())) > 0;)
        said.append(some.data(), got);
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status == 0 ? QString::fromUtf8(said) : QString("it ended as %1").arg(status);
}

template<typename T>
std::string outcomeOf(Result<T> const& outcome)
{
    return outcome ? "it went well" : outcome.error().message();
}

QByteArray contentsOf(std::string const& path)
{
    QFile file(QString::fromStdString(path));
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

constexpr auto refusalOfKvm = "KVM cannot create a virtual machine";

}

/// KVM makes the virtual machine last: when all that can be said of a state without it has been said.
class RestoreOrderTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void whatADeviceRefusesIsSaidWithoutAVirtualMachine_data();
    void whatADeviceRefusesIsSaidWithoutAVirtualMachine();
    void whereKvmMakesNoneNothingHasMoved();
};

void RestoreOrderTest::initTestCase()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
}

void RestoreOrderTest::whatADeviceRefusesIsSaidWithoutAVirtualMachine_data()
{
    using Alter = std::function<void(Json&)>;
    QTest::addColumn<Alter>("alter");
    QTest::addColumn<QString>("named");
    QTest::newRow("nothing") << Alter([](Json&) {}) << refusalOfKvm;
    QTest::newRow("another disk") << Alter([](Json& state) {
        tests::partOf(state, "disk0")["state"]["sectors"] = { { "u64", "4096" } };
    }) << "disk0: ";
    QTest::newRow("a local APIC") << Alter([](Json& state) {
        tests::partOf(state, "vcpu0")["state"]["lapic"] = { { "base64", "AAAA" } };
    }) << "vcpu0: a local APIC of 3 bytes";
}

void RestoreOrderTest::whatADeviceRefusesIsSaidWithoutAVirtualMachine()
{
    QFETCH(std::function<void(Json&)>, alter);
    QFETCH(QString, named);
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.addDisk(DiskBus::Virtio);
    REQUIRE_OK(guest.create());
    REQUIRE_OK(guest.machine().call(command::Start {}));
    auto const directory = guest.folder().toStdString() + "/suspended";
    REQUIRE_OK(guest.machine().call(command::Suspend { directory, true }));
    guest.end();
    auto state = savedMachineToJson(tests::must(readSavedMachine(directory)));
    alter(state);
    QFile file(QString::fromStdString(directory + "/state.json"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(QByteArray::fromStdString(state::toText(state, 1)));
    file.close();
    auto const answer
        = withoutVirtualMachines([&] { return outcomeOf(Machine::restore(directory, [](Event const&) {})); });
    QVERIFY2(answer.contains(named), qPrintable(answer));
}

void RestoreOrderTest::whereKvmMakesNoneNothingHasMoved()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.addQcow2Disk(DiskBus::Virtio);
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine, boot 1.", 20s));
    auto const first = tests::must(guest.keepMoment("first"));
    QVERIFY(guest.ask("count", "Memory and disk agree. Boot 1,"));
    auto const second = tests::must(guest.keepMoment("second"));
    guest.end();
    guest.closeTimeline();
    auto const disk = guest.config.disks[0].path;
    auto const before = contentsOf(disk);
    auto const answer = withoutVirtualMachines([&] {
        auto const timeline = guest.timeline();
        auto const outcome = outcomeOf(Machine::goTo(timeline, first, [](Event const&) {}));
        return outcome + "; " + timeline->present() + "; " + timeline->goingTo();
    });
    QVERIFY2(answer.contains(refusalOfKvm), qPrintable(answer));
    QVERIFY2(answer.endsWith(QString::fromStdString("; " + second + "; ")), qPrintable(answer));
    QVERIFY(!before.isEmpty() && contentsOf(disk) == before);
    REQUIRE_OK(guest.goTo(first));
    QVERIFY(guest.ask("count", "Memory and disk agree. Boot 1,"));
}

REGISTER_SUITE(RestoreOrderTest);
#include "restore_order_test.moc"

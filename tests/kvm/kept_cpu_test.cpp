#include "app/store/cpu_file.h"
#include "tests/support/guest_machine.h"
#include "tests/support/library_guest.h"
#include "tests/support/suite.h"

using namespace std::chrono_literals;
using namespace tests;
using namespace vmm;

namespace {

CpuidEntry& leaf(CpuFeatures& cpu, std::uint32_t function)
{
    for (auto& entry : cpu.entries) {
        if (entry.function == function && entry.index == 0)
            return entry;
    }
    qFatal("there is no leaf %x", function);
}

QString signatureSeen(GuestMachine& guest)
{
    guest.clearLines();
    if (!guest.start() || !guest.waitForWholeLine("NOTE signature ", 20s))
        return guest.reason();
    return guest.lines().filter("NOTE signature ").last().section(' ', -1);
}

}

/// A machine's guest finds the same processor at each start, also where this host has become another one.
class KeptCpuTest final : public QObject {
    Q_OBJECT
private slots:
    void aGuestFindsTheProcessorThatItHasHad()
    {
        GuestMachine guest("guests/processor.elf", "memory=256");
        auto const here = signatureSeen(guest);
        auto cpu = guest.machine().cpu();
        QCOMPARE(here, QString::number(leaf(cpu, 1).eax, 16));
        leaf(cpu, 1).eax ^= 1; // another stepping
        guest.cpu = &cpu;
        QCOMPARE(signatureSeen(guest), QString::number(leaf(cpu, 1).eax, 16));
        QVERIFY(guest.machine().cpu() == cpu);
    }

    void aMachineOfTheLibraryKeepsItsOwnAndHearsWhatIsMissing()
    {
        QTemporaryDir directory;
        app::MachineStore store(directory.path().toStdString());
        auto const machine = must(store.create(demoMachine("web")));
        auto const path = store.placesOf(machine.id).cpuFile;
        {
            LibraryGuest guest(store, machine);
            REQUIRE_OK(guest.start());
            REQUIRE_OK(guest.end());
        }
        auto const first = must(app::readCpuFile(path));
        QVERIFY(first);
        auto moved = *first;
        leaf(moved.features, 1).eax ^= 1;
        REQUIRE_OK(app::writeCpuFile(path, moved));
        {
            LibraryGuest guest(store, machine);
            REQUIRE_OK(guest.start());
            REQUIRE_OK(guest.end());
        }
        QVERIFY(must(app::readCpuFile(path)) == moved);

        // What no host's KVM has: VMX is never a guest's here.
        leaf(moved.features, 1).ecx |= 1u << 5;
        REQUIRE_OK(app::writeCpuFile(path, moved));
        {
            LibraryGuest guest(store, machine);
            auto const refused = guest.start();
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, ErrorCode::Unsupported);
            for (auto const* word : { "1.ECX bit 5", "chronoctl renew-cpu" })
                QVERIFY2(refused.error().detail.find(word) != std::string::npos, refused.error().detail.c_str());
            guest.runner.drain();
        }
        QVERIFY(must(store.renewCpu(machine.id)));
        LibraryGuest guest(store, machine);
        REQUIRE_OK(guest.start());
        QVERIFY(must(app::readCpuFile(path)) == *first);
        QCOMPARE(store.renewCpu(machine.id).error().code, ErrorCode::Busy);
        REQUIRE_OK(guest.end());
    }
};

REGISTER_SUITE(KeptCpuTest);
#include "kept_cpu_test.moc"

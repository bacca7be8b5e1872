#include "tests/support/patience.h"
#include "tests/support/suite.h"
#include "vmm/base/event_loop.h"
#include "vmm/bus/bus.h"
#include "vmm/kvm/boot_cpu_state.h"
#include "vmm/kvm/chips.h"
#include "vmm/kvm/cpu_model.h"
#include "vmm/kvm/step_over.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/vcpu_thread.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <condition_variable>
#include <filesystem>
#include <linux/kvm.h>
#include <sys/ioctl.h>

using namespace std::chrono_literals;
using namespace vmm;

namespace {

class Recorder final : public BusDevice {
public:
    void reset() override { }
    Section save() const override { return {}; }
    Result<> load(Section const&) override { return {}; }
    void read(std::uint64_t, ByteSpan data) override { std::fill(data.begin(), data.end(), answer); }
    void write(std::uint64_t, ConstByteSpan data) override
    {
        written.insert(written.end(), data.begin(), data.end());
        arrived.notify_all();
    }
    /// Waits until the guest has written `count` bytes.
    bool waitFor(std::size_t count)
    {
        std::unique_lock lock(mutex());
        return arrived.wait_for(
            lock, std::chrono::seconds(20) * tests::patience(), [&] { return written.size() >= count; });
    }
    std::uint8_t answer = 0;
    Bytes written;
    std::condition_variable_any arrived;
};

/// A guest of one page of code at 4 KiB, in 32-bit protected mode, with 1 MiB of RAM.
struct Guest {
    explicit Guest(Kvm const& kvm, Bytes const& code)
        : vm(std::make_unique<Vm>(kvm)), ram(tests::must(MemoryBlock::create("ram", 1 << 20)))
    {
        slot = tests::must(
            vm->map(0, *ram, 0, ram->size(), MemoryMapper::Access::ReadWrite, MemoryMapper::DirtyLog::On));
        tests::must(vm->open());
        tests::must(vm->createInterruptControllers());
        tests::must(vm->connect());
        vcpu = tests::must(vm->createVcpu(
            0, cpuidFor(tests::must(cpuFeatures(CpuModel::Host, tests::must(kvm.supportedCpuid()))), 0, 1)));
        std::copy(code.begin(), code.end(), ram->data() + 4096);
        tests::must(ports.map(0x100, 1, port));
        tests::must(memory.map(0x80000000, 0x1000, registers));
        tests::must(vcpu->setBootState({ .rip = 4096, .rsp = 0x8000 }));
    }
    std::unique_ptr<Vm> vm;
    std::unique_ptr<MemoryBlock> ram;
    std::unique_ptr<Vcpu> vcpu;
    MemoryMapper::Slot slot = 0;
    Bus ports, memory;
    Recorder port, registers;
};

}

class VcpuTest : public QObject {
    Q_OBJECT
    std::optional<Kvm> m_kvm;

private slots:
    void initTestCase()
    {
        auto kvm = Kvm::open();
        if (!kvm)
            QSKIP(("CHRONOVISOR-SKIP: " + kvm.error().message()).c_str());
        m_kvm = std::move(*kvm);
    }

    void guestReachesPortsAndRegisters()
    {
        // in al, dx; mov [0x80000000], al; mov al, [0x80000010]; out dx, al; cli; hlt … jmp $
        Guest guest(*m_kvm,
            { 0xba, 0x00, 0x01, 0x00, 0x00, 0xec, 0xa2, 0x00, 0x00, 0x00, 0x80, 0xa0, 0x10, 0x00, 0x00, 0x80, 0xee,
                0xeb, 0xfe });
        guest.port.answer = 0x5a;
        guest.registers.answer = 0xa5;
        VcpuThread thread(*guest.vcpu, guest.ports, guest.memory, [](VcpuExit const&) {});
        thread.run();
        QVERIFY(guest.port.waitFor(1));
        thread.requestPark();
        thread.waitUntilParked();
        QCOMPARE(guest.registers.written, Bytes({ 0x5a }));
        QCOMPARE(guest.port.written, Bytes({ 0xa5 }));
    }

    void whatIsWiredUpBeforehandIsConnected()
    {
        auto const vm = std::make_unique<Vm>(*m_kvm);
        auto const firstBell = tests::must(makeEventFd()), secondBell = tests::must(makeEventFd());
        constexpr auto space = DoorbellRegistry::Space::Memory;
        Doorbell const stays { .offset = 0, .size = 2, .match = {}, .eventFd = firstBell.get() };
        Doorbell const goes { .offset = 0, .size = 2, .match = {}, .eventFd = secondBell.get() };
        tests::must(vm->add(space, 0x80000000, stays));
        tests::must(vm->add(space, 0x80001000, goes));
        vm->remove(space, 0x80001000, goes);
        vm->line(5).set(true);
        vm->line(6).set(true);
        vm->line(6).set(false);

        tests::must(vm->open());
        tests::must(vm->createInterruptControllers());
        KvmInterruptChips const chips(*vm);
        auto const requests
            = [&]() -> int { return tests::must(state::load<KvmInterruptChips::State>(chips.save())).master.irr; };
        QCOMPARE(requests(), 0);
        tests::must(vm->connect());
        QCOMPARE(requests(), 1 << 5);
        // KVM takes no second doorbell for the same writes.
        QVERIFY(!vm->add(space, 0x80000000, stays));
        QVERIFY(vm->add(space, 0x80001000, goes));
        vm->remove(space, 0x80000000, stays);
        QVERIFY(vm->add(space, 0x80000000, stays));
    }

    /// Each is a broadcast, which KVM's fast path does not do: who saves the processor next finds it there all the
    /// same.
    void messagesHaveArrivedWhenTheyAreSent()
    {
        Guest guest(*m_kvm, {});
        constexpr std::size_t spuriousVector = 0xf0, interruptRequests = 0x200; // registers of the local APIC
        auto state = tests::must(guest.vcpu->save());
        state.lapic.at(spuriousVector + 1) |= 0x01; // bit 8: enabled by software
        tests::must(guest.vcpu->load(state));
        for (unsigned vector = 0x40; vector < 0x60; ++vector) {
            guest.vm->send({ .address = 0xfeeff000, .data = vector });
            auto const requests = tests::must(guest.vcpu->save()).lapic.at(interruptRequests + 0x20 + vector % 32 / 8);
            QVERIFY2((requests & 1 << vector % 8) != 0, qPrintable(QString::number(vector, 16)));
        }
    }

    void savedStateGoesOnInAnotherMachine()
    {
        // xor eax, eax; l: inc eax; mov [0x9000], eax; out dx, al; jmp l
        Bytes const code { 0x31, 0xc0, 0xba, 0x00, 0x01, 0x00, 0x00, 0x40, 0xa3, 0x00, 0x90, 0x00, 0x00, 0xee, 0xeb,
            0xf7 };
        Guest first(*m_kvm, code);
        {
            VcpuThread thread(*first.vcpu, first.ports, first.memory, [](VcpuExit const&) {});
            thread.run();
            QVERIFY(first.port.waitFor(50));
            thread.requestPark();
            thread.waitUntilParked();
        }
        auto const state = first.vcpu->save();
        REQUIRE_OK(state);
        auto const section = state::save(*state);
        auto const loaded = state::load<VcpuState>(section);
        REQUIRE_OK(loaded);

        Guest second(*m_kvm, code);
        std::memcpy(second.ram->data(), first.ram->data(), first.ram->size());
        REQUIRE_OK(second.vcpu->load(*loaded));
        {
            VcpuThread thread(*second.vcpu, second.ports, second.memory, [](VcpuExit const&) {});
            thread.run();
            QVERIFY(second.port.waitFor(10));
            thread.requestPark();
            thread.waitUntilParked();
        }
        // Every number once: the OUT that was under way at the stop was finished before the state was read.
        auto all = first.port.written;
        all.insert(all.end(), second.port.written.begin(), second.port.written.end());
        for (std::size_t i = 0; i < all.size(); ++i)
            QCOMPARE(all[i], static_cast<std::uint8_t>(i + 1));
    }

    void registersThatThisHostRefusesAreNamed()
    {
        Guest guest(*m_kvm, { 0xeb, 0xfe });
        auto state = guest.vcpu->save();
        REQUIRE_OK(state);
        REQUIRE_OK(guest.vcpu->load(*state));
        constexpr std::uint32_t mask = 0x209; // IA32_MTRR_PHYSMASK4, whose low bits nobody may set
        auto const found = std::find_if(
            state->msrs.begin(), state->msrs.end(), [](MsrState const& msr) { return msr.index == mask; });
        QVERIFY(found != state->msrs.end());
        found->value = 0x7f;
        auto const refused = guest.vcpu->load(*state);
        QVERIFY(!refused);
        auto const text = QString::fromStdString(refused.error().message());
        QVERIFY2(text.contains("0x7f in MSR 0x209"), qPrintable(text));
        // The others were set all the same, and a reset helps.
        REQUIRE_OK(guest.vcpu->reset());
    }

    void tripleFaultIsReported()
    {
        Guest guest(*m_kvm, { 0x0f, 0x0b }); // ud2, without an IDT
        BusView ports(guest.ports), memory(guest.memory);
        QCOMPARE(guest.vcpu->run(ports, memory).kind, VcpuExit::Kind::TripleFault);
    }

    /// One that a kick kept from being told.
    void aResetTakesATripleFaultBack()
    {
        Guest guest(*m_kvm, { 0xba, 0x00, 0x01, 0x00, 0x00, 0xee, 0xeb, 0xfe }); // mov edx, 0x100; out dx, al; jmp $
        if (!guest.vm->tellsTripleFaults())
            QSKIP("CHRONOVISOR-SKIP: this host's KVM does not tell of pending triple faults (Linux 6.1 does)");
        int vcpu = -1;
        for (auto const& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
            std::error_code gone;
            if (std::filesystem::read_symlink(entry, gone).string().starts_with("anon_inode:kvm-vcpu"))
                vcpu = std::stoi(entry.path().filename());
        }
        kvm_vcpu_events events {};
        QCOMPARE(::ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events), 0);
        events.flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
        events.triple_fault.pending = 1;
        QCOMPARE(::ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
        REQUIRE_OK(guest.vcpu->reset());
        REQUIRE_OK(guest.vcpu->setBootState({ .rip = 4096, .rsp = 0x8000 }));
        std::optional<VcpuExit> stopped;
        VcpuThread thread(*guest.vcpu, guest.ports, guest.memory, [&](VcpuExit const& exit) { stopped = exit; });
        thread.run();
        QVERIFY(guest.port.waitFor(1));
        thread.requestPark();
        thread.waitUntilParked();
        QVERIFY(!stopped);
    }

    void dirtyLogNamesThePagesThatWereWritten()
    {
        // mov byte [0x5000], 1; out dx, al; jmp $
        Guest guest(
            *m_kvm, { 0xba, 0x00, 0x01, 0x00, 0x00, 0xc6, 0x05, 0x00, 0x50, 0x00, 0x00, 0x01, 0xee, 0xeb, 0xfe });
        std::vector<std::uint64_t> bitmap;
        REQUIRE_OK(guest.vm->takeDirtyLog(guest.slot, bitmap));
        VcpuThread thread(*guest.vcpu, guest.ports, guest.memory, [](VcpuExit const&) {});
        thread.run();
        QVERIFY(guest.port.waitFor(1));
        REQUIRE_OK(guest.vm->takeDirtyLog(guest.slot, bitmap));
        // A page that is looked at first, as that of the code is, may be mapped for writing at once, and counts then.
        constexpr std::uint64_t code = 1u << 1, written = 1u << 5;
        QCOMPARE(bitmap.at(0) & ~code, written);
        REQUIRE_OK(guest.vm->takeDirtyLog(guest.slot, bitmap));
        QCOMPARE(bitmap.at(0), 0u);
    }

    void memoryIsNotedUntilThereIsAMachine()
    {
        using enum MemoryMapper::Access;
        using enum MemoryMapper::DirtyLog;
        auto const vm = std::make_unique<Vm>(*m_kvm);
        auto const ram = tests::must(MemoryBlock::create("ram", 1 << 20));
        auto const window = tests::must(MemoryBlock::create("window", 8192));
        auto const map = [&](GuestAddress address) { return vm->map(address, *window, 0, 8192, ReadWrite, On); };
        QCOMPARE(vm->fd(), -1);
        auto const slot = tests::must(vm->map(0, *ram, 0, ram->size(), ReadWrite, Off));
        QCOMPARE(map(0xff000).error().code, ErrorCode::AlreadyExists);
        // It moves, and lets the other one have its place.
        auto moved = tests::must(map(0x80000000));
        vm->unmap(moved);
        std::vector<std::uint64_t> bitmap { 1 };
        QCOMPARE(vm->takeDirtyLog(moved, bitmap).error().code, ErrorCode::NotFound);
        auto const other = tests::must(MemoryBlock::create("other", 4096));
        auto const inItsPlace = tests::must(vm->map(0x80000000, *other, 0, 4096, ReadOnly, Off));
        moved = tests::must(map(0x90000000));
        QVERIFY(slot != moved && slot != inItsPlace && moved != inItsPlace);
        REQUIRE_OK(vm->takeDirtyLog(moved, bitmap));
        QCOMPARE(bitmap, std::vector<std::uint64_t> { 0 });
        other->data()[16] = 0x5a;

        REQUIRE_OK(vm->open());
        REQUIRE_OK(vm->createInterruptControllers());
        REQUIRE_OK(vm->connect());
        auto const vcpu = tests::must(vm->createVcpu(
            0, cpuidFor(tests::must(cpuFeatures(CpuModel::Host, tests::must(m_kvm->supportedCpuid()))), 0, 1)));
        // mov al, [0x80000010]; mov [0x90001000], al; mov edx, 0x100; out dx, al; jmp $
        Bytes const code { 0xa0, 0x10, 0x00, 0x00, 0x80, 0xa2, 0x00, 0x10, 0x00, 0x90, 0xba, 0x00, 0x01, 0x00, 0x00,
            0xee, 0xeb, 0xfe };
        std::ranges::copy(code, ram->data() + 4096);
        REQUIRE_OK(vcpu->setBootState({ .rip = 4096, .rsp = 0x8000 }));
        Bus ports, memory;
        Recorder port;
        tests::must(ports.map(0x100, 1, port));
        VcpuThread thread(*vcpu, ports, memory, [](VcpuExit const&) {});
        thread.run();
        QVERIFY(port.waitFor(1));
        thread.requestPark();
        thread.waitUntilParked();
        QCOMPARE(port.written, Bytes({ 0x5a }));
        QCOMPARE(window->data()[4096], 0x5a);
        REQUIRE_OK(vm->takeDirtyLog(moved, bitmap));
        QCOMPARE(bitmap, std::vector<std::uint64_t> { 2 });
        QVERIFY(!vm->takeDirtyLog(slot, bitmap)); // whose writes nobody wanted to know
    }

    /// A guest that wants a card's ROM there does without, when it runs as when its state is loaded: before KVM can say
    /// so.
    void whereKvmHasPagesOfItsOwnIsNoPlace()
    {
        auto const vm = std::make_unique<Vm>(*m_kvm);
        auto const rom = tests::must(MemoryBlock::create("rom", 0x10000));
        auto const map = [&](GuestAddress address) {
            return vm->map(address, *rom, 0, 0x10000, MemoryMapper::Access::ReadOnly, MemoryMapper::DirtyLog::Off);
        };
        QCOMPARE(map(0xfee00000).error().code, ErrorCode::AlreadyExists);
        QCOMPARE(map(0xfeff0000).error().code, ErrorCode::AlreadyExists);
        REQUIRE_OK(map(0xfee10000));
        REQUIRE_OK(map(0xfefe0000));
        REQUIRE_OK(map(0xff000000));
    }

    void overlappingMemoryIsRefused()
    {
        Guest guest(*m_kvm, {});
        auto const block = MemoryBlock::create("other", 8192);
        REQUIRE_OK(block);
        QVERIFY(
            !guest.vm->map(0xff000, **block, 0, 8192, MemoryMapper::Access::ReadWrite, MemoryMapper::DirtyLog::Off));
        QVERIFY(!guest.vm->map(
            0x200000, **block, 4096, 8192, MemoryMapper::Access::ReadWrite, MemoryMapper::DirtyLog::Off));
        REQUIRE_OK(
            guest.vm->map(0x100000, **block, 0, 8192, MemoryMapper::Access::ReadOnly, MemoryMapper::DirtyLog::Off));
    }

    void chipsInTheKernelRoundTrip()
    {
        Guest guest(*m_kvm, {});
        KvmInterruptChips chips(*guest.vm);
        KvmPit pit(*guest.vm);
        auto changed = state::load<KvmInterruptChips::State>(chips.save());
        REQUIRE_OK(changed);
        changed->redirection[5] = 0x1000000000008031;
        changed->slave.imr = 0xfe;
        REQUIRE_OK(chips.load(state::save(*changed)));
        auto const back = state::load<KvmInterruptChips::State>(chips.save());
        REQUIRE_OK(back);
        QCOMPARE(back->redirection[5], std::uint64_t(0x1000000000008031));
        QCOMPARE(back->slave.imr, 0xfe);
        REQUIRE_OK(pit.load(pit.save()));
    }

    void theClockStandsStillInAPauseUnlessItCatchesUp()
    {
        Guest guest(*m_kvm, {});
        KvmClock clock(*guest.vm);
        auto const now
            = [&] { return std::chrono::nanoseconds(tests::must(state::load<KvmClock::State>(clock.save())).clock); };
        auto const wait = [](auto time) {
            for (auto const end = EventLoop::now() + time; EventLoop::now() < end;) { }
        };
        clock.pause();
        auto const paused = now();
        wait(50ms);
        QCOMPARE(now(), paused);
        auto const host = EventLoop::now();
        clock.resume();
        auto const passed = now() - paused; // asked first, for the host's goes on meanwhile
        QVERIFY(passed <= EventLoop::now() - host + 10ms);

        clock.pause();
        auto const again = now();
        wait(50ms);
        QCOMPARE(now(), again);
        clock.catchUp();
        clock.resume();
        QVERIFY(now() - again >= 40ms);
    }

    void doorbellReplacesAnExit()
    {
        // out dx, al to port 0x200 with value 7, then 1 to port 0x100
        Guest guest(*m_kvm,
            { 0xba, 0x00, 0x02, 0x00, 0x00, 0xb8, 0x07, 0x00, 0x00, 0x00, 0xee, 0xba, 0x00, 0x01, 0x00, 0x00, 0xb0,
                0x01, 0xee, 0xeb, 0xfe });
        auto const bell = makeEventFd();
        REQUIRE_OK(bell);
        REQUIRE_OK(guest.vm->add(DoorbellRegistry::Space::Port, 0x200, { 0, 1, 7, bell->get() }));
        VcpuThread thread(*guest.vcpu, guest.ports, guest.memory, [](VcpuExit const&) {});
        thread.run();
        QVERIFY(guest.port.waitFor(1));
        QCOMPARE(drainEventFd(bell->get()), std::uint64_t(1));
    }

    void baselineNamesWhatAHostLacks()
    {
        auto poor = *m_kvm->supportedCpuid();
        for (auto& entry : poor) {
            if (entry.function == 1)
                entry.ecx &= ~(1u << 13);
        }
        auto const refused = cpuFeatures(CpuModel::Baseline, poor);
        QVERIFY(!refused);
        QVERIFY(refused.error().detail.find("CX16") != std::string::npos);
        auto const rich = cpuFeatures(CpuModel::Host, *m_kvm->supportedCpuid());
        REQUIRE_OK(rich);
        REQUIRE_OK(checkFeatures(*rich, *m_kvm->supportedCpuid()));
        auto const moved = checkFeatures(*rich, poor);
        QVERIFY(!moved);
        QVERIFY(moved.error().detail.find("CX16") != std::string::npos);
    }
};

REGISTER_SUITE(VcpuTest);
#include "vcpu_test.moc"

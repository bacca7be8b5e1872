#include "tests/support/suite.h"
#include "vmm/kvm/step_over.h"

using namespace vmm;

namespace {

constexpr std::uint64_t allFlags = 0x8d5; // OF SF ZF AF PF CF

/// A processor at 1000h in the kernel's 64-bit code, with numbers in its registers that none of the instructions makes.
VcpuState longMode()
{
    VcpuState state;
    state.rip = 0x1000;
    state.cr0 = 0x80000011;
    state.cs.longMode = state.cs.present = true;
    state.rax = 0xaaaaaaaaaaaaaaaa;
    state.rbx = 0xbbbbbbbbbbbbbbbb;
    state.rcx = 0;
    state.rdx = 0xdddddddddddddddd;
    state.r9 = 0x9999999999999999;
    state.rflags = 2 | allFlags;
    state.xcr0 = 0x1200000007;
    state.xsave.assign(576, 0);
    state.events.interruptShadow = 1;
    return state;
}

VcpuState protectedMode()
{
    auto state = longMode();
    state.cs.longMode = false;
    state.cs.defaultSize = true;
    state.cr0 = 0x11;
    return state;
}

/// What stepOver() must make of it: only what `change` does, RIP behind the instruction, and no interrupt shadow.
bool stepsOver(VcpuState const& before, Bytes const& code, std::function<void(VcpuState&)> const& change = {})
{
    auto expected = before;
    expected.rip += code.size();
    expected.events.interruptShadow = 0;
    if (change)
        change(expected);
    auto padded = code;
    padded.resize(15, 0x90);
    auto found = before;
    return stepOver(found, padded) && found == expected;
}

bool refuses(VcpuState const& before, Bytes const& code)
{
    auto state = before;
    return !stepOver(state, code) && state == before;
}

}

/// Each instruction, its registers and its flags (Intel SDM, order number 325383, Vol. 2, "Instruction Set Reference").
class StepOverTest final : public QObject {
    Q_OBJECT

private slots:
    void counts_data();
    void counts();
    void countsOfEveryWidth();
    void countsInUserMode();
    void countsWithMemoryAreNotOurs();
    void checksum();
    void breakpoint();
    void softwareInterrupt();
    void interruptsOnlyInTheKernelAndWithNothingUnderWay();
    void alignmentCheckFlag();
    void monitorAndWait();
    void extendedControlRegister();
    void waitForTheFpu();
    void realModeIsNotOurs();
    void ripWrapsIn32Bits();
    void othersAreRefused();
    void codeThatEndsEarlyIsRefused();
};

void StepOverTest::counts_data()
{
    QTest::addColumn<int>("opcode");
    QTest::addColumn<quint64>("source");
    QTest::addColumn<quint64>("result");
    QTest::addColumn<quint64>("flags");
    constexpr quint64 zf = 0x40, cf = 0x01;
    QTest::newRow("popcnt 0") << 0xb8 << quint64(0) << quint64(0) << zf;
    QTest::newRow("popcnt 1") << 0xb8 << quint64(1) << quint64(1) << quint64(0);
    QTest::newRow("popcnt all") << 0xb8 << ~quint64(0) << quint64(64) << quint64(0);
    QTest::newRow("popcnt mixed") << 0xb8 << quint64(0x8000000000000101) << quint64(3) << quint64(0);
    QTest::newRow("tzcnt 0") << 0xbc << quint64(0) << quint64(64) << cf;
    QTest::newRow("tzcnt 1") << 0xbc << quint64(1) << quint64(0) << zf;
    QTest::newRow("tzcnt top") << 0xbc << quint64(0x8000000000000000) << quint64(63) << quint64(0);
    QTest::newRow("lzcnt 0") << 0xbd << quint64(0) << quint64(64) << cf;
    QTest::newRow("lzcnt 1") << 0xbd << quint64(1) << quint64(63) << quint64(0);
    QTest::newRow("lzcnt top") << 0xbd << quint64(0x8000000000000000) << quint64(0) << zf;
}

void StepOverTest::counts()
{
    QFETCH(int, opcode);
    QFETCH(quint64, source);
    QFETCH(quint64, result);
    QFETCH(quint64, flags);
    auto state = longMode();
    state.rcx = source;
    auto const code = static_cast<std::uint8_t>(opcode);
    QVERIFY(stepsOver(state, { 0xf3, 0x48, 0x0f, code, 0xc1 }, [&](VcpuState& s) { // REX.W: RAX from RCX
        s.rax = result;
        s.rflags = 2 | flags;
    }));
    // REX.R and REX.B reach the upper eight.
    state.r9 = source;
    QVERIFY(stepsOver(state, { 0xf3, 0x4d, 0x0f, code, 0xd1 }, [&](VcpuState& s) {
        s.r10 = result;
        s.rflags = 2 | flags;
    }));
}

void StepOverTest::countsOfEveryWidth()
{
    auto state = longMode();
    state.rcx = 0xffffffff00010000;
    QVERIFY(stepsOver(state, { 0xf3, 0x0f, 0xb8, 0xc1 }, [](VcpuState& s) { // 32 bits clear the upper half
        s.rax = 1;
        s.rflags = 2;
    }));
    QVERIFY(stepsOver(state, { 0x66, 0xf3, 0x0f, 0xb8, 0xc1 }, [](VcpuState& s) { // 16 bits leave the rest
        s.rax = 0xaaaaaaaaaaaa0000;
        s.rflags = 2 | 0x40;
    }));
    QVERIFY(stepsOver(state, { 0x66, 0xf3, 0x0f, 0xbd, 0xc1 }, [](VcpuState& s) {
        s.rax = 0xaaaaaaaaaaaa0010;
        s.rflags = 2 | 0x01;
    }));
    QVERIFY(stepsOver(state, { 0xf3, 0x0f, 0xbd, 0xc1 }, [](VcpuState& s) {
        s.rax = 15;
        s.rflags = 2;
    }));
    auto narrow = protectedMode();
    narrow.rcx = 0x00010100;
    QVERIFY(stepsOver(narrow, { 0xf3, 0x0f, 0xb8, 0xc1 }, [](VcpuState& s) {
        s.rax = 2;
        s.rflags = 2;
    }));
    narrow.cs.defaultSize = false; // 16-bit code
    QVERIFY(stepsOver(narrow, { 0xf3, 0x0f, 0xb8, 0xc1 }, [](VcpuState& s) {
        s.rax = 0xaaaaaaaaaaaa0001;
        s.rflags = 2;
    }));
}

void StepOverTest::countsInUserMode()
{
    auto state = longMode();
    state.cs.dpl = state.ss.dpl = 3;
    state.rcx = 7;
    QVERIFY(stepsOver(state, { 0xf3, 0x48, 0x0f, 0xb8, 0xc1 }, [](VcpuState& s) {
        s.rax = 3;
        s.rflags = 2;
    }));
}

void StepOverTest::countsWithMemoryAreNotOurs()
{
    QVERIFY(refuses(longMode(), { 0xf3, 0x48, 0x0f, 0xb8, 0x01 })); // from [RCX]
    QVERIFY(refuses(longMode(), { 0x48, 0x0f, 0xb8, 0xc1 }));       // no F3: another instruction
    QVERIFY(refuses(longMode(), { 0x48, 0x0f, 0xbc, 0xc1 }));       // BSF
}

/// The check value that each catalogue of such sums has of CRC-32C: of "123456789" E3069283h, where all bits are turned
/// over before and after.
void StepOverTest::checksum()
{
    auto state = longMode();
    state.rax = 0xaaaaaaaaffffffff;
    state.r9 = loadLittle<std::uint64_t>(vmm::bytesOf("12345678"));
    state.rcx = 0x3900; // CH: '9'
    auto const step = [&](Bytes const& code, std::uint64_t expected) {
        bool const isRight = stepsOver(state, code, [&](VcpuState& s) { s.rax = expected; });
        state.rax = expected;
        return isRight;
    };
    auto const whole = state;
    QVERIFY(step({ 0xf2, 0x49, 0x0f, 0x38, 0xf1, 0xc1 }, ~0x6087809au)); // RAX, R9
    QVERIFY(step({ 0xf2, 0x0f, 0x38, 0xf0, 0xc5 }, ~0xe3069283u));       // EAX, CH
    // In parts of four, two and one byte, the last one of a register that only a REX prefix names.
    state = whole;
    state.rsi = 0x34333231;
    state.rdi = 0x3635;
    QVERIFY(stepOver(state, Bytes { 0xf2, 0x0f, 0x38, 0xf1, 0xc6 }));       // EAX, ESI
    QVERIFY(stepOver(state, Bytes { 0x66, 0xf2, 0x0f, 0x38, 0xf1, 0xc7 })); // EAX, DI
    for (std::uint8_t const byte : { '7', '8', '9' }) {
        state.rsi = byte;
        QVERIFY(stepOver(state, Bytes { 0xf2, 0x40, 0x0f, 0x38, 0xf0, 0xc6 })); // EAX, SIL
    }
    QCOMPARE(state.rax, quint64(~0xe3069283u));
    QCOMPARE(state.rflags, whole.rflags);
    QVERIFY(refuses(longMode(), { 0xf2, 0x0f, 0x38, 0xf1, 0x01 })); // of memory
    QVERIFY(refuses(longMode(), { 0x0f, 0x38, 0xf1, 0xc1 }));       // no F2: MOVBE
    QVERIFY(refuses(longMode(), { 0xf2, 0x0f, 0x38, 0xf2, 0xc1 })); // another one
    QVERIFY(refuses(longMode(), { 0xf2, 0xcc }));
    QVERIFY(refuses(longMode(), { 0xf2, 0xf3, 0x48, 0x0f, 0xb8, 0xc1 })); // which of the two would count
}

void StepOverTest::breakpoint()
{
    QVERIFY(stepsOver(longMode(), { 0xcc }, [](VcpuState& s) {
        s.events.exceptionInjected = 1;
        s.events.exceptionNumber = 3;
    }));
    QVERIFY(stepsOver(protectedMode(), { 0xcd, 0x03 }, [](VcpuState& s) {
        s.events.exceptionInjected = 1;
        s.events.exceptionNumber = 3;
    }));
}

void StepOverTest::softwareInterrupt()
{
    QVERIFY(stepsOver(longMode(), { 0xcd, 0x80 }, [](VcpuState& s) {
        s.events.interruptInjected = 1;
        s.events.interruptNumber = 0x80;
        s.events.interruptSoft = 1;
    }));
}

void StepOverTest::interruptsOnlyInTheKernelAndWithNothingUnderWay()
{
    auto user = longMode();
    user.cs.dpl = user.ss.dpl = 3;
    QVERIFY(refuses(user, { 0xcc }));
    QVERIFY(refuses(user, { 0xcd, 0x80 }));
    for (auto member :
        { &VcpuEvents::exceptionInjected, &VcpuEvents::exceptionPending, &VcpuEvents::interruptInjected }) {
        auto state = longMode();
        state.events.*member = 1;
        QVERIFY(refuses(state, { 0xcc }));
        QVERIFY(refuses(state, { 0xcd, 0x80 }));
    }
}

void StepOverTest::alignmentCheckFlag()
{
    constexpr std::uint64_t ac = 1 << 18;
    auto state = longMode();
    QVERIFY(stepsOver(state, { 0x0f, 0x01, 0xcb }, [](VcpuState& s) { s.rflags |= ac; }));
    state.rflags |= ac;
    QVERIFY(stepsOver(state, { 0x0f, 0x01, 0xca }, [](VcpuState& s) { s.rflags &= ~ac; }));
    state.ss.dpl = 3;
    QVERIFY(refuses(state, { 0x0f, 0x01, 0xca }));
    QVERIFY(refuses(state, { 0x0f, 0x01, 0xcb }));
}

void StepOverTest::monitorAndWait()
{
    QVERIFY(stepsOver(longMode(), { 0x0f, 0x01, 0xc8 }));
    QVERIFY(stepsOver(longMode(), { 0x0f, 0x01, 0xc9 }));
    auto user = longMode();
    user.ss.dpl = 3;
    QVERIFY(refuses(user, { 0x0f, 0x01, 0xc8 }));
}

void StepOverTest::extendedControlRegister()
{
    auto state = longMode();
    state.rcx = 0xffffffff00000000; // ECX counts
    QVERIFY(stepsOver(state, { 0x0f, 0x01, 0xd0 }, [](VcpuState& s) {
        s.rax = 0x7;
        s.rdx = 0x12;
    }));
    state.rcx = 1;
    QVERIFY(refuses(state, { 0x0f, 0x01, 0xd0 }));
}

void StepOverTest::waitForTheFpu()
{
    auto state = longMode();
    QVERIFY(stepsOver(state, { 0x9b }));
    state.cr0 |= 1 << 3; // TS alone
    QVERIFY(stepsOver(state, { 0x9b }));
    state.cr0 |= 1 << 1; // and MP: #NM comes first
    QVERIFY(refuses(state, { 0x9b }));
    state = longMode();
    state.xsave[2] = 0x80; // FSW.ES: #MF comes first
    QVERIFY(refuses(state, { 0x9b }));
    state.xsave.clear();
    QVERIFY(refuses(state, { 0x9b }));
}

void StepOverTest::realModeIsNotOurs()
{
    auto state = protectedMode();
    state.cr0 = 0x10;
    QVERIFY(refuses(state, { 0xcc }));
    QVERIFY(refuses(state, { 0x9b }));
}

void StepOverTest::ripWrapsIn32Bits()
{
    auto state = protectedMode();
    state.rip = 0xffffffff;
    QVERIFY(stepsOver(state, { 0x9b }, [](VcpuState& s) { s.rip = 0; }));
    state = longMode();
    state.rip = 0xffffffff;
    QVERIFY(stepsOver(state, { 0x9b }, [](VcpuState& s) { s.rip = 0x100000000; }));
}

void StepOverTest::othersAreRefused()
{
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
        if (opcode == 0x9b || opcode == 0xcc || opcode == 0xcd || opcode == 0x0f || opcode == 0x66 || opcode == 0xf2
            || opcode == 0xf3 || (opcode & 0xf0) == 0x40 || opcode == 0x2e || opcode == 0x36 || opcode == 0x3e
            || opcode == 0x26 || opcode == 0x64 || opcode == 0x65)
            continue;
        QVERIFY2(refuses(longMode(), { static_cast<std::uint8_t>(opcode), 0xc1, 0xc1, 0xc1 }),
            qPrintable(QString::number(opcode, 16)));
    }
    QVERIFY(refuses(longMode(), { 0xf0, 0xcc }));       // LOCK
    QVERIFY(refuses(longMode(), { 0x0f, 0x01, 0xd1 })); // XSETBV
    QVERIFY(refuses(longMode(), { 0x0f, 0xc7, 0x0e })); // CMPXCHG16B
}

void StepOverTest::codeThatEndsEarlyIsRefused()
{
    for (Bytes const& code : { Bytes {}, Bytes { 0xf3 }, Bytes { 0xf3, 0x48 }, Bytes { 0xf3, 0x48, 0x0f },
             Bytes { 0xf3, 0x48, 0x0f, 0xb8 }, Bytes { 0xf2, 0x0f, 0x38 }, Bytes { 0xf2, 0x0f, 0x38, 0xf1 },
             Bytes { 0xcd }, Bytes { 0x0f }, Bytes { 0x0f, 0x01 }, Bytes(15, 0x66) })
        QVERIFY(refuses(longMode(), code));
}

REGISTER_SUITE(StepOverTest);
#include "step_over_test.moc"

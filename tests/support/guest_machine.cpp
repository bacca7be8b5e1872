#include "tests/support/guest_machine.h"

#include "tests/images/qemu_tools.h"
#include "tests/support/open_timeline.h"
#include "tests/support/patience.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/image.h"
#include "vmm/state/section.h"

#include <QDir>
#include <QFile>
#include <QThread>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

namespace tests {

using namespace vmm;

namespace {

/// The same each time.
bool shuffleParts(QString const& path)
{
    QFile file(path);
    if (!file.open(QIODevice::ReadWrite))
        return false;
    auto state = Json::parse(file.readAll().toStdString(), nullptr, false);
    auto& parts = state["parts"];
    std::shuffle(parts.begin(), parts.end(), std::mt19937(unsigned(parts.size())));
    auto const text = QByteArray::fromStdString(state.dump());
    return file.resize(0) && file.seek(0) && file.write(text) == text.size();
}

}

GuestMachine::GuestMachine(QString const& elf, std::string const& options)
{
    config.uuid = makeUuid();
    config.name = "guest";
    config.memoryMiB = 256;
    config.firmware = Firmware::None;
    config.kernel = KernelConfig { (QString(CHRONOVISOR_BINARY) + "/" + elf).toStdString(), {}, options };
    config.serials = { { "serial0", false }, { "serial1", false } };
    config.displays.resize(1);
    config.tablet = true;
}

GuestMachine::~GuestMachine()
{
    end();
}

void GuestMachine::end()
{
    if (!m_machine)
        return;
    auto const disks = m_machine->config().disks;
    bool const losesPower = m_machine->state() != RunState::Off;
    m_machine.reset();
    if (imagesAreJudged)
        QemuTools::judge(disks, losesPower ? QemuTools::Leaks::Allowed : QemuTools::Leaks::No);
}

QString GuestMachine::makeFile(QString const& name, std::uint64_t size) const
{
    QFile file(diskFolder.isEmpty() ? m_folder.filePath(name) : diskFolder + "/" + name);
    if (!file.open(QIODevice::WriteOnly) || !file.resize(qint64(size)))
        return {};
    return file.fileName();
}

void GuestMachine::addDisk(DiskBus bus, std::uint64_t size)
{
    addDiskAt(makeFile(QString("disk%1.img").arg(config.disks.size()), size), bus);
}

void GuestMachine::addDiskAt(QString const& path, DiskBus bus)
{
    auto const id = "disk" + std::to_string(config.disks.size());
    auto& disk = config.disks.emplace_back();
    disk.id = id;
    disk.path = path.toStdString();
    disk.bus = bus;
}

void GuestMachine::addQcow2Disk(DiskBus bus, std::uint64_t size)
{
    auto const id = "disk" + std::to_string(config.disks.size());
    auto const folder = diskFolder.isEmpty() ? m_folder.path() : diskFolder;
    auto const path = folder.toStdString() + "/" + id + ".qcow2";
    must(createImage(path, { .size = size }));
    config.disks.push_back({ id, path, DiskFormat::Qcow2, bus, false, 1 });
}

Machine::Listener GuestMachine::listener()
{
    return [this](Event const& event) {
        std::scoped_lock const lock(m_mutex);
        if (auto const* changed = std::get_if<event::StateChanged>(&event)) {
            m_state = changed->state;
            if (changed->reason)
                m_reason = QString::fromStdString(changed->reason->message());
        } else if (std::holds_alternative<event::GuestRebooted>(event)) {
            ++m_reboots;
        } else if (std::holds_alternative<event::Progress>(event)) {
            if (auto const told = std::exchange(atFirstProgress, {}))
                told();
        } else if (auto const* kept = std::get_if<event::MomentKept>(&event)) {
            m_moment = kept->id;
            m_stoodStill.push_back(std::chrono::duration<double, std::milli>(kept->stoodStill).count());
        }
    };
}

Result<> GuestMachine::create()
{
    end();
    m_position = 0;
    m_machine = TRY(Machine::create(config, listener(), cpu));
    return {};
}

Result<> GuestMachine::start()
{
    TRY(create());
    return m_machine->call(command::Start {});
}

Result<> GuestMachine::suspendAndRestore(Then then)
{
    auto const directory = m_folder.filePath("suspended");
    QDir().mkpath(directory);
    TRY(m_machine->call(command::Suspend { directory.toStdString(), true }));
    if (!shuffleParts(directory + "/state.json"))
        return fail(ErrorCode::Internal, "the parts of the state could not be shuffled");
    return restore(then);
}

Result<> GuestMachine::restore(Then then)
{
    takeOutput();
    end();
    m_machine = TRY(Machine::restore(m_folder.filePath("suspended").toStdString(), listener()));
    m_position = 0; // a new machine's console begins anew
    if (then == Then::StayPaused)
        return {};
    return m_machine->call(command::Resume {});
}

std::shared_ptr<timeline::Timeline> GuestMachine::timeline()
{
    if (!m_timeline)
        m_timeline = openTimeline(m_folder.filePath("timeline").toStdString());
    return m_timeline;
}

Result<std::string> GuestMachine::keepMoment(std::string name)
{
    timeline::NewMoment what;
    what.name = std::move(name);
    TRY(m_machine->call(command::KeepMoment { timeline(), std::move(what) }));
    std::scoped_lock const lock(m_mutex);
    return m_moment;
}

Result<> GuestMachine::endMoment(std::string const& moment)
{
    TRY(timeline()->purge(moment));
    return m_machine->call(command::TidyDisks { timeline() });
}

Result<> GuestMachine::goTo(std::string const& moment, MemoryWay way)
{
    takeOutput();
    m_rest.clear(); // cut off in the middle of a line, which the one that comes does not end
    end();
    m_machine = TRY(Machine::goTo(timeline(), moment, listener(), way));
    m_position = 0;
    return m_machine->call(command::Resume {});
}

std::vector<double> GuestMachine::stoodStill()
{
    std::scoped_lock const lock(m_mutex);
    return m_stoodStill;
}

void GuestMachine::takeOutput()
{
    auto* const console = m_machine ? m_machine->console("serial0") : nullptr;
    if (!console)
        return;
    Bytes bytes;
    m_position = console->readFrom(m_position, bytes);
    m_rest += QString::fromLatin1(reinterpret_cast<char const*>(bytes.data()), qsizetype(bytes.size()));
    for (qsizetype end; (end = m_rest.indexOf('\n')) >= 0; m_rest.remove(0, end + 1)) {
        auto const line = m_rest.left(end).trimmed();
        m_lines << line;
        if (auto const found = onNote.find(line.startsWith("NOTE ") ? line.mid(5) : QString()); found != onNote.end())
            found->second(*this);
    }
}

bool GuestMachine::wait(std::chrono::seconds limit, std::function<bool()> const& done)
{
    auto const end = std::chrono::steady_clock::now() + limit * patience();
    while (true) {
        takeOutput();
        if (done()) {
            takeOutput(); // all that was said before
            return true;
        }
        if (std::chrono::steady_clock::now() > end)
            return false;
        QThread::msleep(5);
    }
}

bool GuestMachine::waitForLine(QString const& beginning, std::chrono::seconds limit)
{
    return wait(limit, [&] {
        return m_rest.startsWith(beginning) || std::any_of(m_lines.begin(), m_lines.end(), [&](auto const& line) {
            return line.startsWith(beginning);
        });
    });
}

bool GuestMachine::waitForWholeLine(QString const& beginning, std::chrono::seconds limit)
{
    return wait(limit, [&] {
        return std::any_of(
            m_lines.begin(), m_lines.end(), [&](auto const& line) { return line.startsWith(beginning); });
    });
}

bool GuestMachine::waitForState(RunState state, std::chrono::seconds limit)
{
    return wait(limit, [&] {
        std::scoped_lock const lock(m_mutex);
        return m_state == state;
    });
}

bool GuestMachine::waitForReboot(std::chrono::seconds limit)
{
    return wait(limit, [&] {
        std::scoped_lock const lock(m_mutex);
        return m_reboots > 0;
    });
}

void GuestMachine::type(std::string_view console, std::string_view text)
{
    if (auto* const found = m_machine->console(console))
        found->type({ reinterpret_cast<std::uint8_t const*>(text.data()), text.size() });
}

void GuestMachine::pressKey(std::uint16_t code)
{
    for (bool const pressed : { true, false })
        m_machine->post(command::SendInput { KeyInput { code, pressed } });
}

QString GuestMachine::said(std::string_view console)
{
    Bytes bytes;
    if (auto* const found = m_machine->console(console))
        found->readFrom(0, bytes);
    return QString::fromLatin1(reinterpret_cast<char const*>(bytes.data()), qsizetype(bytes.size()));
}

bool GuestMachine::ask(std::string const& command, QString const& answer)
{
    type("serial0", "\r");
    takeOutput();
    m_rest.clear();
    clearLines();
    type("serial0", command + "\r");
    return waitForLine(answer, std::chrono::seconds(20));
}

QString GuestMachine::reason()
{
    std::scoped_lock const lock(m_mutex);
    return m_reason;
}

}

#include "app/control/control_client.h"
#include "app/library/library_private.h"
#include "app/store/moment_bundles.h"

#include <QDir>

namespace app {

namespace {

constexpr std::uint64_t trashSeconds = std::uint64_t(30) * 24 * 3600;

}

Library::Library(QString const& root, MachineFactory factory, QObject* parent)
    : QObject(parent),
      m_store(root.isEmpty() ? MachineStore::defaultRoot() : root.toStdString()),
      m_factory(std::move(factory)),
      m_private(std::make_unique<Private>(*this))
{
    QDir().mkpath(text(m_store.machinesDirectory()));
    // Several changes of one moment (a new machine, a suspend) are one scan.
    m_private->scanSoon.setSingleShot(true);
    m_private->scanSoon.setInterval(50);
    connect(&m_private->scanSoon, &QTimer::timeout, this, [this] { m_private->scan(); });
    auto const soon = [this] { m_private->scanSoon.start(); };
    connect(&m_private->watcher, &QFileSystemWatcher::directoryChanged, this, soon);
    connect(&m_private->watcher, &QFileSystemWatcher::fileChanged, this, soon);
    // A lock that is let go tells nobody.
    m_private->ownerCheck.setInterval(2000);
    connect(&m_private->ownerCheck, &QTimer::timeout, this, [this] {
        for (auto const& id : ids()) {
            if (entry(id)->otherOwner) {
                m_private->scan();
                return;
            }
        }
    });
    m_private->ownerCheck.start();
    m_private->take(m_private->list()); // here, so that the window opens with what there is
    m_private->onCopier(
        [this, goesOn = m_private->telling({}, m_private->emptyingCancelled)] {
            m_store.sweepHalfMade();
            return m_store.emptyTrash(trashSeconds, goesOn);
        },
        [](vmm::Result<> const& emptied) {
            if (!emptied)
                vmm::log(vmm::LogLevel::Warning, "library", "the trash: {}", emptied.error().message());
        });
}

Library::~Library()
{
    m_private->alive->store(nullptr);
    m_private->closing.reset();
    cancelCopies();
    cancelEmptying();
    m_private->asker.reset();
    m_private->worker.reset();
    m_private->copier.reset();
    m_private->writer.reset(); // when all is written
    m_private->members.clear();
}

QStringList Library::ids() const
{
    std::vector<Private::Member const*> sorted;
    for (auto const& [id, member] : m_private->members)
        sorted.push_back(&member);
    std::sort(sorted.begin(), sorted.end(), [](auto const* left, auto const* right) {
        auto const order = QString::localeAwareCompare(text(left->stored.config.name), text(right->stored.config.name));
        return order != 0 ? order < 0 : left->stored.id < right->stored.id;
    });
    QStringList ids;
    for (auto const* member : sorted)
        ids << text(member->stored.id);
    return ids;
}

std::optional<LibraryEntry> Library::entry(QString const& id) const
{
    auto const found = m_private->members.find(id);
    if (found == m_private->members.end())
        return std::nullopt;
    auto const& stored = found->second.stored;
    LibraryEntry entry { id, text(stored.config.name), text(stored.directory), stored.problem, {} };
    auto const* its = found->second.session.get();
    if (stored.owner && *stored.owner != QCoreApplication::applicationPid()
        && !(its != nullptr && isInMemory(its->state())))
        entry.otherOwner = *stored.owner;
    return entry;
}

bool Library::isTaken(QString const& name, QString const& besides) const
{
    return std::ranges::any_of(m_private->members,
        [&](auto const& member) { return member.first != besides && text(member.second.stored.config.name) == name; });
}

QString Library::freeName(QString const& wanted) const
{
    auto name = wanted;
    for (int number = 2; isTaken(name); ++number)
        name = QStringLiteral("%1 %2").arg(wanted).arg(number);
    return name;
}

VmSession* Library::session(QString const& id) const
{
    auto const found = m_private->members.find(id);
    return found == m_private->members.end() ? nullptr : found->second.session.get();
}

vmm::VmConfig Library::config(QString const& id) const
{
    auto const found = m_private->members.find(id);
    return found == m_private->members.end() ? vmm::VmConfig {} : found->second.stored.config;
}

std::vector<std::shared_ptr<MachineRunner>> Library::runners() const
{
    std::vector<std::shared_ptr<MachineRunner>> all;
    for (auto const& [id, member] : m_private->members) {
        if (member.runner)
            all.push_back(member.runner);
    }
    return all;
}

void Library::create(MachineRequest request, Done<QString> done)
{
    m_private->inBackground(
        [this, request = std::move(request)] { return m_store.create(request); }, m_private->whenMade(std::move(done)));
}

void Library::clone(QString const& id, QString const& name, Done<QString> done, std::function<void(double)> progress)
{
    m_private->copy([this, id = id.toStdString(), name = name.toStdString()](
                        auto const& tell) { return m_store.clone(id, name, tell); },
        std::move(done), std::move(progress));
}

void Library::importMoment(QString const& path, Done<QString> done, std::function<void(double)> progress)
{
    auto const give = [this, done = std::move(done)](vmm::Result<QString> const& id) {
        auto const made = id ? entry(*id) : std::nullopt;
        if (!made || !isTaken(made->name, *id))
            return done(id);
        rename(*id, freeName(made->name), [done, id](vmm::Result<> const& renamed) {
            if (!renamed) // it is there all the same, under a name that another one has
                vmm::log(vmm::LogLevel::Warning, "library", "{}: {}", id->toStdString(), renamed.error().message());
            done(id);
        });
    };
    m_private->copy(
        [this, path = path.toStdString()](auto const& tell) -> vmm::Result<StoredMachine> {
            return importFrom(m_store, path, {}, m_factory.checkHost, tell);
        },
        give, std::move(progress));
}

void Library::cancelCopy()
{
    if (!m_private->copies.empty())
        *m_private->copies.front() = true;
}

void Library::cancelCopies()
{
    for (auto const& one : m_private->copies)
        *one = true;
}

void Library::fork(QString const& id, ForkPoint const& point, QString const& name, Done<QString> done)
{
    auto* original = session(id);
    if (original == nullptr)
        return done(vmm::fail(vmm::ErrorCode::NotFound, "there is no machine " + id.toStdString()));
    forkMachine(*original->runner(), point, name.toStdString(),
        [this, done = std::move(done), guard = m_private->alive](vmm::Result<StoredMachine> const& made) {
            auto const outcome = made ? vmm::Result<QString>(text(made->id)) : vmm::fail(made.error());
            QMetaObject::invokeMethod(
                this,
                [this, done, outcome, guard] {
                    if (guard->load() == nullptr)
                        return;
                    if (!outcome)
                        return done(outcome);
                    m_private->scan([done, outcome] { done(outcome); });
                },
                Qt::QueuedConnection);
        });
}

void Library::remove(QString const& id, Done<void> done)
{
    m_private->write([this, id = id.toStdString()] { return m_store.remove(id); }, std::move(done));
}

void Library::listRemoved(Done<std::vector<RemovedMachine>> done)
{
    m_private->inBackground(
        [this] { return vmm::Result<std::vector<RemovedMachine>>(m_store.removed()); }, std::move(done));
}

void Library::bringBack(QString const& place, Done<void> done)
{
    m_private->write([this, place = place.toStdString()] { return m_store.restoreRemoved(place); }, std::move(done));
}

void Library::lastPicture(QString const& id, Done<Picture> done)
{
    m_private->inBackground(
        [path = m_store.thumbnailOf(id.toStdString())]() -> vmm::Result<Picture> {
            auto const file = readWholeFile(path, 1u << 24);
            if (!file)
                return Picture {};                      // it has never run
            constexpr std::uint32_t longestSide = 4096; // it is a small one
            return decodePng({ reinterpret_cast<std::uint8_t const*>(file->data()), file->size() }, longestSide);
        },
        std::move(done));
}

void Library::diskUsage(QString const& id, Done<quint64> done)
{
    m_private->inBackground(
        [this, id = id.toStdString()] { return vmm::Result<quint64>(m_store.diskUsage(id)); }, std::move(done));
}

void Library::trashUsage(Done<quint64> done)
{
    m_private->inBackground([this] { return vmm::Result<quint64>(m_store.trashUsage()); }, std::move(done));
}

void Library::emptyTrash(std::vector<RemovedMachine> those, Done<void> done, std::function<void(double)> progress)
{
    m_private->onCopier(
        [this, those = std::move(those), tell = m_private->telling(std::move(progress), m_private->emptyingCancelled)] {
            return m_store.emptyTrash(those, tell);
        },
        std::move(done));
}

void Library::cancelEmptying()
{
    std::exchange(m_private->emptyingCancelled, std::make_shared<std::atomic<bool>>(false))->store(true);
}

void Library::advise(QString const& path, Done<Advice> done, std::optional<QString> const& system)
{
    auto chosen = system ? std::optional(system->toStdString()) : std::nullopt;
    m_private->inBackground(
        [this, path = path.toStdString(), system = std::move(chosen)]() -> vmm::Result<Advice> {
            Advice advice;
            advice.host = app::inspectHost(m_store.machinesDirectory());
            advice.medium = TRY(m_private->mediaAdvisor().recognise(path));
            advice.proposal = m_private->mediaAdvisor().propose(advice.medium, advice.host, system);
            return advice;
        },
        std::move(done));
}

void Library::listSystems(Done<std::vector<System>> done)
{
    m_private->inBackground(
        [this] { return vmm::Result<std::vector<System>>(m_private->mediaAdvisor().systems()); }, std::move(done));
}

void Library::inspectHost(Done<HostReport> done)
{
    m_private->inBackground(
        [this] { return vmm::Result<HostReport>(app::inspectHost(m_store.machinesDirectory())); }, std::move(done));
}

void Library::suspendElsewhere(QString const& id, Done<void> done)
{
    // What it tells of itself meanwhile shows that it lives; a large memory is made durable in silence.
    static constexpr std::chrono::minutes silence(1);
    m_private->on(
        m_private->asker, "library asker",
        [id = id.toStdString(), guard = m_private->alive]() -> vmm::Result<> {
            auto const isWanted = [guard] { return guard->load() != nullptr; };
            auto client
                = TRY(control::connectToOwner(control::runtimeDirectory(), id, control::Idle::LeftOut, isWanted));
            TRY(client.call("events.subscribe", control::Json::object(), control::hostPatience));
            TRY(client.call("machine.suspend", { { "machine", id } }, silence));
            return {};
        },
        std::move(done));
}

QStringList Library::inMemory() const
{
    QStringList found;
    for (auto* session : m_private->sessionsInMemory())
        found << session->id();
    return found;
}

void Library::suspendAll(Done<void> done)
{
    close(Closing::Way::Suspend, 0, std::move(done));
}

void Library::shutDownAll(int seconds, Done<void> done, std::function<void(int)> left)
{
    close(Closing::Way::ShutDown, seconds, std::move(done), std::move(left));
}

void Library::close(Closing::Way way, int seconds, Done<void> done, std::function<void(int)> left)
{
    cancelClosing();
    std::vector<std::shared_ptr<MachineRunner>> runners;
    for (auto* session : m_private->sessionsInMemory())
        runners.push_back(session->runner());
    m_private->closing = std::make_unique<Closing>(runners, way, seconds);
    connect(m_private->closing.get(), &Closing::finished, this,
        [this, done = std::move(done)](vmm::Result<> const& outcome) {
            m_private->closing.release()->deleteLater();
            done(outcome);
        });
    if (left)
        connect(m_private->closing.get(), &Closing::secondsLeft, this, std::move(left));
}

void Library::cancelClosing()
{
    if (m_private->closing)
        m_private->closing->cancel();
    m_private->closing.reset();
}

}

#include "moc_library.cpp"

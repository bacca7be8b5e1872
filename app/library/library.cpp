#include "app/library/library.h"

#include "app/control/control_client.h"
#include "app/store/moment_bundles.h"
#include "app/store/whole_file.h"
#include "app/usb/usb_rule_store.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/log.h"
#include "vmm/base/unique_fd.h"

#include <QCoreApplication>
#include <QDir>
#include <QElapsedTimer>
#include <QFileInfo>
#include <QFileSystemWatcher>
#include <QPointer>
#include <QTimer>
#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <future>
#include <set>

namespace app {

namespace {

constexpr std::uint64_t trashSeconds = std::uint64_t(30) * 24 * 3600;

QString text(std::string const& utf8)
{
    return QString::fromStdString(utf8);
}

}

struct Library::Private {
    struct Member {
        StoredMachine stored;
        std::shared_ptr<MachineRunner> runner;
        std::unique_ptr<VmSession> session;
        ScreenSession* screen = nullptr; // the first one, of a machine in memory
        QElapsedTimer pictureKept;       // since the last picture was written to disk
    };

    Library& library;
    MachineStore& store;
    MachineFactory const& factory;
    std::map<QString, Member> members;
    QFileSystemWatcher watcher;
    QTimer scanSoon, ownerCheck;
    bool isScanning = false, scanAgain = false;
    std::unique_ptr<Closing> closing; // under way
    /// Of all copies that were asked for since one was cancelled last.
    std::shared_ptr<std::atomic<bool>> copiesCancelled = std::make_shared<std::atomic<bool>>(false);
    std::atomic<bool> isClosing { false };
    /// Taken away when the library goes, so that no answer reaches it afterwards.
    std::shared_ptr<std::atomic<Library*>> alive = std::make_shared<std::atomic<Library*>>(nullptr);
    std::unique_ptr<HostUsbWatch> hostUsb;
    std::unique_ptr<MediaAdvisor> advisor; // the worker's
    std::set<std::string> withRunner;      // the writer's: the machines that have one, as far as it has listed them
    // Last: they end before what they use. What takes long keeps neither a change nor who looks waiting.
    std::unique_ptr<vmm::LoopThread> worker, copier, writer, asker;

    explicit Private(Library& owner) : library(owner), store(owner.m_store), factory(owner.m_factory)
    {
        alive->store(&owner);
    }

    /// `work` on the worker, and `done` with what it returned back here.
    template<typename Work, typename Answer>
    void inBackground(Work work, Answer done)
    {
        on(worker, "library", std::move(work), std::move(done));
    }

    /// The same for what takes as long as disks are large.
    template<typename Work, typename Answer>
    void onCopier(Work work, Answer done)
    {
        on(copier, "library copier", std::move(work), std::move(done));
    }

    /// Hears of a copy on its thread, and passes it on; false when copies are cancelled that were asked for by now.
    MachineStore::Progress tellingCopy(std::function<void(double)> progress)
    {
        return [this, cancelled = copiesCancelled, progress = std::move(progress), guard = alive](double fraction) {
            if (progress) {
                QMetaObject::invokeMethod(
                    &library,
                    [progress, fraction, guard] {
                        if (guard->load() != nullptr)
                            progress(fraction);
                    },
                    Qt::QueuedConnection);
            }
            return !cancelled->load();
        };
    }

    /// `done` when the machine that was made is one of ours.
    std::function<void(vmm::Result<StoredMachine> const&)> whenMade(Done<QString> done)
    {
        return [this, done = std::move(done)](vmm::Result<StoredMachine> const& made) {
            if (!made)
                return done(vmm::fail(made.error()));
            scan([done, id = text(made->id)] { done(id); });
        };
    }

    /// Of emptying the trash: what a closing library leaves is gone on with the next time.
    MachineStore::Progress untilClosing()
    {
        return [this](double) { return !isClosing; };
    }

    /// What is on the disk now, and what of it can be watched. Each is taken over, in its order.
    struct Listing {
        std::vector<StoredMachine> machines;
        std::map<std::string, std::shared_ptr<MachineRunner>> runners; // of machines that had none: they read the disk
        QStringList paths;
    };
    Listing list()
    {
        Listing listing { store.list(), {}, { text(store.machinesDirectory()) } };
        std::set<std::string> before;
        std::swap(before, withRunner);
        for (auto const& machine : listing.machines) {
            if (!machine.problem && !before.contains(machine.id))
                listing.runners[machine.id]
                    = std::make_shared<MachineRunner>(machine.config, store.placesOf(machine.id), factory);
            if (!machine.problem || before.contains(machine.id))
                withRunner.insert(machine.id);
            listing.paths << text(machine.directory);
            for (auto const* name : { "/machine.lock", "/machine.json", "/state" }) {
                if (auto const path = text(machine.directory + name); QFileInfo::exists(path))
                    listing.paths << path;
            }
        }
        return listing;
    }

    /// A change of a machine's file, after those before it.
    template<typename Work>
    void write(Work work, Done<void> done)
    {
        struct Written {
            vmm::Result<> outcome;
            Listing listing;
        };
        onWriter(
            [this, work = std::move(work)]() -> vmm::Result<Written> {
                auto outcome = work();
                return Written { std::move(outcome), list() };
            },
            [this, done = std::move(done)](vmm::Result<Written> written) {
                if (!written)
                    return done(vmm::fail(written.error()));
                take(std::move(written->listing));
                done(std::move(written->outcome));
            });
    }

    /// The writer reads too: what it finds has all changes that were asked for before.
    template<typename Work, typename Answer>
    void onWriter(Work work, Answer done)
    {
        on(writer, "library writer", std::move(work), std::move(done));
    }

    template<typename Work, typename Answer>
    void on(std::unique_ptr<vmm::LoopThread>& thread, char const* name, Work work, Answer done)
    {
        if (!thread) {
            auto started = vmm::LoopThread::start(name);
            if (!started)
                return done(vmm::fail(started.error()));
            thread = std::move(*started);
        }
        thread->loop().post([this, work = std::move(work), done = std::move(done), guard = alive] {
            auto outcome = std::make_shared<decltype(work())>(work());
            // The destructor ends the worker before the object is gone: `library` is there to post to.
            QMetaObject::invokeMethod(
                &library,
                [done, outcome, guard] {
                    if (guard->load() != nullptr)
                        done(std::move(*outcome));
                },
                Qt::QueuedConnection);
        });
    }

    /// For a runner, which answers on a thread of its own.
    MachineRunner::Completion onOurThread(std::function<void(vmm::Result<> const&)> done)
    {
        return [this, done = std::move(done), guard = alive](vmm::Result<> const& outcome) {
            QMetaObject::invokeMethod(
                &library,
                [done, outcome, guard] {
                    if (guard->load() != nullptr)
                        done(outcome);
                },
                Qt::QueuedConnection);
        };
    }

    /// The writer waits for it, so that changes stay in their order.
    static void keepBeforeChange(MachineRunner& runner, vmm::VmConfig const& wanted)
    {
        constexpr std::chrono::minutes patience(1); // a machine that ends meanwhile may never answer
        auto const kept = std::make_shared<std::promise<void>>();
        auto answer = kept->get_future();
        runner.keepBeforeChange(wanted, [kept](vmm::Result<> const&) { kept->set_value(); });
        answer.wait_for(patience);
    }

    MediaAdvisor& mediaAdvisor()
    {
        if (!advisor)
            advisor = std::make_unique<MediaAdvisor>();
        return *advisor;
    }

    /// Looks at the disk and takes over what is there; `done` when that is so.
    void scan(std::function<void()> done = {})
    {
        if (!done && std::exchange(isScanning, true)) {
            scanAgain = true;
            return;
        }
        onWriter([this] { return vmm::Result<Listing>(list()); },
            [this, done = std::move(done)](vmm::Result<Listing> listing) {
                if (listing)
                    take(std::move(*listing));
                if (done)
                    return done();
                isScanning = false;
                if (std::exchange(scanAgain, false))
                    scan();
            });
    }

    void take(Listing listing)
    {
        QStringList gone = library.ids();
        for (auto& machine : listing.machines) {
            auto const id = text(machine.id);
            gone.removeAll(id);
            auto const known = members.find(id);
            auto runner = std::move(listing.runners[machine.id]);
            if (known == members.end())
                add(id, std::move(machine), std::move(runner));
            else
                update(id, known->second, std::move(machine), std::move(runner));
        }
        for (auto const& id : gone)
            drop(id);
        watch(listing.paths);
    }

    /// `runner`: null where there is a problem.
    void add(QString const& id, StoredMachine machine, std::shared_ptr<MachineRunner> runner)
    {
        auto& member = members[id];
        member.stored = std::move(machine);
        if (runner)
            makeSession(id, member, std::move(runner));
        emit library.machineAdded(id);
    }

    void makeSession(QString const& id, Member& member, std::shared_ptr<MachineRunner> runner)
    {
        member.runner = std::move(runner);
        member.session = std::make_unique<VmSession>(member.runner);
        QObject::connect(member.session.get(), &VmSession::stateChanged, &library,
            [this, id](SessionState state) { emit library.machineStateChanged(id, state); });
        QObject::connect(member.session.get(), &VmSession::mediumChanged, &library,
            [this, id](QString const& drive, QString const& path) { keepMedium(id, drive, path); });
        QObject::connect(member.session.get(), &VmSession::networkChanged, &library,
            [this, id](vmm::NetworkConfig const& network) { keepNetwork(id, network); });
        QObject::connect(member.session.get(), &VmSession::pluggedChanged, &library,
            [this, id](QString const& device, bool plugged) { keepPlugged(id, device, plugged); });
        auto const* session = member.session.get();
        QObject::connect(session, &VmSession::usbAdded, &library, [this, id](vmm::UsbAddition const& device) {
            keep(id, [this, id = id.toStdString(), device] { return store.keepUsbAdded(id, device); });
        });
        QObject::connect(session, &VmSession::usbRemoved, &library, [this, id](QString const& device) {
            keep(id, [this, id = id.toStdString(), device = device.toStdString()] {
                return store.keepUsbRemoved(id, device);
            });
        });
        QObject::connect(member.session.get(), &VmSession::configChanged, &library,
            [this](vmm::VmConfig const& config) { keepConfig(config); });
        QObject::connect(session, &VmSession::stateChanged, &library,
            [this, id](SessionState state) { followScreen(id, isInMemory(state)); });
    }

    /// Which screen is the first one changes with the settings, and with the moment that the machine goes to.
    void followScreen(QString const& id, bool isThere)
    {
        auto const found = members.find(id);
        if (found == members.end())
            return;
        auto& member = found->second;
        if (!isThere)
            keepThumbnail(id);
        auto* const first = isThere ? member.session->mainScreen() : nullptr;
        auto* const before = std::exchange(member.screen, first);
        if (before == first)
            return;
        if (before != nullptr) {
            before->setThumbnails(false);
            QObject::disconnect(before, nullptr, &library, nullptr);
        }
        if (first != nullptr) {
            QObject::connect(first, &ScreenSession::thumbnailChanged, &library, [this, id] { keepThumbnail(id); });
            first->setThumbnails(true);
        }
    }

    /// `runner`: of a machine that can be read now, and could not be before.
    void update(QString const& id, Member& member, StoredMachine machine, std::shared_ptr<MachineRunner> runner)
    {
        bool const isSame = member.stored.config == machine.config && member.stored.owner == machine.owner
            && member.stored.isSuspended == machine.isSuspended
            && member.stored.problem.has_value() == machine.problem.has_value();
        if (isSame)
            return;
        bool const configChanged = member.stored.config != machine.config;
        member.stored = std::move(machine);
        if (runner)
            makeSession(id, member, std::move(runner));
        if (member.runner && configChanged && !member.stored.problem)
            member.runner->setConfig(member.stored.config);
        if (member.runner)
            member.runner->lookAgain();
        emit library.machineChanged(id);
    }

    void drop(QString const& id)
    {
        auto const found = members.find(id);
        if (found == members.end())
            return;
        // Who has removed it had to have its lock, so it is not in our memory.
        auto member = std::move(found->second);
        members.erase(found);
        emit library.machineRemoved(id);
        if (!member.session)
            return;
        auto const threads = std::make_shared<VmSession::Threads>(member.session->retire());
        onCopier(
            [threads] {
                threads->clear();
                return vmm::Result<>();
            },
            [](vmm::Result<> const&) {});
        member.session.release()->deleteLater();
    }

    void watch(QStringList const& wanted)
    {
        auto const watched = watcher.directories() + watcher.files();
        for (auto const& path : watched) {
            if (!wanted.contains(path))
                watcher.removePath(path);
        }
        for (auto const& path : wanted) {
            if (!watched.contains(path))
                watcher.addPath(path);
        }
    }

    // What a machine in memory has changed, for its next start.

    void keepMedium(QString const& id, QString const& drive, QString const& path)
    {
        keep(id, [this, id = id.toStdString(), drive = drive.toStdString(), path = path.toStdString()] {
            return store.keepMedium(id, drive, path);
        });
        emit library.machineChanged(id);
    }

    void keepConfig(vmm::VmConfig const& config)
    {
        auto const id = QString::fromStdString(config.uuid);
        keep(id, [this, config] { return store.keepConfig(config); });
        emit library.machineChanged(id);
    }

    void keepNetwork(QString const& id, vmm::NetworkConfig const& network)
    {
        keep(id, [this, id = id.toStdString(), network] { return store.keepNetwork(id, network); });
    }

    void keepPlugged(QString const& id, QString const& device, bool plugged)
    {
        keep(id, [this, id = id.toStdString(), device = device.toStdString(), plugged] {
            return store.keepPlugged(id, device, plugged);
        });
    }

    void keep(QString const& id, std::function<vmm::Result<>()> change)
    {
        write(std::move(change), [this, id](vmm::Result<> const& kept) {
            if (kept)
                return;
            vmm::log(vmm::LogLevel::Warning, "library", "a change is not kept: {}", kept.error().message());
            emit library.notKept(id, kept.error());
        });
    }

    /// Now and then while the machine runs, in case we are killed, and when it has ended: only then the file is looked
    /// at, so only that is a change.
    void keepThumbnail(QString const& id)
    {
        auto const found = members.find(id);
        if (found == members.end() || found->second.screen == nullptr)
            return;
        auto& member = found->second;
        bool const isLast = !isInMemory(member.session->state());
        if (!isLast && member.pictureKept.isValid() && member.pictureKept.elapsed() < 10000)
            return;
        member.pictureKept.start();
        auto picture = member.screen->thumbnail();
        if (picture.isNull())
            return;
        auto path = store.thumbnailOf(id.toStdString());
        inBackground([picture = std::move(picture), path] { return writePicture(picture, path); },
            [this, id, isLast](vmm::Result<> const& outcome) {
                if (outcome && isLast)
                    emit library.machineChanged(id);
            });
    }

    std::vector<VmSession*> sessionsInMemory() const
    {
        std::vector<VmSession*> sessions;
        for (auto const& [id, member] : members) {
            if (member.session && isInMemory(member.runner->state()))
                sessions.push_back(member.session.get());
        }
        return sessions;
    }
};

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
        [this] {
            m_store.sweepHalfMade();
            return m_store.emptyTrash(trashSeconds, m_private->untilClosing());
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
    m_private->isClosing = true;
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
    m_private->onCopier(
        [this, id = id.toStdString(), name = name.toStdString(), tell = m_private->tellingCopy(std::move(progress))] {
            return m_store.clone(id, name, tell);
        },
        m_private->whenMade(std::move(done)));
}

void Library::importMoment(QString const& path, Done<QString> done, std::function<void(double)> progress)
{
    auto const give = [this, done = std::move(done)](vmm::Result<QString> const& id) {
        auto const made = id ? entry(*id) : std::nullopt;
        if (!made || !isTaken(made->name, *id))
            return done(id);
        rename(*id, freeName(made->name),
            [done, id](vmm::Result<> const& renamed) { renamed ? done(id) : done(vmm::fail(renamed.error())); });
    };
    m_private->onCopier(
        [this, path = path.toStdString(),
            tell = m_private->tellingCopy(std::move(progress))]() -> vmm::Result<StoredMachine> {
            auto const file = TRY(vmm::openFile(path, O_RDONLY));
            return importBundle(m_store, file.get(), {}, m_factory.checkHost, tell);
        },
        m_private->whenMade(give));
}

void Library::cancelCopies()
{
    std::exchange(m_private->copiesCancelled, std::make_shared<std::atomic<bool>>(false))->store(true);
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

void Library::rename(QString const& id, QString const& name, Done<void> done)
{
    if (isTaken(name, id))
        return done(vmm::fail(vmm::ErrorCode::AlreadyExists, "there is a machine called " + name.toStdString()));
    m_private->write(
        [this, id = id.toStdString(), name = name.toStdString()] { return m_store.rename(id, name); }, std::move(done));
}

void Library::changeSettings(
    vmm::VmConfig config, std::vector<NewDisk> newDisks, std::vector<std::string> unwanted, Done<void> done)
{
    auto const* changed = session(text(config.uuid));
    if (changed != nullptr && changed->runner()->state() != SessionState::Off) {
        return done(vmm::fail(vmm::ErrorCode::NotNow,
            std::string("the machine is ") + std::string(stateName(changed->runner()->state()))));
    }
    // Nobody can go back to where an image was that is in the trash.
    auto const before = changed != nullptr && unwanted.empty() ? changed->runner() : nullptr;
    auto const id = text(config.uuid);
    auto const trashed = std::make_shared<std::string>();
    m_private->write(
        [this, before, trashed, config = std::move(config), newDisks = std::move(newDisks),
            unwanted = std::move(unwanted)]() -> vmm::Result<> {
            if (before)
                Private::keepBeforeChange(*before, config);
            *trashed = TRY(m_store.save(config, newDisks, unwanted));
            return {};
        },
        [this, id, trashed, done = std::move(done)](vmm::Result<> const& saved) {
            done(saved);
            if (!trashed->empty())
                emit imagesRemoved(id, text(*trashed));
        });
}

void Library::changePolicy(QString const& id, vmm::timeline::Policy const& policy, Done<void> done)
{
    auto const* changed = session(id);
    if (changed == nullptr)
        return done(vmm::fail(vmm::ErrorCode::NotFound, "there is no machine " + id.toStdString()));
    changed->runner()->setPolicy(
        policy, m_private->onOurThread([done = std::move(done)](vmm::Result<> const& outcome) { done(outcome); }));
}

void Library::changeNotes(QString const& id, QString const& notes, Done<void> done)
{
    m_private->write(
        [this, id = id.toStdString(), notes = notes.toStdString()] {
            return m_store.change(id, [&](vmm::VmConfig& config) { config.notes = notes; });
        },
        std::move(done));
}

void Library::changeWhileInMemory(vmm::VmConfig const& wanted, Done<void> const& done)
{
    auto const id = text(wanted.uuid);
    auto* changed = session(id);
    if (changed == nullptr)
        return done(vmm::fail(vmm::ErrorCode::NotFound, "there is no machine " + wanted.uuid));
    struct Change {
        vmm::Result<> outcome;
        std::size_t waiting = 1;
    };
    auto const change = std::make_shared<Change>();
    auto const arrived = [this, id = wanted.uuid, name = wanted.name, notes = wanted.notes, change, done] {
        if (--change->waiting > 0)
            return;
        // Name and notes are kept, whatever else was refused; of what the machine has taken keepNetwork() is told.
        auto const apply = [name, notes](vmm::VmConfig& config) {
            config.name = name;
            config.notes = notes;
        };
        m_private->write([this, id, apply] { return m_store.change(id, apply); },
            [change, done](vmm::Result<> const& saved) { done(change->outcome ? saved : change->outcome); });
    };
    auto const inMachine = changed->config().networks;
    for (auto const& network : wanted.networks) {
        auto const now
            = std::find_if(inMachine.begin(), inMachine.end(), [&](auto const& one) { return one.id == network.id; });
        if (!isInMemory(changed->state()) || now == inMachine.end() || now->forwards == network.forwards)
            continue;
        ++change->waiting;
        changed->runner()->setForwards(
            network.id, network.forwards, m_private->onOurThread([change, arrived](vmm::Result<> const& outcome) {
                if (!outcome)
                    change->outcome = outcome;
                arrived();
            }));
    }
    arrived();
}

void Library::setConnected(QString const& id, QString const& network, bool connected, Done<void> done)
{
    auto* changed = session(id);
    if (changed != nullptr && isInMemory(changed->runner()->state())) {
        changed->runner()->setConnected(network.toStdString(), connected,
            m_private->onOurThread([done = std::move(done)](vmm::Result<> const& o) { done(o); }));
        return;
    }
    if (changed != nullptr && changed->runner()->state() == SessionState::Suspended)
        return done(vmm::fail(vmm::ErrorCode::NotNow, "the machine is suspended"));
    m_private->write(
        [this, id = id.toStdString(), network = network.toStdString(), connected] {
            return m_store.change(id, [&](vmm::VmConfig& config) {
                for (auto& one : config.networks) {
                    if (one.id == network)
                        one.connected = connected;
                }
            });
        },
        std::move(done));
}

HostUsbWatch& Library::hostUsb()
{
    if (!m_private->hostUsb)
        m_private->hostUsb = std::make_unique<HostUsbWatch>(m_store.root());
    return *m_private->hostUsb;
}

void Library::changeUsbRules(std::function<vmm::Result<>(UsbRules&)> change, Done<void> done)
{
    m_private->onWriter(
        [root = m_store.root(), change = std::move(change)] { return UsbRuleStore(root).change(change); },
        [this, done = std::move(done)](vmm::Result<UsbRules> const& changed) {
            hostUsb().refresh();
            done(changed ? vmm::Result<>() : vmm::fail(changed.error()));
        });
}

void Library::setPlugged(QString const& id, QString const& device, bool plugged, Done<void> done)
{
    auto* changed = session(id);
    if (changed != nullptr && isInMemory(changed->runner()->state())) {
        changed->runner()->setPlugged(device.toStdString(), plugged,
            m_private->onOurThread([done = std::move(done)](vmm::Result<> const& o) { done(o); }));
        return;
    }
    if (changed != nullptr && changed->runner()->state() == SessionState::Suspended)
        return done(vmm::fail(vmm::ErrorCode::NotNow, "the machine is suspended"));
    m_private->write([this, id = id.toStdString(), device = device.toStdString(),
                         plugged] { return m_store.keepPlugged(id, device, plugged); },
        std::move(done));
}

void Library::addUsb(QString const& id, vmm::UsbAddition device, Done<void> done)
{
    auto* changed = session(id);
    if (changed == nullptr)
        return done(vmm::fail(vmm::ErrorCode::NotFound, "there is no machine " + id.toStdString()));
    // It is written when the session has told of it.
    auto const tell = m_private->onOurThread([done = std::move(done)](vmm::Result<> const& o) { done(o); });
    changed->runner()->addUsb(std::move(device),
        [tell](vmm::Result<std::string> const& added) { tell(added ? vmm::Result<>() : vmm::fail(added.error())); });
}

void Library::removeUsb(QString const& id, QString const& device, Done<void> done)
{
    auto* changed = session(id);
    if (changed == nullptr)
        return done(vmm::fail(vmm::ErrorCode::NotFound, "there is no machine " + id.toStdString()));
    changed->runner()->removeUsb(
        device.toStdString(), m_private->onOurThread([done = std::move(done)](vmm::Result<> const& o) { done(o); }));
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

void Library::emptyTrash(std::vector<RemovedMachine> those, Done<void> done)
{
    m_private->onCopier(
        [this, those = std::move(those)] { return m_store.emptyTrash(those, m_private->untilClosing()); },
        std::move(done));
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
    constexpr std::chrono::minutes silence(1);
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

#pragma once

#include "app/library/library.h"
#include "app/store/whole_file.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/log.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QFileInfo>
#include <QFileSystemWatcher>
#include <QPointer>
#include <QTimer>
#include <algorithm>
#include <atomic>
#include <deque>
#include <future>
#include <set>

/// The inside of Library, for the files that it is written in.
namespace app {

inline QString text(std::string const& utf8)
{
    return QString::fromStdString(utf8);
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
    using Cancelled = std::shared_ptr<std::atomic<bool>>;
    /// Of all emptying of the trash that was asked for since some was cancelled last.
    Cancelled emptyingCancelled = std::make_shared<std::atomic<bool>>(false);
    std::deque<Cancelled> copies; // the first one is under way, or will be
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

    /// Hears of work on its thread, and passes on each per mille; false when it is `cancelled`.
    MachineStore::Progress telling(std::function<void(double)> progress, Cancelled cancelled)
    {
        return [this, cancelled = std::move(cancelled), progress = std::move(progress), guard = alive, told = -1](
                   double fraction) mutable {
            auto const now = static_cast<int>(fraction * 1000);
            if (progress && std::exchange(told, now) != now) {
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

    /// A machine that is made of what takes as long as disks are large, and can be cancelled.
    using Copying = std::function<vmm::Result<StoredMachine>(MachineStore::Progress const&)>;
    void copy(Copying what, Done<QString> done, std::function<void(double)> progress)
    {
        copies.push_back(std::make_shared<std::atomic<bool>>(false));
        onCopier([what = std::move(what), tell = telling(std::move(progress), copies.back())] { return what(tell); },
            [this, made = whenMade(std::move(done))](vmm::Result<StoredMachine> const& outcome) {
                copies.pop_front();
                made(outcome);
            });
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
        QObject::connect(
            session, &VmSession::formatsFound, &library, [this, id](std::vector<vmm::DiskConfig> const& disks) {
                keep(id, [this, id = id.toStdString(), disks] { return store.keepFormats(id, disks); });
            });
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

}

#include "app/session/timeline_session.h"

#include "app/runner/host_usb_traces.h"
#include "app/store/moment_bundles.h"
#include "vmm/base/cases.h"
#include "vmm/base/give_way.h"
#include "vmm/base/time_of_day.h"
#include "vmm/machine/moment_export.h"

#include <QDateTime>
#include <QFileInfo>
#include <algorithm>
#include <span>

namespace app {

namespace {

constexpr std::chrono::milliseconds readDelay { 120 }, countDelay { 1200 }, obstacleInterval { 5000 },
    purgeInterval { 60'000 };
/// Who scrubs goes on; who stays wants to know more.
constexpr std::chrono::milliseconds diskDelay { 250 };
/// So long what the disks take counts as known, for a machine that runs goes on writing.
constexpr std::chrono::milliseconds diskCostsStay { 60'000 };
/// Of how many moments the rate of change is told.
constexpr std::size_t rateMoments = 5;
constexpr std::uint64_t pageBytes = 4096;

MomentEntry entryOf(vmm::timeline::Moment const& moment)
{
    MomentEntry entry;
    entry.id = QString::fromStdString(moment.id);
    entry.parent = QString::fromStdString(moment.parent);
    entry.name = QString::fromStdString(moment.name);
    entry.note = QString::fromStdString(moment.note);
    entry.reason = moment.reason;
    entry.pinned = moment.pinned;
    entry.hasPicture = !moment.pictureHash.empty();
    entry.wasOff = moment.power == vmm::timeline::Power::Off;
    entry.time = static_cast<qint64>(moment.time / 1'000'000);
    entry.removedAt = static_cast<qint64>(moment.removedAt / 1'000'000);
    entry.changedBytes = moment.changedPages * pageBytes;
    entry.storedBytes = moment.storedBytes;
    for (auto const& disk : moment.disks) {
        if (disk.checkpoint.way == vmm::CheckpointWay::Internal)
            entry.inImages.push_back(disk.path);
    }
    return entry;
}

/// `id`, or what it came from where it is removed. A store from elsewhere may have a circle in it.
QString standing(std::map<QString, MomentEntry> const& all, QString id)
{
    for (std::size_t steps = 0; steps <= all.size(); ++steps) {
        auto const found = all.find(id);
        if (found == all.end())
            return {};
        if (found->second.removedAt == 0)
            return id;
        id = found->second.parent;
    }
    return {};
}

}

TimelineSession::TimelineSession(std::shared_ptr<MachineRunner> runner, QObject* parent)
    : QObject(parent), m_runner(std::move(runner)), m_changeMeter(m_runner)
{
    m_readTimer.setSingleShot(true);
    m_countTimer.setSingleShot(true);
    m_readTimer.setInterval(readDelay);
    m_countTimer.setInterval(countDelay);
    m_obstacleTimer.setInterval(obstacleInterval);
    m_purgeTimer.setInterval(purgeInterval);
    m_diskTimer.setSingleShot(true);
    m_diskTimer.setInterval(diskDelay);
    m_diskCostTimer.setSingleShot(true);
    m_diskCostTimer.setInterval(diskDelay);
    connect(&m_readTimer, &QTimer::timeout, this, &TimelineSession::readNow);
    connect(&m_countTimer, &QTimer::timeout, this, &TimelineSession::count);
    connect(&m_obstacleTimer, &QTimer::timeout, this, &TimelineSession::lookForObstacles);
    connect(&m_purgeTimer, &QTimer::timeout, this, &TimelineSession::purge);
    connect(&m_diskTimer, &QTimer::timeout, this, &TimelineSession::lookAtDisks);
    connect(&m_diskCostTimer, &QTimer::timeout, this, &TimelineSession::countDisks);
    connect(&m_changeMeter, &ChangeMeter::changed, this, &TimelineSession::changeRateChanged);
    connect(&m_watcher, &QFileSystemWatcher::directoryChanged, this, &TimelineSession::readSoon);
    beginRunning();
}

TimelineSession::~TimelineSession()
{
    retire();
}

std::vector<std::unique_ptr<vmm::LoopThread>> TimelineSession::retire()
{
    *m_isOver = true;
    stopComparing();
    stopCountingDisks();
    if (m_looking)
        *m_looking = false;
    m_gate->close();
    m_pictures.setSource(nullptr);
    if (m_thread) // ends the timeline, as after a reading
        m_thread->loop().post([source = std::exchange(m_source, nullptr)] {});
    std::vector<std::unique_ptr<vmm::LoopThread>> threads;
    for (auto* thread : { &m_thread, &m_lookThread, &m_countThread })
        threads.push_back(std::move(*thread));
    return threads;
}

void TimelineSession::open()
{
    if (std::exchange(m_isOpen, true))
        return;
    m_purgeTimer.start();
    lookForObstacles();
    if (isInMemory(m_runner->state()))
        m_obstacleTimer.start();
    readNow();
}

/// `work` on our thread, `done` with what it returned on the GUI's.
template<typename Work, typename Answer>
void TimelineSession::inBackground(Work work, Answer done)
{
    on(m_thread, "timeline", std::move(work), std::move(done));
}

/// The same for what takes long; `done` only while it is `wanted`.
template<typename Work, typename Answer>
void TimelineSession::lookThrough(std::shared_ptr<std::atomic<bool>> wanted, Work work, Answer done)
{
    lookOn(m_lookThread, std::move(wanted), std::move(work), std::move(done));
}

/// The same beside other looking.
template<typename Work, typename Answer>
void TimelineSession::lookOn(
    std::unique_ptr<vmm::LoopThread>& thread, std::shared_ptr<std::atomic<bool>> wanted, Work work, Answer done)
{
    auto const isNew = !thread;
    on(
        thread, "timeline looks",
        [isNew, work = std::move(work)] {
            if (isNew)
                vmm::giveWay();
            return work();
        },
        [wanted = std::move(wanted), done = std::move(done)](TimelineSession& session, auto outcome) {
            if (wanted->load())
                done(session, std::move(outcome));
        });
}

template<typename Work, typename Answer>
void TimelineSession::on(std::unique_ptr<vmm::LoopThread>& thread, char const* name, Work work, Answer done)
{
    if (m_isOver->load())
        return;
    if (!thread) {
        auto started = vmm::LoopThread::start(name);
        if (!started)
            return emit failed(Step::Read, {}, started.error());
        thread = std::move(*started);
    }
    thread->loop().post([gate = m_gate, work = std::move(work), done = std::move(done)] {
        auto const outcome = std::make_shared<decltype(work())>(work());
        Gate<TimelineSession>::post(
            gate, [done, outcome](TimelineSession& session) { done(session, std::move(*outcome)); });
    });
}

// Reading

vmm::Result<TimelineSession::Reading> TimelineSession::read(MachineRunner const& runner)
{
    Reading reading;
    // Looking makes nothing.
    if (!QFileInfo::exists(QString::fromStdString(runner.places().timelineFolder)))
        return reading;
    reading.source = TRY(runner.timeline());
    auto const goingTo = TRY(momentOnTheWay(runner.places().timelineFolder));
    reading.isOnItsWay = !goingTo.empty();
    reading.damages = reading.source->damages();
    reading.policy = reading.source->policy();
    std::map<QString, MomentEntry> all;
    for (auto const& moment : reading.source->moments()) {
        auto entry = entryOf(moment);
        (entry.removedAt == 0 ? reading.moments : reading.removed).push_back(entry);
        all.emplace(entry.id, std::move(entry));
    }
    for (auto& entry : reading.moments)
        entry.parent = standing(all, entry.parent);
    auto const cameFrom = reading.isOnItsWay ? goingTo : reading.source->present();
    reading.present = standing(all, QString::fromStdString(cameFrom));
    std::sort(reading.removed.begin(), reading.removed.end(),
        [](auto const& one, auto const& other) { return one.removedAt > other.removedAt; });
    return reading;
}

void TimelineSession::readSoon()
{
    if (m_isOpen && !m_readTimer.isActive())
        m_readTimer.start();
}

void TimelineSession::readNow()
{
    if (!m_isOpen)
        return;
    if (std::exchange(m_isReading, true)) {
        m_readAgain = true;
        return;
    }
    inBackground([runner = m_runner] { return read(*runner); },
        [](TimelineSession& session, vmm::Result<Reading> reading) { session.take(std::move(reading)); });
}

void TimelineSession::take(vmm::Result<Reading> reading)
{
    m_isReading = false;
    if (std::exchange(m_readAgain, false))
        readSoon();
    auto const isFirst = !std::exchange(m_isRead, true);
    follow();
    if (!reading) {
        emit failed(Step::Read, {}, reading.error());
        return;
    }
    auto before = std::exchange(m_source, reading->source);
    m_pictures.setSource(m_source);
    // Of a machine that is off it is another one each time. To end one with a thousand moments takes a while, which is
    // the thread's, as the task ends there that has it last.
    if (before && before != m_source)
        inBackground([before = std::move(before)] { return true; }, [](TimelineSession&, bool) {});
    if (std::exchange(m_isOnItsWay, reading->isOnItsWay) != reading->isOnItsWay)
        lookForObstacles();
    if (!isFirst && reading->moments == m_moments && reading->removed == m_removed && reading->present == m_present
        && std::ranges::equal(
            reading->damages, m_damages, {}, &vmm::timeline::Damage::moment, &vmm::timeline::Damage::moment)
        && reading->policy == m_policy)
        return;
    if (m_present != reading->present)
        beginRunning();
    m_moments = std::move(reading->moments);
    m_removed = std::move(reading->removed);
    m_present = std::move(reading->present);
    m_damages = std::move(reading->damages);
    m_policy = std::move(reading->policy);
    m_places.clear();
    for (std::size_t i = 0; i < m_moments.size(); ++i)
        m_places[m_moments[i].id] = i;
    stopCountingDisks();
    m_diskCostsAge.invalidate();
    emit changed();
    m_countTimer.start();
}

/// What another process does there, and what ours does for others, is seen in the folder.
void TimelineSession::follow()
{
    auto const folder = QString::fromStdString(m_runner->places().timelineFolder);
    for (auto const& path : { folder, folder + QStringLiteral("/moments") }) {
        if (!m_watcher.directories().contains(path) && QFileInfo::exists(path))
            m_watcher.addPath(path);
    }
}

void TimelineSession::count()
{
    // A moment that is being kept has the store for itself, and will be counted too.
    if (m_keeping)
        return m_countTimer.start();
    if (!m_source)
        return;
    auto const counted = [source = m_source, isOver = m_isOver]() -> vmm::Result<TimelineCosts> {
        auto const usage = TRY(source->usage([&] { return !isOver->load(); }));
        TimelineCosts costs;
        costs.files = usage.total;
        costs.mayThin = vmm::timeline::mayThin(*source, source->policy(), vmm::timeOfDay());
        for (auto const& [id, cost] : usage.moments)
            costs.moments[QString::fromStdString(id)] = cost;
        return costs;
    };
    inBackground(counted, [](TimelineSession& session, vmm::Result<TimelineCosts> const& costs) {
        if (!costs)
            return; // what cannot be counted is told when it is needed
        session.m_costs = *costs;
        session.m_costs->onDisks = session.m_onDisks;
        emit session.costsChanged();
    });
}

void TimelineSession::lookForObstacles()
{
    if (!canKeep()) {
        m_obstacles.clear();
        emit obstaclesChanged();
        return;
    }
    // The machine is asked and may take its time.
    if (std::exchange(m_isLooking, true))
        return;
    inBackground([runner = m_runner] { return runner->saveObstacles(); },
        [](TimelineSession& session, std::vector<vmm::Error> obstacles) {
            session.m_isLooking = false;
            session.m_obstacles = std::move(obstacles);
            emit session.obstaclesChanged();
        });
}

MomentEntry const* TimelineSession::moment(QString const& id) const
{
    auto const place = m_places.find(id);
    return place == m_places.end() ? nullptr : &m_moments[place->second];
}

/// That led to now, the latest first: as many as tell the rate of change, and the one before them.
std::vector<MomentEntry const*> TimelineSession::lastMoments() const
{
    std::vector<MomentEntry const*> last;
    for (auto const* one = moment(m_present); one != nullptr && last.size() <= rateMoments; one = moment(one->parent))
        last.push_back(one);
    return last;
}

std::optional<double> TimelineSession::changeRate() const
{
    auto const now = m_changeMeter.rate();
    return now ? now : pastChangeRate();
}

std::optional<double> TimelineSession::pastChangeRate() const
{
    auto const last = lastMoments();
    if (last.size() < 2 || last.front()->time <= last.back()->time)
        return std::nullopt;
    quint64 bytes = 0;
    for (auto const* one : std::span(last).first(last.size() - 1))
        bytes += one->changedBytes;
    return static_cast<double>(bytes) * 1000 / static_cast<double>(last.front()->time - last.back()->time);
}

std::optional<MomentForecast> TimelineSession::forecast() const
{
    auto const rate = pastChangeRate();
    if (!rate || !isInMemory(m_runner->state()))
        return std::nullopt;
    quint64 changed = 0, stored = 0;
    auto const last = lastMoments();
    for (auto const* one : std::span(last).first(last.size() - 1)) {
        changed += one->changedBytes;
        stored += one->storedBytes;
    }
    auto const ran = m_ranMilliseconds + (m_running.isValid() ? m_running.elapsed() : 0);
    auto const memory = static_cast<double>(m_runner->config().memoryMiB) * (1u << 20);
    MomentForecast forecast;
    forecast.changedBytes = static_cast<quint64>(std::min(*rate * static_cast<double>(ran) / 1000, memory));
    if (changed > 0)
        forecast.storedBytes = static_cast<quint64>(
            static_cast<double>(forecast.changedBytes) * static_cast<double>(stored) / static_cast<double>(changed));
    forecast.takes = m_lastKeepTook;
    return forecast;
}

/// From the moment on that is the last one now.
void TimelineSession::beginRunning()
{
    m_ranMilliseconds = 0;
    m_running.invalidate();
    if (m_runner->state() == SessionState::Running)
        m_running.start();
}

// Changing

bool TimelineSession::canKeep() const
{
    switch (m_runner->state()) {
    case SessionState::Running:
    case SessionState::Paused: return true;
    case SessionState::Off:
    case SessionState::Suspended: return !m_isOnItsWay;
    default: return false;
    }
}

bool TimelineSession::canGo() const
{
    auto const state = m_runner->state();
    return !isInMemory(state) || canKeep() || state == SessionState::Crashed;
}

bool TimelineSession::keepsPresent() const
{
    return m_runner->state() != SessionState::Crashed;
}

MachineRunner::Completion TimelineSession::reporting(Step step, QString const& id)
{
    return [gate = m_gate, step, id](vmm::Result<> const& outcome) {
        Gate<TimelineSession>::post(gate, [step, id, outcome](TimelineSession& session) {
            session.readNow();
            // Who cancels knows it.
            if (!outcome && outcome.error().code != vmm::ErrorCode::Cancelled)
                emit session.failed(step, id, outcome.error());
        });
    };
}

void TimelineSession::keep(QString const& name, QString const& note)
{
    vmm::timeline::NewMoment what;
    what.name = name.toStdString();
    what.note = note.toStdString();
    setKeeping(m_keeping.value_or(0));
    m_runner->keepMoment(std::move(what), [gate = m_gate, report = reporting(Step::Keep, {})](auto const& outcome) {
        Gate<TimelineSession>::post(gate, [](TimelineSession& session) { session.setKeeping(std::nullopt); });
        report(outcome ? vmm::Result<>() : vmm::fail(outcome.error()));
    });
}

void TimelineSession::cancelKeeping()
{
    m_runner->cancelKeeping();
}

void TimelineSession::goTo(QString const& id, Present present)
{
    m_runner->goTo(id.toStdString(), present, reporting(Step::Go, id));
}

void TimelineSession::change(
    Step step, QString const& id, std::function<Outcome(vmm::timeline::Timeline&, std::string const&)> what)
{
    m_runner->changeTimeline([what = std::move(what), id = id.toStdString()](
                                 vmm::timeline::Timeline& timeline) { return what(timeline, id); },
        reporting(step, id));
}

void TimelineSession::rename(QString const& id, QString const& name)
{
    change(Step::Change, id,
        [name = name.toStdString()](auto& timeline, auto const& moment) { return timeline.rename(moment, name); });
}

void TimelineSession::setNote(QString const& id, QString const& note)
{
    change(Step::Change, id,
        [note = note.toStdString()](auto& timeline, auto const& moment) { return timeline.setNote(moment, note); });
}

void TimelineSession::setPinned(QString const& id, bool pinned)
{
    change(
        Step::Change, id, [pinned](auto& timeline, auto const& moment) { return timeline.setPinned(moment, pinned); });
}

void TimelineSession::remove(QString const& id)
{
    auto const now = static_cast<std::uint64_t>(QDateTime::currentMSecsSinceEpoch()) * 1'000'000;
    change(Step::Remove, id, [now](auto& timeline, auto const& moment) { return timeline.remove(moment, now); });
}

void TimelineSession::bringBack(QString const& id)
{
    change(Step::Remove, id, [](auto& timeline, auto const& moment) { return timeline.bringBack(moment); });
}

void TimelineSession::endDamaged()
{
    for (auto const& damage : m_damages)
        m_runner->endMoment(damage.moment, reporting(Step::Remove, QString::fromStdString(damage.moment)));
}

void TimelineSession::exportTo(QString const& path, QString const& id, Form form)
{
    if (!m_source)
        return;
    auto const stay = std::make_shared<std::vector<UsbFate>>();
    auto const write = [source = m_source, root = m_runner->places().libraryRoot, to = path.toStdString(),
                           moment = id.toStdString(), form, stay](MachineRunner::JobProgress const& progress) {
        *stay = usbThatStays(*source, moment);
        return form == Form::Bundle ? exportBundleFile(MachineStore(root), source, moment, to, progress)
                                    : vmm::exportMoment(source, moment, to, vmm::ExportFiles::All, progress);
    };
    m_runner->work(
        "export", write, [gate = m_gate, path, stay, report = reporting(Step::Export, id)](auto const& outcome) {
            report(outcome);
            if (!outcome)
                return;
            Gate<TimelineSession>::post(
                gate, [path, stay](TimelineSession& session) { emit session.exported(path, *stay); });
        });
}

void TimelineSession::compare(QString const& one, QString const& other)
{
    stopComparing();
    auto const *first = moment(one), *second = moment(other);
    if (!m_source || first == nullptr || second == nullptr)
        return;
    if (second->time < first->time)
        std::swap(first, second);
    // What somebody looked at before is not worth waiting for.
    if (m_looking)
        *m_looking = false;
    m_diskWish.clear();
    m_comparing = std::make_shared<std::atomic<bool>>(true);
    auto const goOn = [wanted = m_comparing] { return wanted->load(); };
    lookThrough(
        m_comparing,
        [source = m_source, before = first->id, after = second->id, goOn] {
            return compareForPerson(*source, before, after, goOn);
        },
        [](TimelineSession& session, vmm::Result<MomentComparison> const& comparison) {
            if (comparison)
                return emit session.compared(*comparison);
            session.stopComparing();
            emit session.failed(Step::Compare, {}, comparison.error());
        });
    m_comparingDisks = std::make_shared<std::atomic<bool>>(true);
    auto const disksGoOn = [goOn, wanted = m_comparingDisks] { return goOn() && wanted->load(); };
    auto const tell = [gate = m_gate, disksGoOn](double fraction) {
        Gate<TimelineSession>::post(gate, [disksGoOn, fraction](TimelineSession& session) {
            if (disksGoOn())
                emit session.comparingDisks(fraction);
        });
    };
    lookThrough(
        m_comparingDisks,
        [source = m_source, before = first->id, after = second->id, disksGoOn, tell] {
            double told = 0;
            return compareDisksForPerson(*source, before, after, [&](double fraction) {
                if (fraction >= told + 0.01)
                    tell(told = fraction);
                return disksGoOn();
            });
        },
        [](TimelineSession& session, vmm::Result<std::vector<DiskComparison>> const& disks) {
            if (disks)
                emit session.disksCompared(*disks);
            else
                emit session.failed(Step::Compare, {}, disks.error());
        });
}

void TimelineSession::stopComparing()
{
    if (m_comparing)
        *m_comparing = false;
    stopComparingDisks();
}

void TimelineSession::stopComparingDisks()
{
    if (m_comparingDisks)
        *m_comparingDisks = false;
}

std::optional<quint64> TimelineSession::diskChange(QString const& id)
{
    auto const* one = moment(id);
    if (one == nullptr || one->parent.isEmpty())
        return std::nullopt;
    if (auto const known = m_diskChanges.find({ one->parent, id }); known != m_diskChanges.end())
        return known->second;
    if (m_diskWish != id) {
        if (m_looking)
            *m_looking = false;
        m_diskWish = id;
        m_diskTimer.start();
    }
    return std::nullopt;
}

void TimelineSession::lookAtDisks()
{
    auto const* one = moment(m_diskWish);
    if (!m_source || one == nullptr)
        return;
    m_looking = std::make_shared<std::atomic<bool>>(true);
    lookThrough(
        m_looking,
        [source = m_source, before = one->parent, after = one->id, wanted = m_looking] {
            return changedDiskBytes(*source, before, after, [wanted] { return wanted->load(); });
        },
        [key = std::pair(one->parent, one->id)](TimelineSession& session, vmm::Result<quint64> const& bytes) {
            session.m_diskWish.clear();
            session.m_diskChanges[key] = bytes ? std::optional(*bytes) : std::nullopt;
            emit session.disksLookedAt();
        });
}

MomentDiskCost const* TimelineSession::diskCost(QString const& id) const
{
    auto const known = m_diskCosts.find(id);
    return known == m_diskCosts.end() ? nullptr : &known->second;
}

void TimelineSession::findDiskCosts()
{
    bool const isFresh = m_diskCostsAge.isValid() && !m_diskCostsAge.hasExpired(diskCostsStay.count());
    if (!isFresh && !m_countingDisks && !m_diskCostTimer.isActive())
        m_diskCostTimer.start();
}

void TimelineSession::countDisks()
{
    if (!m_source)
        return;
    m_countingDisks = std::make_shared<std::atomic<bool>>(true);
    lookOn(
        m_countThread, m_countingDisks,
        [source = m_source, config = m_runner->config(), wanted = m_countingDisks] {
            return vmm::diskCosts(*source, config, [wanted](auto, auto) { return wanted->load(); });
        },
        [](TimelineSession& session, auto const& costs) {
            session.m_countingDisks.reset();
            session.m_diskCostsAge.start();
            session.m_diskCosts.clear();
            session.m_onDisks = costs ? costs->total : vmm::fail(costs.error());
            if (session.m_costs)
                session.m_costs->onDisks = session.m_onDisks;
            for (auto const& moment : session.m_moments) {
                auto const id = moment.id.toStdString();
                if (!costs)
                    session.m_diskCosts.emplace(moment.id, vmm::fail(costs.error()));
                else if (auto const known = costs->moments.find(id); known != costs->moments.end())
                    session.m_diskCosts.emplace(moment.id, known->second);
            }
            emit session.disksLookedAt();
            emit session.costsChanged();
        });
}

void TimelineSession::stopCountingDisks()
{
    if (m_countingDisks)
        *m_countingDisks = false;
    m_countingDisks.reset();
}

/// What was removed long ago goes, with what the policy does not keep. Where that does not work now it is tried again
/// later.
void TimelineSession::purge()
{
    auto const now = QDateTime::currentMSecsSinceEpoch();
    auto const isOver = [now](MomentEntry const& entry) { return now - entry.removedAt >= undoMilliseconds; };
    if (!m_keeping && std::any_of(m_removed.begin(), m_removed.end(), isOver))
        m_runner->prune();
}

void TimelineSession::setNeglected(std::optional<notice::PastNeglected> neglected)
{
    m_neglected = std::move(neglected);
    emit neglectedChanged();
}

void TimelineSession::setKeeping(std::optional<double> fraction)
{
    if (m_keeping == fraction)
        return;
    if (!m_keeping)
        m_keepBegan.start();
    m_keeping = fraction;
    emit keepingChanged();
}

void TimelineSession::take(Notice const& notice)
{
    std::visit(
        vmm::Cases {
            [this](notice::Progress const& one) {
                if (one.job == "keep")
                    setKeeping(one.fraction);
            },
            [this](notice::MomentKept const& one) {
                readNow();
                setNeglected(std::nullopt);
                if (m_keeping)
                    m_lastKeepTook = std::chrono::milliseconds(m_keepBegan.elapsed());
                emit kept(QString::fromStdString(one.id), one.stoodStill);
            },
            [this](notice::PresentLeft const& one) { emit left(QString::fromStdString(one.moment), one.reason); },
            [this](notice::KeepingEnded const&) { setKeeping(std::nullopt); },
            [this](notice::PastNeglected const& one) { setNeglected(one); },
            [this](notice::StateChanged const& one) { takeState(one.state); },
            [](vmm::OneOf<notice::JobEnded, notice::PointerModeChanged, notice::MediumChanged, notice::NetworkChanged,
                notice::PluggedChanged, notice::UsbAdded, notice::UsbRemoved, notice::HostUsbChanged,
                notice::RedirectedUsbChanged, notice::UsbQuestionsChanged, notice::HostUsbFailed,
                notice::ForwardsMissed, notice::ConfigChanged, notice::FormatsFound, notice::GuestRebooted,
                notice::MachineReset> auto const&) {
                // the session's
            },
        },
        notice);
}

void TimelineSession::takeState(SessionState state)
{
    m_changeMeter.takeState(state);
    if (!isInMemory(state))
        setKeeping(std::nullopt);
    if (m_running.isValid())
        m_ranMilliseconds += m_running.restart();
    state == SessionState::Running ? m_running.start() : m_running.invalidate();
    if (!m_isOpen)
        return;
    isInMemory(state) ? m_obstacleTimer.start() : m_obstacleTimer.stop();
    lookForObstacles();
    readSoon(); // of a machine that is gone, another process may have the timeline
}

}

#include "moc_timeline_session.cpp"

#pragma once

#include "app/runner/machine_runner.h"
#include "app/session/change_meter.h"
#include "app/session/moment_comparison.h"
#include "app/session/moment_pictures.h"
#include "vmm/machine/disk_costs.h"

#include <QElapsedTimer>
#include <QFileSystemWatcher>
#include <QObject>
#include <QTimer>

namespace app {

using MomentReason = vmm::timeline::Reason;
using TimelinePolicy = vmm::timeline::Policy;
using TimelineTier = vmm::timeline::Tier;
using vmm::timeline::checkPolicy;
using vmm::timeline::longestTier;

/// A moment of a machine as a person sees it.
struct MomentEntry {
    QString id, parent; ///< an empty parent: the first of its kind
    QString name, note;
    MomentReason reason = MomentReason::Kept;
    bool pinned = false;
    bool hasPicture = false;
    bool wasOff = false;      ///< the machine was, or had just been made
    qint64 time = 0;          ///< ms since 1970
    qint64 removedAt = 0;     ///< ms since 1970; 0: it is not
    quint64 changedBytes = 0; ///< of memory, since its parent
    quint64 storedBytes = 0;  ///< what it added to the disk when it was kept
    /// What it keeps of disks is inside of these, and goes with them.
    std::vector<std::string> inImages;
    bool operator==(MomentEntry const&) const = default;

    bool isAutomatic() const { return reason != MomentReason::Kept; }
};

/// What moments of a machine take on the disk.
struct TimelineCosts {
    std::map<QString, vmm::timeline::Usage::Cost> moments; ///< without what disks keep
    quint64 files = 0;                                     ///< the timeline's
    /// What disks keep, or why that is not known; nothing: nobody has found out yet.
    std::optional<vmm::Result<quint64>> onDisks;
    quint64 total() const { return files + (onDisks ? onDisks->value_or(0) : 0); }
    bool mayThin = true; ///< else what is over the budget is only the person's to free
};

/// What a moment's disks take, or why that is not known.
using MomentDiskCost = vmm::Result<vmm::DiskCost>;

/// What a moment would be that was kept now, reckoned from the last ones.
struct MomentForecast {
    quint64 changedBytes = 0;                       ///< of memory
    quint64 storedBytes = 0;                        ///< on the disk
    std::optional<std::chrono::milliseconds> takes; ///< as long as the last one that we have seen being kept
};

/// A machine's past for the desktop: its moments as values, its pictures, and what can be done there. GUI thread only;
/// it never waits, and reads the disk on a thread of its own from open() on. VmSession owns it and passes the runner's
/// notices on.
class TimelineSession final : public QObject {
    Q_OBJECT
public:
    using Present = MachineRunner::Present;
    /// What can fail.
    enum class Step : std::uint8_t { Read, Keep, Go, Change, Remove, Compare, Export };
    Q_ENUM(Step)
    /// What a moment becomes outside of its timeline.
    enum class Form : std::uint8_t {
        Bundle, ///< one file, of which Library::importMoment() makes a machine on any host
        Folder, ///< state and memory as files, with all that the machine reads
    };
    /// So long what was removed can be brought back; then it goes for good.
    static constexpr qint64 undoMilliseconds = vmm::timeline::removedStays / 1'000'000;

    explicit TimelineSession(std::shared_ptr<MachineRunner> runner, QObject* parent = nullptr);
    ~TimelineSession() override;

    /// Reads the timeline, and again whenever it changes, whoever does that.
    void open();
    bool isRead() const { return m_isRead; }

    /// By their times, without those that are removed.
    std::vector<MomentEntry> const& moments() const { return m_moments; }
    /// Null: there is none. Until changed().
    MomentEntry const* moment(QString const& id) const;
    /// What can be brought back; the last removed first.
    std::vector<MomentEntry> const& removed() const { return m_removed; }
    /// The moment that the present came from, or will when the machine has arrived there; empty: none. One that is
    /// removed counts as what it came from.
    QString const& present() const { return m_present; }
    /// When the machine keeps moments by itself, how long those stay, and the budget of all.
    TimelinePolicy const& policy() const { return m_policy; }
    /// The moments that cannot be read, each with the reason.
    std::vector<vmm::timeline::Damage> const& damages() const { return m_damages; }
    MomentPictures& pictures() { return m_pictures; }

    /// What the machine last failed to do for its past without being asked, until it keeps a moment again.
    std::optional<notice::PastNeglected> const& neglected() const { return m_neglected; }

    /// As of the last time it was counted, which takes a while; nothing before the first. Disks: of findDiskCosts().
    std::optional<TimelineCosts> const& costs() const { return m_costs; }
    /// Bytes of memory a second that change just now, where that is measured (see setWatched()); else that changed
    /// between the last moments before the present.
    std::optional<double> changeRate() const;
    /// Nothing where there were too few moments to tell, and of a machine that is not in memory.
    std::optional<MomentForecast> forecast() const;

    /// The machine's next start goes to a moment: until then it has no present.
    bool isOnItsWay() const { return m_isOnItsWay; }
    /// Whether a moment can be kept in this state of the machine: as it runs or pauses, is off, or suspended.
    bool canKeep() const;
    /// Why not, device by device, where the state would allow it; as of the last look.
    std::vector<vmm::Error> const& obstacles() const { return m_obstacles; }
    bool canGo() const;
    /// Going somewhere loses nothing: the present is kept first, or there is none.
    bool keepsPresent() const;
    /// How far keeping a moment has come; nothing: none is being kept.
    std::optional<double> keeping() const { return m_keeping; }

    void keep(QString const& name = {}, QString const& note = {});
    void cancelKeeping();
    void goTo(QString const& id, Present present = Present::Keep);
    void rename(QString const& id, QString const& name);
    void setNote(QString const& id, QString const& note);
    void setPinned(QString const& id, bool pinned);
    void remove(QString const& id);
    void bringBack(QString const& id);
    /// For good: what cannot be read is not brought back.
    void endDamaged();
    /// To a place where nothing is yet; exported() tells when it is there whole, and VmSession::work() how far it is.
    void exportTo(QString const& path, QString const& id, Form form);
    /// The later of the two against the earlier: compared() tells, and then, as that may take long, disksCompared() of
    /// the disks. Ends the one before.
    void compare(QString const& one, QString const& other);
    void stopComparing();
    /// Of the disks alone, which take long.
    void stopComparingDisks();
    /// How much of the disks changed up to that moment since its parent, where it is known; else disksLookedAt() tells
    /// when it is, if nobody asks for another one before.
    std::optional<quint64> diskChange(QString const& id);
    /// As of the last time that findDiskCosts() was asked for; null before that.
    MomentDiskCost const* diskCost(QString const& id) const;
    /// What the disks of all moments take, where that is old; disksLookedAt() tells when it is found. Takes a while,
    /// for it reads the tables of each disk for each moment, and so is for who looks at what moments take.
    void findDiskCosts();

    /// While somebody sees it, how fast the guest's memory changes is measured; changeRateChanged() tells.
    void setWatched(bool watched) { m_changeMeter.setWatched(watched); }

    /// Of VmSession.
    void take(Notice const& notice);
    std::vector<std::unique_ptr<vmm::LoopThread>> retire();

signals:
    void changed(); ///< moments(), removed(), present(), policy()
    void costsChanged();
    void changeRateChanged();
    void obstaclesChanged(); ///< also: what can be done
    void keepingChanged();
    void neglectedChanged();
    void kept(QString id, std::chrono::nanoseconds stoodStill);
    /// As notice::PresentLeft.
    void left(QString id, app::MomentReason reason);
    /// `stay`: the USB devices that do not travel with it.
    void exported(QString path, std::vector<app::UsbFate> stay);
    void compared(app::MomentComparison comparison);
    void comparingDisks(double fraction); ///< 0 to 1
    void disksCompared(std::vector<app::DiskComparison> disks);
    void disksLookedAt();
    void failed(app::TimelineSession::Step step, QString id, vmm::Error error);

private:
    struct Reading {
        MomentPictures::Source source;
        std::vector<MomentEntry> moments, removed;
        QString present;
        std::vector<vmm::timeline::Damage> damages;
        TimelinePolicy policy;
        bool isOnItsWay = false;
    };
    using Outcome = vmm::Result<>;

    static vmm::Result<Reading> read(MachineRunner const& runner);
    template<typename Work, typename Answer>
    void inBackground(Work work, Answer done);
    template<typename Work, typename Answer>
    void lookThrough(std::shared_ptr<std::atomic<bool>> wanted, Work work, Answer done);
    template<typename Work, typename Answer>
    void lookOn(
        std::unique_ptr<vmm::LoopThread>& thread, std::shared_ptr<std::atomic<bool>> wanted, Work work, Answer done);
    template<typename Work, typename Answer>
    void on(std::unique_ptr<vmm::LoopThread>& thread, char const* name, Work work, Answer done);
    void lookAtDisks();
    void countDisks();
    void stopCountingDisks();
    void readSoon();
    void readNow();
    void take(vmm::Result<Reading> reading);
    void takeState(SessionState state);
    void follow();
    void count();
    void lookForObstacles();
    void purge();
    MachineRunner::Completion reporting(Step step, QString const& id);
    void change(
        Step step, QString const& id, std::function<Outcome(vmm::timeline::Timeline&, std::string const&)> what);
    void setKeeping(std::optional<double> fraction);
    std::vector<MomentEntry const*> lastMoments() const;
    std::optional<double> pastChangeRate() const;
    void beginRunning();
    void setNeglected(std::optional<notice::PastNeglected> neglected);

    std::shared_ptr<MachineRunner> m_runner;
    std::shared_ptr<Gate<TimelineSession>> m_gate = std::make_shared<Gate<TimelineSession>>(this);
    std::vector<MomentEntry> m_moments, m_removed;
    std::map<QString, std::size_t> m_places; // in m_moments
    QString m_present;
    std::vector<vmm::timeline::Damage> m_damages;
    TimelinePolicy m_policy;
    bool m_isOnItsWay = false;
    std::optional<TimelineCosts> m_costs;
    std::optional<notice::PastNeglected> m_neglected;
    std::vector<vmm::Error> m_obstacles;
    std::optional<double> m_keeping;
    MomentPictures::Source m_source;
    MomentPictures m_pictures;
    ChangeMeter m_changeMeter;
    std::shared_ptr<std::atomic<bool>> m_comparing, m_comparingDisks, m_looking; // false: nobody waits for it any more
    /// By parent and moment; nothing: it cannot be told.
    std::map<std::pair<QString, QString>, std::optional<quint64>> m_diskChanges;
    QString m_diskWish; // a moment
    std::map<QString, MomentDiskCost> m_diskCosts;
    std::optional<vmm::Result<quint64>> m_onDisks;
    QElapsedTimer m_diskCostsAge;                       // not valid: they are of other moments
    std::shared_ptr<std::atomic<bool>> m_countingDisks; // false: they are not wanted any more; null: nobody counts
    QFileSystemWatcher m_watcher;
    QTimer m_readTimer, m_countTimer, m_obstacleTimer, m_purgeTimer, m_diskTimer, m_diskCostTimer;
    std::shared_ptr<std::atomic<bool>> m_isOver = std::make_shared<std::atomic<bool>>(false); // see retire()
    bool m_isOpen = false, m_isRead = false, m_isReading = false, m_readAgain = false, m_isLooking = false;
    QElapsedTimer m_running;      // since when the guest runs; not valid: it stands still
    qint64 m_ranMilliseconds = 0; // since the last moment, before that
    QElapsedTimer m_keepBegan;
    std::optional<std::chrono::milliseconds> m_lastKeepTook;
    std::unique_ptr<vmm::LoopThread> m_thread, m_lookThread, m_countThread; // last: they end before what they use
};

}

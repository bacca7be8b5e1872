#include "ui/timeline/moment_words.h"

#include "ui/widgets/problem.h"
#include "ui/widgets/words.h"

#include <QCoreApplication>
#include <QLocale>
#include <QStringList>
#include <algorithm>

namespace ui {

namespace {

struct Words {
    Q_DECLARE_TR_FUNCTIONS(ui::Moment)
};

/// Empty: there are none, or nobody has found out yet.
QString disksTake(app::MomentDiskCost const* cost)
{
    if (cost == nullptr)
        return {};
    if (!*cost)
        return Words::tr("what its disks take is not known: %1")
            .arg(problemFor(Task::ReadMoments, cost->error()).reason);
    auto const [own, shared] = **cost;
    return own + shared == 0 ? QString()
                             : Words::tr("its disks: %1 their own, %2 shared").arg(bytesText(own), bytesText(shared));
}

/// All that moments take, and what of it is not in their files.
QString takenText(app::TimelineCosts const& costs)
{
    auto const total = bytesText(costs.total());
    if (!costs.onDisks)
        return total;
    if (!*costs.onDisks)
        return Words::tr("%1 (disks: not known)").arg(total);
    auto const onDisks = **costs.onDisks;
    return onDisks == 0 ? total : Words::tr("%1 (disks: %2)").arg(total, bytesText(onDisks));
}

QString joined(QStringList const& parts)
{
    return parts.join(QStringLiteral(" · "));
}

/// Of a sample: no decimals of what is large.
QString aboutText(double bytes)
{
    auto rounded = static_cast<quint64>(bytes), unit = quint64 { 1 };
    while (unit << 10 <= rounded)
        unit <<= 10;
    if (rounded >= 10 * unit)
        rounded = (rounded + unit / 2) / unit * unit;
    return bytesText(rounded);
}

}

QString momentTitle(app::MomentReason reason)
{
    switch (reason) {
    case app::MomentReason::Kept: return Words::tr("Moment");
    case app::MomentReason::Automatic: return Words::tr("Automatic moment");
    case app::MomentReason::BeforeGoing: return Words::tr("Before going back");
    case app::MomentReason::BeforeChange: return Words::tr("Before a change of settings");
    case app::MomentReason::OnClose: return Words::tr("When the program was closed");
    case app::MomentReason::BeforeDiscard: return Words::tr("Before the suspended state was thrown away");
    }
    return {};
}

QString momentTitle(app::MomentEntry const& moment)
{
    return moment.name.isEmpty() ? momentTitle(moment.reason) : moment.name;
}

QString momentTime(qint64 milliseconds, QDateTime const& now)
{
    auto const then = QDateTime::fromMSecsSinceEpoch(milliseconds);
    QLocale const locale;
    auto const clock = locale.toString(then.time(), QStringLiteral("hh:mm:ss"));
    auto const days = then.date().daysTo(now.date());
    if (days == 0)
        return Words::tr("Today, %1").arg(clock);
    if (days == 1)
        return Words::tr("Yesterday, %1").arg(clock);
    return Words::tr("%1, %2", "a date, a time").arg(locale.toString(then.date(), QLocale::LongFormat), clock);
}

QString momentDetails(
    app::MomentEntry const& moment, app::TimelineSession const& timeline, std::optional<quint64> diskChange)
{
    auto const& costs = timeline.costs();
    QStringList parts;
    if (!moment.note.isEmpty())
        parts += moment.note.simplified(); // the end is cut off where there is little room
    if (moment.wasOff)
        parts += Words::tr("The machine was off");
    else if (!moment.parent.isEmpty())
        parts += Words::tr("%1 of memory changed").arg(bytesText(moment.changedBytes));
    if (diskChange)
        parts += Words::tr("%1 of the disks changed").arg(bytesText(*diskChange));
    auto const own = costs ? costs->moments.find(moment.id) : decltype(costs->moments.find(moment.id)) {};
    if (costs && own != costs->moments.end())
        parts += Words::tr("%1 its own, %2 shared").arg(bytesText(own->second.own), bytesText(own->second.shared));
    else
        parts += Words::tr("%1 on the disk").arg(bytesText(moment.storedBytes));
    if (auto const disks = disksTake(timeline.diskCost(moment.id)); !disks.isEmpty())
        parts += disks;
    return joined(parts);
}

QString momentSpoken(app::MomentEntry const& moment)
{
    QStringList parts { momentTitle(moment), momentTime(moment.time) };
    if (moment.isAutomatic() && !moment.name.isEmpty())
        parts += Words::tr("kept by the program");
    if (moment.pinned)
        parts += Words::tr("pinned");
    return parts.join(QStringLiteral(", "));
}

QString unreadableText(std::size_t count)
{
    return Words::tr("%n moment(s) cannot be read.", nullptr, static_cast<int>(count));
}

QString timelineSummary(app::TimelineSession const& timeline)
{
    if (!timeline.isRead())
        return {};
    QStringList parts;
    if (!timeline.moments().empty())
        parts += Words::tr("%n moment(s)", nullptr, static_cast<int>(timeline.moments().size()));
    if (!parts.isEmpty() && timeline.costs()) {
        auto const total = timeline.costs()->total(), budget = quint64(timeline.policy().budget);
        auto const isHeld = total > budget && !timeline.costs()->mayThin;
        auto const taken = takenText(*timeline.costs());
        parts += budget == 0 ? taken
            : isHeld         ? Words::tr("%1, %2 over the budget of %3, which only you can free")
                           .arg(taken, bytesText(total - budget), bytesText(budget))
            : total > budget
            ? Words::tr("%1, %2 over the budget of %3").arg(taken, bytesText(total - budget), bytesText(budget))
            : Words::tr("%1 of %2").arg(taken, bytesText(budget));
    }
    if (auto const rate = timeline.changeRate())
        parts += Words::tr("memory changes by %1/s").arg(aboutText(*rate));
    return joined(parts);
}

QString shortSummary(app::TimelineSession const& timeline)
{
    QStringList parts;
    if (!timeline.moments().empty())
        parts += Words::tr("%n moment(s)", nullptr, static_cast<int>(timeline.moments().size()));
    if (!parts.isEmpty() && timeline.costs()) {
        auto const total = timeline.costs()->total(), budget = quint64(timeline.policy().budget);
        parts += budget != 0 && total > budget ? Words::tr("%1 of %2").arg(bytesText(total), bytesText(budget))
                                               : bytesText(total);
    }
    if (auto const rate = timeline.changeRate())
        parts += Words::tr("%1/s", "bytes").arg(aboutText(*rate));
    return joined(parts);
}

QString forecastText(app::TimelineSession const& timeline)
{
    auto const next = timeline.forecast();
    if (!next)
        return {};
    auto const size = bytesText(next->storedBytes);
    if (!next->takes)
        return Words::tr("one more: about %1", "moment").arg(size);
    auto const tenths
        = std::max<qint64>(1, qRound64(static_cast<double>(next->takes->count()) / 100)); // never "in 0 s"
    return Words::tr("one more: about %1 in %2 s", "moment")
        .arg(size, QLocale().toString(static_cast<double>(tenths) / 10, 'f', 1));
}

QString whyNotKeep(app::TimelineSession const& timeline, app::SessionState state)
{
    if (timeline.keeping())
        return Words::tr("A moment is being kept.");
    if (!timeline.canKeep()) {
        if (state == app::SessionState::Crashed)
            return Words::tr("The machine has crashed: reset it or power it off, then its present can be kept.");
        return app::isInMemory(state)
            ? Words::tr("The machine is busy: wait until it has finished.")
            : Words::tr("The machine is on its way to a moment: start it, then its present can be kept.");
    }
    QStringList parts;
    for (auto const& obstacle : timeline.obstacles())
        parts += partOf(obstacle);
    return parts.isEmpty()
        ? QString()
        : Words::tr("This cannot be kept now: %1. Detach it, or wait until it has finished.").arg(quotedNames(parts));
}

QString bundleFilter()
{
    return Words::tr("Moments (*%1)").arg(bundleEnding) + QStringLiteral(";;") + Words::tr("All files (*)");
}

QString importFilter()
{
    return Words::tr("Moments (*%1 state.json)").arg(bundleEnding) + QStringLiteral(";;") + Words::tr("All files (*)");
}

QString neglectText(app::notice::PastNeglected const& neglected)
{
    using What = app::notice::PastNeglected::What;
    auto const problem
        = problemFor(neglected.what == What::Moment ? Task::KeepMoment : Task::ReadTimeline, neglected.why);
    return neglected.what == What::Moment
        ? Words::tr("The machine could not keep a moment by itself: %1").arg(problem.reason)
        : Words::tr("Something is wrong with the timeline; the machine runs on: %1").arg(problem.reason);
}

QString whyNotGo(app::TimelineSession const& timeline)
{
    return timeline.canGo() ? QString() : Words::tr("The machine is busy: wait until it has finished.");
}

}

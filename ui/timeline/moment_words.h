#pragma once

#include "app/session/timeline_session.h"

#include <QDateTime>
#include <QString>

namespace ui {

/// What a moment without a name is called: what it was kept for.
QString momentTitle(app::MomentReason reason);
/// What a moment is called: its name, else that.
QString momentTitle(app::MomentEntry const& moment);
/// "Today, 12:18:03", "Yesterday, …", "23 November, …" in the person's own way.
QString momentTime(qint64 milliseconds, QDateTime const& now = QDateTime::currentDateTime());
/// What changed (`diskChange`: bytes of the disks), what it takes, and its note, as far as they are known.
QString momentDetails(app::MomentEntry const& moment, app::TimelineSession const& timeline,
    std::optional<quint64> diskChange = std::nullopt);
/// All of it in a sentence for who does not see it.
QString momentSpoken(app::MomentEntry const& moment);
/// "12 moments · 1.4 GB (disks: 1 GB) of 20 GB · 3 MB/s".
QString timelineSummary(app::TimelineSession const& timeline);
/// The same with the numbers alone.
QString shortSummary(app::TimelineSession const& timeline);
/// "now: about 12 MB in 0.4 s": what a moment would take; empty where that cannot be told.
QString forecastText(app::TimelineSession const& timeline);
/// Why a moment cannot be kept now, and what to do; empty: it can.
QString whyNotKeep(app::TimelineSession const& timeline, app::SessionState state);
/// The same of going to another moment.
QString whyNotGo(app::TimelineSession const& timeline);
/// Of what lies among the moments and cannot be read.
QString unreadableText(std::size_t count);
/// The files that a moment can be, as file dialogs have them; and how one is called that has just been made.
QString bundleFilter();
/// And what stands for one that was exported as a folder.
QString importFilter();
inline constexpr QLatin1String bundleEnding(".tar.zst");
/// What the machine did not do for its past, and why.
QString neglectText(app::notice::PastNeglected const& neglected);

}

#include "ui/widgets/words.h"

#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QLocale>

namespace ui {

namespace {
struct Words {
    Q_DECLARE_TR_FUNCTIONS(ui::Words)
};
}

QString stateWord(app::SessionState state)
{
    switch (state) {
    case app::SessionState::Off: return Words::tr("Off");
    case app::SessionState::Suspended: return Words::tr("Suspended");
    case app::SessionState::Starting: return Words::tr("Starting …");
    case app::SessionState::Restoring: return Words::tr("Restoring …");
    case app::SessionState::Running: return Words::tr("Running");
    case app::SessionState::Paused: return Words::tr("Paused");
    case app::SessionState::Suspending: return Words::tr("Suspending …");
    case app::SessionState::Crashed: return Words::tr("Crashed");
    }
    return {};
}

QString otherOwnerWord(qint64 pid)
{
    return pid > 0 ? Words::tr("In use by another program (process %1)").arg(pid)
                   : Words::tr("In use by another program");
}

QColor stateColor(app::SessionState state)
{
    auto const colors = themeColors();
    switch (state) {
    case app::SessionState::Running:
    case app::SessionState::Starting: return colors.running;
    case app::SessionState::Paused: return colors.paused;
    case app::SessionState::Suspended:
    case app::SessionState::Suspending:
    case app::SessionState::Restoring: return colors.suspended;
    case app::SessionState::Crashed: return colors.problem;
    case app::SessionState::Off: break;
    }
    return colors.faint;
}

QString jobWord(QString const& name)
{
    if (name == QLatin1String("suspend"))
        return Words::tr("Suspending …");
    if (name == QLatin1String("keep"))
        return Words::tr("Keeping a moment …");
    if (name == QLatin1String("fork"))
        return Words::tr("Forking …");
    if (name == QLatin1String("verify"))
        return Words::tr("Checking its moments …");
    if (name == QLatin1String("prune"))
        return Words::tr("Giving back what its moments took …");
    if (name == QLatin1String("compare"))
        return Words::tr("Comparing moments …");
    if (name == QLatin1String("export"))
        return Words::tr("Exporting a moment …");
    if (name == QLatin1String("stream"))
        return Words::tr("Making a disk independent …");
    if (name == QLatin1String("commit"))
        return Words::tr("Merging the files of a disk …");
    if (name == QLatin1String("grow"))
        return Words::tr("Making a disk larger …");
    return Words::tr("Working …");
}

QString bytesText(quint64 bytes)
{
    auto unit = quint64 { 1 };
    while (unit << 10 <= bytes && unit < (quint64 { 1 } << 60))
        unit <<= 10;
    return QLocale().formattedDataSize(
        static_cast<qint64>(bytes), bytes % unit == 0 ? 0 : 1, QLocale::DataSizeIecFormat);
}

QString pathText(std::string const& path)
{
    constexpr int longest = 24; // letters without a place to be broken at
    auto const raw = QString::fromStdString(path);
    QString text;
    int unbroken = 0;
    for (auto const letter : raw) {
        auto const isSeen = letter.isPrint() || letter.isSurrogate();
        text += isSeen ? letter : QChar(QChar::ReplacementCharacter);
        unbroken = letter == QLatin1Char('/') ? longest : unbroken + 1;
        if (unbroken < longest || letter.isHighSurrogate())
            continue;
        text += QChar(0x200b); // no width
        unbroken = 0;
    }
    return text;
}

QString quotedNames(QStringList const& names)
{
    QStringList quoted;
    for (auto const& name : names)
        quoted += Words::tr("“%1”").arg(name);
    return quoted.join(QStringLiteral(", "));
}

}
